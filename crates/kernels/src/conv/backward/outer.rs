//! The micro-kernel of weight gradients: outer products of channels, added up over pixels.

use crate::memory::Parts;
use crate::simd::{BLOCK, Simd};

/// `to[i][j] = from[i][j] + sum over lines l < lines and pixels q < pixels of
/// left[l, q][i] right[l, q][j]`
///
/// where the `i` are `rows`, and the `j` the channels of `blocks` channel blocks, `right_block` floats
/// apart. The rows' values are broadcast, the blocks are vectors.
pub(in crate::conv) struct Outer<'a> {
    pub(in crate::conv) left: Operand<'a>,
    pub(in crate::conv) rows: Rows<'a>,
    pub(in crate::conv) right: Operand<'a>,
    pub(in crate::conv) right_block: usize,
    pub(in crate::conv) blocks: usize,
    pub(in crate::conv) lines: usize,
    pub(in crate::conv) pixels: usize,
    /// Sums to add to; zeros where there are none.
    pub(in crate::conv) from: Option<Place<'a>>,
    pub(in crate::conv) to: Place<'a>,
    /// Prefetch of what is read next: a line of the cache is asked for at every pixel, of the first by tiles with
    /// even numbers, of the second by the others.
    pub(in crate::conv) ahead: [Option<Operand<'a>>; 2],
}

/// Pixel `q` of line `l` lies at `at + l line + q step` of `values`.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Operand<'a> {
    pub(in crate::conv) values: &'a [f32],
    pub(in crate::conv) at: usize,
    pub(in crate::conv) line: usize,
    pub(in crate::conv) step: usize,
}

/// The values of a pixel that are broadcast.
#[derive(Clone, Copy)]
pub(in crate::conv) enum Rows<'a> {
    /// The first `n` channels of a block.
    Block(usize),
    /// Rows at these distances from the pixel.
    At(&'a [usize]),
}

impl Rows<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        match self {
            Rows::Block(count) => *count,
            Rows::At(offsets) => offsets.len(),
        }
    }
}

/// Sums: row `i`, block `b` starts at `at + i row + b block`.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Place<'a> {
    pub(in crate::conv) sums: Parts<'a>,
    pub(in crate::conv) at: usize,
    pub(in crate::conv) row: usize,
    pub(in crate::conv) block: usize,
}

/// Rows of sums that are computed at once: with the vectors of a panel, enough accumulators to hide the
/// latency of a multiply-add; divides a channel block.
const fn height<S: Simd>() -> usize {
    match S::TILE_ROWS {
        8.. => 8,
        4..=7 => 4,
        _ => 2,
    }
}

/// Runs `outer` on the instruction set of `s`.
///
/// # Safety
/// Nothing else reads or writes its sums while this runs.
#[inline(always)]
pub(in crate::conv) unsafe fn run_outer<S: Simd>(s: S, outer: &Outer<'_>) {
    outer.check();
    let count = outer.rows.len();
    let vectors = outer.blocks * BLOCK / S::LANES;
    macro_rules! tiles {
        ($rows:literal, $vectors:literal) => {
            for first in (0..count).step_by($rows) {
                let rows = $rows.min(count - first);
                // SAFETY: checked to lie in the slices; the caller keeps the sums to this call.
                unsafe { tile::<S, $rows, $vectors>(s, outer, first, rows) }
            }
        };
    }
    match (height::<S>(), vectors) {
        (8, 1) if const { height::<S>() == 8 && S::LANES == 16 } => tiles!(8, 1),
        (8, 2) if const { height::<S>() == 8 && S::LANES * 2 == S::TILE_BLOCKS * BLOCK } => tiles!(8, 2),
        (4, 2) if const { height::<S>() == 4 && S::LANES * 2 == S::TILE_BLOCKS * BLOCK } => tiles!(4, 2),
        (4, 4) if const { height::<S>() == 4 && S::LANES * 4 == S::TILE_BLOCKS * BLOCK } => tiles!(4, 4),
        (4, 1) if const { height::<S>() == 4 && S::LANES == 16 } => tiles!(4, 1),
        (2, 1) if const { height::<S>() == 2 && S::LANES == 16 } => tiles!(2, 1),
        (2, 2) if const { height::<S>() == 2 && S::LANES * 2 == S::TILE_BLOCKS * BLOCK } => tiles!(2, 2),
        _ => unreachable!("a panel is at most TILE_BLOCKS wide"),
    }
}

