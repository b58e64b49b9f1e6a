//! Products with weights that are taken to the points when it is their turn.
//!
//! A kernel has 9 weights, and at the points 16 or 36: where they come from memory at every run, reading 9 and
//! transforming them in the cache takes less time than reading the others.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::{Points, TAPS};
use super::tiles::Transformed;
use crate::gemm::{Panel, Panels, Strip, run_strip};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Input channel blocks whose kernels are at the points together.
const CHUNK: usize = 4;

/// Floats from a position of the expanded kernels to the next, for a panel `width` channels wide. Off the powers of
/// two, as in [`Transformed::new`].
const fn stride(width: usize) -> usize {
    CHUNK * BLOCK * width + BLOCK
}

/// Floats that the expanded kernels of a panel of `blocks` blocks take at `positions` positions.
pub(super) fn room(positions: usize, blocks: usize) -> usize {
    positions * stride(blocks * BLOCK)
}

/// Multiplies the tiles `tiles` with the kernels of `panel`, at all positions.
pub(super) struct ExpandStage<'a, P, const M: usize, const N: usize> {
    pub(super) points: PhantomData<P>,
    pub(super) inputs: &'a [f32],
    pub(super) from: Transformed,
    /// Offset of each input channel block in a position.
    pub(super) offsets: &'a [usize],
    pub(super) panels: &'a Panels,
    pub(super) panel: &'a Panel,
    /// The weights as they are, in the order of `panels`.
    pub(super) values: &'a [f32],
    pub(super) tiles: Range<usize>,
    /// Room for the kernels at the points.
    pub(super) weights: &'a mut [f32],
    pub(super) products: Parts<'a>,
    pub(super) to: Transformed,
}

impl<P: Points<M, N>, const M: usize, const N: usize> Kernel for ExpandStage<'_, P, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let entries = self.offsets.len();
        let chunks = entries.div_ceil(CHUNK);
        for chunk in 0..chunks {
            let range = chunk * entries / chunks..(chunk + 1) * entries / chunks;
            self.expand(s, range.clone());
            self.multiply(s, range);
        }
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> ExpandStage<'_, P, M, N> {
    /// `G g G^T` of the kernels of the input channel blocks `range`.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    fn expand<S: Simd>(&mut self, s: S, range: Range<usize>) {
        let width = self.panel.blocks * BLOCK;
        let kernels = self.panels.of(self.values, self.panel, range.start * TAPS..range.end * TAPS);
        let stride = stride(width);
        assert!(kernels.len() == range.len() * TAPS * BLOCK * width);
        assert!(self.weights.len() >= N * N * stride && range.len() <= CHUNK);
        for entry in 0..range.len() {
            for at in (0..BLOCK * width).step_by(S::LANES) {
                let mut half = [[s.zero(); 3]; N];
                for column in 0..3 {
                    let tap = |row: usize| (entry * TAPS + row * 3 + column) * BLOCK * width + at;
                    // SAFETY: the kernels were checked to have this many rows of 9 taps.
                    let g = [0, 1, 2].map(|row| unsafe { s.load(kernels.as_ptr().add(tap(row))) });
                    let points = P::kernel(s, g);
                    for i in 0..N {
                        half[i][column] = points[i];
                    }
                }
                let target = self.weights[entry * BLOCK * width + at..].as_mut_ptr();
                for i in 0..N {
                    let points = P::kernel(s, half[i]);
                    for j in 0..N {
                        // SAFETY: within each position's stride, and there is room for all of them: checked.
                        unsafe { s.store(target.add((i * N + j) * stride), points[j]) }
                    }
                }
            }
        }
    }

    /// Adds the products of the input channel blocks `range`.
    #[inline(always)]
    fn multiply<S: Simd>(&self, s: S, range: Range<usize>) {
        let width = self.panel.blocks * BLOCK;
        let offsets = &self.offsets[range.clone()];
        // The next kernels lie behind these.
        let kernels = self.panels.of(self.values, self.panel, range.start * TAPS..range.end * TAPS);
        let next = kernels.as_ptr_range().end;
        for position in 0..N * N {
            let lines = |position: usize| position * (kernels.len() / BLOCK) / (N * N);
            for line in lines(position)..lines(position + 1) {
                s.prefetch(next.wrapping_add(line * BLOCK));
            }
            let strip = Strip {
                input: self.inputs,
                origin: position * self.from.position + self.tiles.start * BLOCK,
                row_stride: BLOCK,
                rows: self.tiles.len(),
                offsets,
                reach: offsets[offsets.len() - 1],
                depth: BLOCK,
                weights: &self.weights[position * stride(width)..][..range.len() * BLOCK * width],
                output: self.products,
                at: position * self.to.position,
                block_stride: self.to.block(),
                step: BLOCK,
                blocks: self.panel.blocks,
                add: range.start > 0,
                finish: None,
            };
            // SAFETY: the products are this task's own.
            unsafe { run_strip(s, &strip) }
        }
    }
}
