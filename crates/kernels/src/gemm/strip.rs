//! The micro-kernel: a strip of output pixels, a tile of rows at a time, one panel of weights.

use super::{Finish, Place};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Offsets ahead of their use by which weights are fetched. On a Zen 5, F(4x4) for 16x512@7 runs at 2.18 of the peak
/// with 1, 2.30 with 2 and 2.35 with 4; where weights are at hand all are the same.
const AHEAD: usize = 4;

/// Panel of output channels for a strip of pixels that lie next to each other in the output:
///
/// `output[row][channel] = sum over offsets o and k < depth of input[origin + row row_stride + o + k]
/// weights[o][k][channel]`
///
/// `depth` is 16 where the input is blocked and 1 where it is planar. The output's channels lie in
/// `blocks` channel blocks, `block_stride` floats apart, a row `step` floats after the one before.
pub(crate) struct Strip<'a> {
    pub(crate) input: &'a [f32],
    pub(crate) origin: usize,
    pub(crate) row_stride: usize,
    pub(crate) rows: usize,
    pub(crate) offsets: &'a [usize],
    /// An upper bound of the offsets.
    pub(crate) reach: usize,
    pub(crate) depth: usize,
    /// `[offsets][depth][blocks * 16]`.
    pub(crate) weights: &'a [f32],
    pub(crate) output: Parts<'a>,
    pub(crate) at: usize,
    pub(crate) block_stride: usize,
    pub(crate) step: usize,
    pub(crate) blocks: usize,
    /// Add to what the output holds (the sum over earlier offsets) instead of overwriting it.
    pub(crate) add: bool,
    /// Epilogue of the sums before they are stored, and its place; nothing while offsets are still to come.
    pub(crate) finish: Option<(&'a Finish<'a>, Place)>,
}

/// Runs `strip` on the instruction set of `s`.
///
/// # Safety
/// Nothing else reads or writes the strip's part of the output, or its channels' sums in `finish`,
/// while this runs.
#[inline(always)]
pub(crate) unsafe fn run_strip<S: Simd>(s: S, strip: &Strip<'_>) {
    match strip.blocks * BLOCK / S::LANES {
        1 if const { S::LANES == 16 } => by_depth::<S, 1>(s, strip),
        2 if const { S::LANES * 2 == S::TILE_BLOCKS * BLOCK } => by_depth::<S, 2>(s, strip),
        4 if const { S::LANES * 4 == S::TILE_BLOCKS * BLOCK } => by_depth::<S, 4>(s, strip),
        _ => unreachable!("a panel is at most TILE_BLOCKS wide"),
    }
}

/// The strides that matter become constants: they turn into displacements of the loads.
#[inline(always)]
fn by_depth<S: Simd, const NV: usize>(s: S, strip: &Strip<'_>) {
    match (strip.depth, strip.row_stride) {
        (BLOCK, BLOCK) => s.run(Tiles::<NV, BLOCK, BLOCK>(strip)),
        (BLOCK, stride) if stride == 2 * BLOCK => s.run(Tiles::<NV, BLOCK, { 2 * BLOCK }>(strip)),
        (BLOCK, _) => s.run(Tiles::<NV, BLOCK, 0>(strip)),
        (1, 1) => s.run(Tiles::<NV, 1, 1>(strip)),
        (1, 2) => s.run(Tiles::<NV, 1, 2>(strip)),
        (1, _) => s.run(Tiles::<NV, 1, 0>(strip)),
        _ => unreachable!("an input is blocked or planar"),
    }
}

/// A strip whose panel is `NV` vectors wide; `STRIDE` 0 stands for any.
struct Tiles<'a, const NV: usize, const DEPTH: usize, const STRIDE: usize>(&'a Strip<'a>);

impl<const NV: usize, const DEPTH: usize, const STRIDE: usize> Tiles<'_, NV, DEPTH, STRIDE> {
    /// Rows of a tile, but for the instruction set's limit. Strides above 2 are too rare for tiles of
    /// all heights, each of which is code of its own.
    const HEIGHT: usize = if STRIDE == 0 { 2 } else { usize::MAX };
}

