//! The micro-kernel of weight gradients: outer products of channels, added up over pixels.

use crate::memory::Parts;
use crate::simd::{BLOCK, Simd};

/// `sums[i][o] += sum over rows r < rows and pixels q < pixels of
/// x[x_at + r x_row + q x_step + at(i)] y[y_at + r y_row + 16 q + o]`
///
/// where the `o` are the channels of `blocks` channel blocks, `y_block` floats apart, and `at(i)` is `i`,
/// the channels of a block, or what `offsets` say.
pub(in crate::conv) struct Outer<'a> {
    pub(in crate::conv) x: &'a [f32],
    pub(in crate::conv) x_at: usize,
    pub(in crate::conv) x_row: usize,
    pub(in crate::conv) x_step: usize,
    /// One for every row of the sums; `None` stands for the 16 channels of a block.
    pub(in crate::conv) offsets: Option<&'a [usize]>,
    pub(in crate::conv) y: &'a [f32],
    pub(in crate::conv) y_at: usize,
    pub(in crate::conv) y_row: usize,
    pub(in crate::conv) y_block: usize,
    pub(in crate::conv) rows: usize,
    pub(in crate::conv) pixels: usize,
    pub(in crate::conv) blocks: usize,
    /// `[rows of the sums][blocks * 16]` from `sums_at` on.
    pub(in crate::conv) sums: Parts<'a>,
    pub(in crate::conv) sums_at: usize,
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
    let count = outer.offsets.map_or(BLOCK, <[usize]>::len);
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
        assert!(self.rows > 0 && self.pixels > 0 && self.blocks > 0);
        let (rows, pixels) = (self.rows - 1, self.pixels - 1);
        let reach = self.offsets.map_or(BLOCK - 1, |offsets| offsets.iter().copied().max().unwrap_or(0));
        assert!(self.x_at + rows * self.x_row + pixels * self.x_step + reach < self.x.len());
        let last = self.y_at + rows * self.y_row + pixels * BLOCK + (self.blocks - 1) * self.y_block;
        assert!(last + BLOCK <= self.y.len());
        let count = self.offsets.map_or(BLOCK, <[usize]>::len);
        assert!(self.sums_at + count * self.blocks * BLOCK <= self.sums.len());
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
    let width = NV * S::LANES;
    let target = outer.sums.pointer(outer.sums_at + first * width);
    let column = |v: usize| v * S::LANES / BLOCK * outer.y_block + v * S::LANES % BLOCK;
    let mut sums = [[s.zero(); NV]; MI];
    // SAFETY: every access is one of those that were checked.
    unsafe {
        for i in 0..MI {
            for v in 0..NV {
                if i < rows {
                    sums[i][v] = s.load(target.add(i * width + v * S::LANES));
                }
            }
        }
        for row in 0..outer.rows {
            let x = outer.x.as_ptr().add(outer.x_at + row * outer.x_row);
            let y = outer.y.as_ptr().add(outer.y_at + row * outer.y_row);
            match outer.offsets {
                None => {
                    let x = x.add(first);
                    for pixel in 0..outer.pixels {
                        let (x, y) = (x.add(pixel * outer.x_step), y.add(pixel * BLOCK));
                        let w: [S::V; NV] = std::array::from_fn(|v| s.load(y.add(column(v))));
                        for i in 0..MI {
                            let x = s.splat(*x.add(i));
                            for v in 0..NV {
                                sums[i][v] = s.fma(x, w[v], sums[i][v]);
                            }
                        }
                    }
                }
                Some(offsets) => {
                    // A row that does not exist repeats the last.
                    let x: [*const f32; MI] =
                        std::array::from_fn(|i| x.add(offsets[first + i.min(rows - 1)]));
                    for pixel in 0..outer.pixels {
                        let y = y.add(pixel * BLOCK);
                        let w: [S::V; NV] = std::array::from_fn(|v| s.load(y.add(column(v))));
                        for i in 0..MI {
                            let x = s.splat(*x[i].add(pixel * outer.x_step));
                            for v in 0..NV {
                                sums[i][v] = s.fma(x, w[v], sums[i][v]);
                            }
                        }
                    }
                }
            }
        }
        for i in 0..MI {
            for v in 0..NV {
                if i < rows {
                    s.store(target.add(i * width + v * S::LANES), sums[i][v]);
                }
            }
        }
    }
}
