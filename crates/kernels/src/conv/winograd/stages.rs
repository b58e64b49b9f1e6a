//! The first stages: inputs, or gradients, to the points, and products there.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::Points;
use super::weights::WinogradWeights;
use crate::Layout;
use crate::gemm::{Strip, run_strip};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Input channel blocks whose products are added up in registers at a time, see `CHUNK` in `direct`.
const CHUNK: usize = 16;

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
    /// The tiles of `size` x `size` pixels of maps that lie as `maps` says; the last may reach beyond them.
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

/// Where a tile lies: its number, its image, and its row and column there.
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

/// Transforms the input tiles `tiles` of the channel blocks `blocks`.
pub(super) struct InputStage<'a, P, const M: usize, const N: usize> {
    pub(super) points: PhantomData<P>,
    pub(super) x: &'a [f32],
    pub(super) layout: Layout,
    pub(super) padding: [usize; 2],
    pub(super) grid: Grid,
    pub(super) tiles: Range<usize>,
    pub(super) blocks: Range<usize>,
    /// What to fill.
    pub(super) target: Parts<'a>,
    pub(super) shape: Transformed,
    /// The tile and the channel block with which the target starts.
    pub(super) first: (usize, usize),
}

impl<P: Points<M, N>, const M: usize, const N: usize> Kernel for InputStage<'_, P, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = self.blocks.end - self.first.1;
        let last = (N * N - 1) * self.shape.position + blocks * self.shape.block();
        assert!(last <= self.target.len() && self.tiles.end - self.first.0 <= self.shape.tiles);
        for block in self.blocks.clone() {
            for spot in self.grid.walk(self.tiles.clone()) {
                let at = (block - self.first.1) * self.shape.block() + (spot.tile - self.first.0) * BLOCK;
                for lane in (0..BLOCK).step_by(S::LANES) {
                    let target = self.target.pointer(at + lane);
                    // SAFETY: all positions of the tile lie in the target: checked above.
                    unsafe { self.tile(s, block, spot, lane, target) }
                }
            }
        }
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> InputStage<'_, P, M, N> {
    /// # Safety
    /// `target` is valid for a vector at each of the N^2 positions.
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, s: S, block: usize, spot: Spot, lane: usize, target: *mut f32) {
        let Spot { n, y: ty, x: tx, .. } = spot;
        let (y, rows) = self.inside(ty, self.padding[0], self.layout.height(), N);
        let (x, columns) = self.inside(tx, self.padding[1], self.layout.width(), N);
        let plane = n * self.layout.image() + block * self.layout.plane() + lane;
        let start = plane as isize + y * self.layout.row() as isize + x * BLOCK as isize;
        let tile = Tile { x: self.x, start, row: self.layout.row(), rows, columns };
        tile.check(S::LANES);
        // SAFETY: the caller vouches for the target, and the pixels were checked.
        unsafe {
            if tile.rows == (0..N) && tile.columns == (0..N) {
                self.transform::<S, true>(s, &tile, target);
            } else {
                self.transform::<S, false>(s, &tile, target);
            }
        }
    }

    /// On one axis: where a tile starts in the map with its border, and which of its `n` pixels lie
    /// there; the others are zeros of the padding, or beyond what the outputs in the map need.
    #[inline(always)]
    fn inside(&self, tile: usize, padding: usize, size: usize, n: usize) -> (isize, Range<usize>) {
        let border = self.layout.border();
        let start = (tile * M * P::STRIDE + border) as isize - padding as isize;
        let to = ((size + 2 * border) as isize - start).clamp(0, n as isize) as usize;
        let from = (-start).clamp(0, to as isize) as usize;
        (start, from..to)
    }

    /// `B^T d B`
    ///
    /// # Safety
    /// `target` is valid for a vector at each of the N^2 positions. `tile` has been checked; where `WHOLE`, all
    /// of it exists.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    unsafe fn transform<S: Simd, const WHOLE: bool>(&self, s: S, tile: &Tile<'_>, target: *mut f32) {
        // Opaque, or the offsets of all positions are kept, on the stack, from tile to tile.
        let position = std::hint::black_box(self.shape.position);
        let mut half = [[s.zero(); N]; N];
        for j in 0..N {
            let mut column = [s.zero(); N];
            for i in 0..N {
                // SAFETY: the caller has checked the tile.
                column[i] = unsafe { tile.load::<S, WHOLE>(s, i, j) };
            }
            let column = P::input(s, column);
            for i in 0..N {
                half[i][j] = column[i];
            }
        }
        for i in 0..N {
            let row = P::input(s, half[i]);
            for j in 0..N {
                // SAFETY: the caller vouches for every position.
                unsafe { s.store(target.add((i * N + j) * position), row[j]) }
            }
        }
    }
}

