//! Sums at the points of one pair of channel blocks after the other, and their transforms.

use std::ops::Range;

use super::maps::Maps;
use super::taps::{M, N, OutputRows, Sums, finish};
use super::tiles::Grid;
use crate::Layout;
use crate::conv::backward::{Target, Task};
use crate::simd::{BLOCK, Kernel, Simd};

/// The most output channels whose sums at all points are computed at once: with those of a panel of two
/// input blocks they are 36 KiB, which stay in the level 1 cache until they are transformed.
const ROWS: usize = 8;

/// Positions ahead of their use by which gradients are fetched.
const AHEAD: usize = 2;

/// Products of a task's pairs of channel blocks, one pair after the other.
pub(super) struct Pairs<'a> {
    pub(super) maps: Maps<'a>,
    pub(super) task: &'a Task,
    /// Room for [`Pairs::sums`] floats.
    pub(super) points: &'a mut [f32],
    pub(super) target: Target<'a>,
    pub(super) filled: Filled,
}

/// Tiles whose gradient is not zero at a position.
///
/// The point at infinity reads the last of a tile's outputs: where the map ends before it, the last row or
/// column of tiles adds nothing at a sixth of the positions.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    /// Tiles of all images, and in a row.
    tiles: usize,
    across: usize,
    /// Tiles without the last row's outputs, which are the last of all: those of one image.
    below: usize,
    /// Absence of outputs in the last column of the last tile of a row.
    beside: bool,
}

impl Filled {
    pub(super) fn new(tiles: usize, grid: Grid, dy: &Layout) -> Self {
        let short = |size: usize| !size.is_multiple_of(M);
        let below = if dy.batch() == 1 && short(dy.height()) { grid.across } else { 0 };
        Self { tiles, across: grid.across, below, beside: short(dy.width()) }
    }

    /// Filled tiles at position `position`: lines of tiles, [`Filled::across`] tiles apart, and tiles of a line.
    #[inline(always)]
    fn at(&self, position: usize) -> (usize, usize) {
        let tiles = if position / N == N - 1 { self.tiles - self.below } else { self.tiles };
        if position % N == N - 1 && self.beside { (tiles / self.across, self.across - 1) } else { (1, tiles) }
    }
}

impl Pairs<'_> {
    /// Floats of the sums that are kept at a time, for panels of `width` blocks.
    pub(super) fn sums(width: usize) -> usize {
        N * N * Self::position(width * BLOCK)
    }

    /// Floats from a position to the next, of rows of `row` floats: kept off the powers of two.
    fn position(row: usize) -> usize {
        ROWS * row + BLOCK
    }
}

impl Kernel for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for panel in 0..self.task.panels() {
            let blocks = self.task.panel(panel);
            for out in self.task.outs.clone() {
                let rows = self.target.bands.rows(out);
                for first in (0..rows).step_by(ROWS) {
                    self.rows(s, &blocks, out, first..rows.min(first + ROWS));
                }
            }
        }
    }
}

impl Pairs<'_> {
    /// The gradients of the channels `rows` of block `out` and of the input blocks `blocks`.
    #[inline(always)]
    fn rows<S: Simd>(&mut self, s: S, blocks: &Range<usize>, out: usize, rows: Range<usize>) {
        macro_rules! tiles {
            ($rows:literal, $vectors:literal) => {{
                for first in (0..rows.len()).step_by($rows) {
                    let tile = Tile { blocks, out, channel: rows.start + first, row: first };
                    self.products::<S, $rows, $vectors>(s, tile)
                }
                let width = $vectors * S::LANES;
                let sums = Sums { values: self.points, position: Self::position(width), row: width };
                let rows = OutputRows { block: out, rows };
                finish::<S, $vectors>(s, sums, rows, blocks.start, self.target);
            }};
        }
        match blocks.len() * BLOCK / S::LANES {
            1 if const { S::LANES == 16 } => tiles!(8, 1),
            2 if const { S::TILE_ROWS >= 8 } => tiles!(8, 2),
            2 => tiles!(4, 2),
            4 if const { S::LANES == 4 } => tiles!(4, 4),
            _ => unreachable!("a panel is at most TILE_BLOCKS wide"),
        }
    }

    /// The sums of `tile`, `MI` channels by `NV` vectors, at all points.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    fn products<S: Simd, const MI: usize, const NV: usize>(&mut self, s: S, tile: Tile<'_>) {
        let Self { maps, points, filled, .. } = self;
        let Tile { blocks, out, channel, row } = tile;
        let (width, stride) = (NV * S::LANES, Self::position(NV * S::LANES));
        // Where vector `v` lies, where blocks are `block` floats apart.
        let column = |block: usize, v: usize| v * S::LANES / BLOCK * block + v * S::LANES % BLOCK;
        let (left, right, block) = (maps.gradient(0, out), maps.input(0, blocks.start), maps.from.block());
        let last = (N * N - 1, maps.tiles * BLOCK);
        assert!(filled.tiles <= maps.tiles);
        assert!(channel + MI <= BLOCK && left.at + last.0 * maps.to.position + last.1 <= left.values.len());
        let end = right.at + last.0 * maps.from.position + (blocks.len() - 1) * block + last.1;
        assert!(end <= right.values.len() && last.0 * stride + (row + MI) * width <= points.len());
        let mut l = left.values[left.at + channel..].as_ptr();
        let mut r = right.values[right.at..].as_ptr();
        let mut place = points[row * width..].as_mut_ptr();
        let across = filled.across;
        for position in 0..N * N {
            let (lines, tiles) = filled.at(position);
            let mut sums = [[s.zero(); NV]; MI];
            // SAFETY: the last position's tiles and sums were checked to lie in the maps and the points.
            unsafe {
                for line in 0..lines {
                    for tile in line * across..line * across + tiles {
                        let (l, r) = (l.add(tile * BLOCK), r.add(tile * BLOCK));
                        s.prefetch(l.wrapping_add(AHEAD * maps.to.position));
                        let w: [S::V; NV] = std::array::from_fn(|v| s.load(r.add(column(block, v))));
                        for i in 0..MI {
                            let x = s.splat(*l.add(i));
                            for v in 0..NV {
                                sums[i][v] = s.fma(x, w[v], sums[i][v]);
                            }
                        }
                    }
                }
                for i in 0..MI {
                    for v in 0..NV {
                        s.store(place.add(i * width + v * S::LANES), sums[i][v]);
                    }
                }
            }
            l = l.wrapping_add(maps.to.position);
            r = r.wrapping_add(maps.from.position);
            place = place.wrapping_add(stride);
        }
    }
}

/// Some channels of block `out`, from `channel` on, by the input blocks `blocks`; their sums start with row
/// `row`.
struct Tile<'a> {
    blocks: &'a Range<usize>,
    out: usize,
    channel: usize,
    row: usize,
}