impl Outer<'_> {
    /// Panics unless all that it touches lies in its slices.
    #[inline(always)]
    fn check(&self) {
        assert!(self.lines > 0 && self.pixels > 0 && self.blocks > 0);
        let reach = match self.rows {
            Rows::Block(count) => {
                assert!(count <= BLOCK);
                BLOCK - 1
            }
            Rows::At(offsets) => offsets.iter().copied().max().unwrap_or(0),
        };
        let (lines, pixels) = (self.lines - 1, self.pixels - 1);
        let last = |of: &Operand<'_>| of.at + lines * of.line + pixels * of.step;
        assert!(last(&self.left) + reach < self.left.values.len());
        let blocks = self.blocks - 1;
        assert!(last(&self.right) + blocks * self.right_block + BLOCK <= self.right.values.len());
        for place in self.from.iter().chain([&self.to]) {
            let end = place.at + self.rows.len().saturating_sub(1) * place.row + blocks * place.block + BLOCK;
            assert!(end <= place.sums.len());
        }
    }
}

/// `MI` rows of sums from `first` on, of which `rows` exist, by `NV` vectors.
///
/// # Safety
/// `outer.check` has passed, `first + rows` is at most the number of rows of sums, and nothing else
/// touches the sums.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
unsafe fn tile<S: Simd, const MI: usize, const NV: usize>(
    s: S,
    outer: &Outer<'_>,
    first: usize,
    rows: usize,
) {
    // Where vector `v` lies, where blocks are `block` floats apart.
    let column = |block: usize, v: usize| v * S::LANES / BLOCK * block + v * S::LANES % BLOCK;
    let Outer { left, right, right_block, .. } = outer;
    let ahead = outer.ahead[first / MI % 2].unwrap_or(*right);
    let mut sums = [[s.zero(); NV]; MI];
    // SAFETY: every access is one of those that were checked; what is ahead is not read.
    unsafe {
        if let Some(from) = &outer.from {
            let place = from.sums.pointer(from.at + first * from.row);
            for i in 0..MI {
                for v in 0..NV {
                    if i < rows {
                        sums[i][v] = s.load(place.add(i * from.row + column(from.block, v)));
                    }
                }
            }
        }
        // The distance of each row's value from the pixel.
        let x: [usize; MI] = std::array::from_fn(|i| match outer.rows {
            Rows::Block(_) => first + i,
            // A row that does not exist repeats the last.
            Rows::At(offsets) => offsets[first + i.min(rows - 1)],
        });
        for line in 0..outer.lines {
            let mut l = left.values.as_ptr().add(left.at + line * left.line);
            let mut r = right.values.as_ptr().add(right.at + line * right.line);
            let mut next = ahead.values.as_ptr().wrapping_add(ahead.at + line * ahead.line);
            macro_rules! products {
                ($at:expr) => {
                    for _ in 0..outer.pixels {
                        s.prefetch(next);
                        let w: [S::V; NV] = std::array::from_fn(|v| s.load(r.add(column(*right_block, v))));
                        for i in 0..MI {
                            let x = s.splat(*l.add($at(i)));
                            for v in 0..NV {
                                sums[i][v] = s.fma(x, w[v], sums[i][v]);
                            }
                        }
                        l = l.wrapping_add(left.step);
                        r = r.wrapping_add(right.step);
                        next = next.wrapping_add(ahead.step);
                    }
                };
            }
            match outer.rows {
                Rows::Block(_) => {
                    l = l.add(first);
                    products!(|i| i)
                }
                Rows::At(_) => products!(|i: usize| x[i]),
            }
        }
        let place = outer.to.sums.pointer(outer.to.at + first * outer.to.row);
        for i in 0..MI {
            for v in 0..NV {
                if i < rows {
                    s.store(place.add(i * outer.to.row + column(outer.to.block, v)), sums[i][v]);
                }
            }
        }
    }
}