/// What a pixel that does not exist reads.
static ZEROS: [f32; BLOCK] = [0.0; BLOCK];

/// A tile of the input, for one vector of channels.
struct Tile<'a> {
    x: &'a [f32],
    /// Where its first pixel lies, which may be before the input.
    start: isize,
    row: usize,
    /// The pixels that exist.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Tile<'_> {
    /// Panics unless all pixels that exist lie in the input, each with `lanes` floats.
    #[inline(always)]
    fn check(&self, lanes: usize) {
        if !self.rows.is_empty() && !self.columns.is_empty() {
            let at = |i: usize, j: usize| self.start + (i * self.row + j * BLOCK) as isize;
            assert!(at(self.rows.start, self.columns.start) >= 0);
            assert!(at(self.rows.end - 1, self.columns.end - 1) as usize + lanes <= self.x.len());
        }
    }

    /// Pixel (`i`, `j`), zero where it does not exist.
    ///
    /// # Safety
    /// `check` has passed; where `WHOLE`, the pixel exists.
    #[inline(always)]
    unsafe fn load<S: Simd, const WHOLE: bool>(&self, s: S, i: usize, j: usize) -> S::V {
        let at = self.start.wrapping_add_unsigned(i * self.row + j * BLOCK);
        let inside = |range: &Range<usize>, k: usize| (range.start <= k) & (k < range.end);
        let exists = WHOLE | (inside(&self.rows, i) & inside(&self.columns, j));
        // A choice of addresses and not of ways: which pixels exist changes from tile to tile.
        let pixel = if exists { self.x.as_ptr().wrapping_offset(at) } else { ZEROS.as_ptr() };
        // SAFETY: pixels that exist were checked; a vector is no longer than a block.
        unsafe { s.load(pixel) }
    }
}

/// Transforms the gradients by the outputs, tile by tile: `A dy A^T`.
pub(super) struct GradientStage<'a, P, const M: usize, const N: usize> {
    pub(super) points: PhantomData<P>,
    pub(super) dy: &'a [f32],
    pub(super) layout: Layout,
    pub(super) grid: Grid,
    pub(super) tiles: Range<usize>,
    pub(super) blocks: Range<usize>,
    /// What to fill.
    pub(super) target: Parts<'a>,
    pub(super) shape: Transformed,
    /// The tile and the channel block with which the target starts.
    pub(super) first: (usize, usize),
}

