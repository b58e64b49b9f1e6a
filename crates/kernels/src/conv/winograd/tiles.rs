//! The tiles of maps, and where their transformed data lies.

use std::ops::Range;

use crate::Layout;
use crate::simd::BLOCK;

/// Transformed data, `[position][channel block][tile][16]`.
#[derive(Clone, Copy)]
pub(super) struct Transformed {
    /// Tiles that there is room for.
    pub(super) tiles: usize,
    /// Floats from a position to the next.
    pub(super) position: usize,
}

impl Transformed {
    /// A position's stride is kept off the powers of two: the positions of a tile are written one after
    /// the other, and would all fall into the same set of the level 1 cache.
    pub(super) fn new(blocks: usize, tiles: usize) -> Self {
        Self { tiles, position: blocks * tiles * BLOCK + BLOCK }
    }

    pub(super) fn block(&self) -> usize {
        self.tiles * BLOCK
    }
}

/// The tiles that an image is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) down: usize,
    pub(super) across: usize,
}

impl Grid {
    /// The tiles of `size` x `size` pixels of maps of layout `maps`; the last may reach beyond them.
    pub(super) fn of(maps: &Layout, size: usize) -> Self {
        Self { down: maps.height().div_ceil(size), across: maps.width().div_ceil(size) }
    }

    /// The tiles `tiles`, in order.
    pub(super) fn walk(self, tiles: Range<usize>) -> Walk {
        let (row, x) = (tiles.start / self.across, tiles.start % self.across);
        let (n, y) = (row / self.down, row % self.down);
        Walk { grid: self, next: Spot { tile: tiles.start, n, y, x }, end: tiles.end }
    }
}

/// Place of a tile: its number, its image, and its row and column there.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) tile: usize,
    pub(super) n: usize,
    pub(super) y: usize,
    pub(super) x: usize,
}

/// Goes through tiles without a division for each.
pub(super) struct Walk {
    grid: Grid,
    next: Spot,
    end: usize,
}

impl Iterator for Walk {
    type Item = Spot;

    #[inline(always)]
    fn next(&mut self) -> Option<Spot> {
        let spot = self.next;
        if spot.tile >= self.end {
            return None;
        }
        let Spot { tile, n, y, x } = &mut self.next;
        (*tile, *x) = (*tile + 1, *x + 1);
        if *x == self.grid.across {
            (*y, *x) = (*y + 1, 0);
        }
        if *y == self.grid.down {
            (*n, *y) = (*n + 1, 0);
        }
        Some(spot)
    }
}

/// Tiles and channel blocks of transformed data.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) tiles: Range<usize>,
    pub(super) blocks: Range<usize>,
    /// The data that they are a part of.
    pub(super) data: Transformed,
    /// The tile and the channel block with which the data starts.
    pub(super) first: (usize, usize),
}

impl Part {
    /// Panics unless the part lies in data of `floats` floats and `positions` positions.
    #[inline(always)]
    pub(super) fn check(&self, positions: usize, floats: usize) {
        let blocks = self.blocks.end - self.first.1;
        assert!((positions - 1) * self.data.position + blocks * self.data.block() <= floats);
        assert!(self.tiles.end - self.first.0 <= self.data.tiles);
    }

    /// Offset of tile `tile` of channel block `block` at the first position.
    #[inline(always)]
    pub(super) fn at(&self, block: usize, tile: usize) -> usize {
        (block - self.first.1) * self.data.block() + (tile - self.first.0) * BLOCK
    }
}