impl<const NV: usize, const DEPTH: usize, const STRIDE: usize> Kernel for Tiles<'_, NV, DEPTH, STRIDE> {
    type Output = ();

    /// Cuts the strip into tiles of nearly equal height.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let strip = self.0;
        strip.check(NV * S::LANES);
        let tiles = strip.rows.div_ceil(Self::HEIGHT.min(S::TILE_ROWS));
        for tile in 0..tiles {
            let first = tile * strip.rows / tiles;
            let rows = (tile + 1) * strip.rows / tiles - first;
            macro_rules! by_rows {
                ($($count:literal)*) => {
                    match rows {
                        $($count if const { $count <= Self::HEIGHT && $count <= S::TILE_ROWS } =>
                            // SAFETY: the strip was checked to lie in its slices, and the caller of
                            // `run_strip` keeps its part of the output to it.
                            unsafe { tile_of::<S, $count, NV, DEPTH, STRIDE>(s, strip, first) },)*
                        _ => unreachable!("a tile has at most TILE_ROWS rows"),
                    }
                };
            }
            by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
    }
}

impl Strip<'_> {
    /// Panics unless all that a strip `width` channels wide touches lies in its slices.
    #[inline(always)]
    fn check(&self, width: usize) {
        assert!(width == self.blocks * BLOCK && self.rows > 0);
        assert!(
            self.origin + (self.rows - 1) * self.row_stride + self.reach + self.depth <= self.input.len()
        );
        assert!(self.offsets.len() * self.depth * width <= self.weights.len());
        assert!(
            self.at + (self.blocks - 1) * self.block_stride + (self.rows - 1) * self.step + BLOCK
                <= self.output.len()
        );
        if let Some((finish, place)) = &self.finish {
            finish.check(place, (self.rows - 1) * self.step / BLOCK + 1, self.blocks);
        }
    }
}

/// `MR` rows by `NV` vectors, all accumulators in registers.
///
/// # Safety
/// `strip.check` has passed, `first + MR <= strip.rows`, no offset is above `strip.reach`, and nothing
/// else touches the strip's part of the output.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
unsafe fn tile_of<S: Simd, const MR: usize, const NV: usize, const DEPTH: usize, const STRIDE: usize>(
    s: S,
    strip: &Strip<'_>,
    first: usize,
) {
    let stride = if STRIDE == 0 { strip.row_stride } else { STRIDE };
    let mut sums = [[s.zero(); NV]; MR];
    // SAFETY: every read is at `origin + row stride + offset + k`, or in the panel: checked.
    unsafe {
        let rows = strip.input.as_ptr().add(strip.origin + first * stride);
        let mut weights = strip.weights.as_ptr();
        for &offset in strip.offsets {
            let x = rows.add(offset);
            // The next tile's pixels: each channel block is a stream of its own, too short in a chunk
            // for the hardware to follow (256 -> 64 channels on 56x56, one thread of an EPYC with AVX2:
            // from 56 to 80 GFLOP/s of a peak of 102).
            if DEPTH == BLOCK {
                for r in MR..2 * MR {
                    s.prefetch(x.wrapping_add(r * stride));
                }
            }
            for k in 0..DEPTH {
                // Weights that are to come: they pass by once for each strip, and come from afar.
                for line in (0..NV * S::LANES).step_by(BLOCK) {
                    s.prefetch(weights.wrapping_add(AHEAD * DEPTH * NV * S::LANES + line));
                }
                let mut w = [s.zero(); NV];
                for v in 0..NV {
                    w[v] = s.load(weights.add(v * S::LANES));
                }
                for r in 0..MR {
                    let x = s.splat(*x.add(r * stride + k));
                    for v in 0..NV {
                        sums[r][v] = s.fma(x, w[v], sums[r][v]);
                    }
                }
                weights = weights.add(NV * S::LANES);
            }
        }
    }
    let step = strip.step;
    let output = strip.output.pointer(strip.at + first * step);
    // Vector `v` of a panel lies `column(v)` floats after the panel's first.
    let column = |v: usize| v * S::LANES / BLOCK * strip.block_stride + v * S::LANES % BLOCK;
    // SAFETY: the output's rows were checked, and so was all that `finish` reads and writes.
    unsafe {
        if strip.add {
            for v in 0..NV {
                for r in 0..MR {
                    sums[r][v] = s.add(sums[r][v], s.load(output.add(column(v) + r * step)));
                }
            }
        }
        if let Some((finish, place)) = &strip.finish {
            finish.apply(s, place, first, step, &mut sums);
        }
        for v in 0..NV {
            for r in 0..MR {
                s.store(output.add(column(v) + r * step), sums[r][v]);
            }
        }
    }
}