impl<P: Points<M, N>, const M: usize, const N: usize> Kernel for GradientStage<'_, P, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = self.blocks.end - self.first.1;
        let last = (N * N - 1) * self.shape.position + blocks * self.shape.block();
        assert!(last <= self.target.len() && self.tiles.end - self.first.0 <= self.shape.tiles);
        for block in self.blocks.clone() {
            for spot in self.grid.walk(self.tiles.clone()) {
                let at = (block - self.first.1) * self.shape.block() + (spot.tile - self.first.0) * BLOCK;
                for lane in (0..BLOCK).step_by(S::LANES) {
                    let target = self.target.pointer(at + lane);
                    // SAFETY: all positions of the tile lie in the target: checked above.
                    unsafe { self.tile(s, block, spot, lane, target) }
                }
            }
        }
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> GradientStage<'_, P, M, N> {
    /// # Safety
    /// `target` is valid for a vector at each of the N^2 positions.
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, s: S, block: usize, spot: Spot, lane: usize, target: *mut f32) {
        let Spot { n, y: ty, x: tx, .. } = spot;
        let (y, x) = (ty * M, tx * M);
        let rows = 0..M.min(self.layout.height() - y);
        let columns = 0..M.min(self.layout.width() - x);
        let start = self.layout.index(n, block, y, x) + lane;
        let tile = Tile { x: self.dy, start: start as isize, row: self.layout.row(), rows, columns };
        // SAFETY: the caller vouches for the target.
        unsafe {
            if tile.rows == (0..M) && tile.columns == (0..M) {
                assert!(start + (M - 1) * (tile.row + BLOCK) + S::LANES <= self.dy.len());
                self.transform::<S, true>(s, &tile, target);
            } else {
                self.transform::<S, false>(s, &tile, target);
            }
        }
    }

    /// `A dy A^T`
    ///
    /// # Safety
    /// `target` is valid for a vector at each of the N^2 positions. Where `WHOLE`, all of the tile lies
    /// in the gradient.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    unsafe fn transform<S: Simd, const WHOLE: bool>(&self, s: S, tile: &Tile<'_>, target: *mut f32) {
        let mut half = [[s.zero(); M]; N];
        for j in 0..M {
            let mut column = [s.zero(); M];
            for i in 0..M {
                // SAFETY: the caller vouches for whole tiles; else what does not exist is not read.
                column[i] = unsafe { tile.load::<S, WHOLE>(s, i, j) };
            }
            let column = P::gradient(s, column);
            for i in 0..N {
                half[i][j] = column[i];
            }
        }
        for i in 0..N {
            let row = P::gradient(s, half[i]);
            for j in 0..N {
                // SAFETY: the caller vouches for every position.
                unsafe { s.store(target.add((i * N + j) * self.shape.position), row[j]) }
            }
        }
    }
}

/// Multiplies at the positions `positions` for the panels `panels`.
pub(super) struct ProductStage<'a> {
    pub(super) inputs: &'a [f32],
    pub(super) from: Transformed,
    /// Where each input channel block lies in a position.
    pub(super) offsets: &'a [usize],
    pub(super) weights: &'a WinogradWeights,
    pub(super) positions: Range<usize>,
    pub(super) panels: Range<usize>,
    pub(super) tiles: usize,
    pub(super) products: Parts<'a>,
    pub(super) to: Transformed,
    /// The channel block with which `products` starts.
    pub(super) block: usize,
}

impl Kernel for ProductStage<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let entries = self.offsets.len();
        let chunks = entries.div_ceil(CHUNK);
        for position in self.positions.clone() {
            for chunk in 0..chunks {
                let range = chunk * entries / chunks..(chunk + 1) * entries / chunks;
                for panel in &self.weights.list()[self.panels.clone()] {
                    let strip = Strip {
                        input: self.inputs,
                        origin: position * self.from.position,
                        row_stride: BLOCK,
                        rows: self.tiles,
                        offsets: &self.offsets[range.clone()],
                        reach: self.offsets[range.end - 1],
                        depth: BLOCK,
                        weights: self.weights.of(position, panel, range.clone()),
                        output: self.products,
                        at: position * self.to.position + (panel.block - self.block) * self.to.block(),
                        block_stride: self.to.block(),
                        step: BLOCK,
                        blocks: panel.blocks,
                        add: chunk > 0,
                        finish: None,
                    };
                    // SAFETY: the positions and panels of a task are its own.
                    unsafe { run_strip(s, &strip) }
                }
            }
        }
    }
}
