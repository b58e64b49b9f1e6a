//! The first stage: tiles of inputs, or of gradients, to the points.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::Points;
use super::tiles::{Grid, Part, Spot};
use crate::Layout;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Transforms tiles of maps to the N^2 positions.
pub(super) struct TransformStage<'a, T, const N: usize> {
    pub(super) maps: T,
    pub(super) grid: Grid,
    pub(super) part: Part,
    /// Memory to fill.
    pub(super) target: Parts<'a>,
}

/// A vector of channels of a tile: those of block `block` from channel `lane` on.
#[derive(Clone, Copy)]
pub(super) struct Vector {
    spot: Spot,
    block: usize,
    lane: usize,
}

/// Maps whose tiles are transformed to N^2 positions.
pub(super) trait Tiles<const N: usize> {
    /// Transforms one vector of channels of a tile; positions lie `position` floats apart.
    ///
    /// # Safety
    /// `target` is valid for a vector at each of the N^2 positions.
    unsafe fn transform<S: Simd>(&self, s: S, at: Vector, target: *mut f32, position: usize);
}

impl<T: Tiles<N>, const N: usize> Kernel for TransformStage<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { maps, grid, part, target } = self;
        part.check(N * N, target.len());
        for block in part.blocks.clone() {
            for spot in grid.walk(part.tiles.clone()) {
                let at = part.at(block, spot.tile);
                for lane in (0..BLOCK).step_by(S::LANES) {
                    let target = target.pointer(at + lane);
                    // SAFETY: all positions of the tile lie in the target: checked above.
                    unsafe { maps.transform(s, Vector { spot, block, lane }, target, part.data.position) }
                }
            }
        }
    }
}

/// The input: `B^T d B`.
pub(super) struct Inputs<'a, P, const M: usize, const N: usize> {
    pub(super) points: PhantomData<P>,
    pub(super) x: &'a [f32],
    pub(super) layout: Layout,
    pub(super) padding: [usize; 2],
}

impl<P: Points<M, N>, const M: usize, const N: usize> Tiles<N> for Inputs<'_, P, M, N> {
    #[inline(always)]
    unsafe fn transform<S: Simd>(
        &self,
        s: S,
        Vector { spot, block, lane }: Vector,
        target: *mut f32,
        position: usize,
    ) {
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
                both_axes::<S, InputAxis<P, M, N>, N, N, true>(s, &tile, target, position);
            } else {
                both_axes::<S, InputAxis<P, M, N>, N, N, false>(s, &tile, target, position);
            }
        }
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> Inputs<'_, P, M, N> {
    /// Start of a tile on one axis of the map with its border, and which of its `n` pixels lie
    /// there; the others are zeros of the padding, or beyond what the outputs in the map need.
    #[inline(always)]
    fn inside(&self, tile: usize, padding: usize, size: usize, n: usize) -> (isize, Range<usize>) {
        let border = self.layout.border();
        let start = (tile * M * P::STRIDE + border) as isize - padding as isize;
        let to = ((size + 2 * border) as isize - start).clamp(0, n as isize) as usize;
        let from = (-start).clamp(0, to as isize) as usize;
        (start, from..to)
    }
}

/// Values of a pixel that does not exist.
static ZEROS: [f32; BLOCK] = [0.0; BLOCK];

/// A tile of the input, for one vector of channels.
struct Tile<'a> {
    x: &'a [f32],
    /// Offset of its first pixel, which may be before the input.
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

/// Gradient with respect to the outputs: `A dy A^T`.
pub(super) struct Gradients<'a, P, const M: usize, const N: usize> {
    pub(super) points: PhantomData<P>,
    pub(super) dy: &'a [f32],
    pub(super) layout: Layout,
}

impl<P: Points<M, N>, const M: usize, const N: usize> Tiles<N> for Gradients<'_, P, M, N> {
    #[inline(always)]
    unsafe fn transform<S: Simd>(
        &self,
        s: S,
        Vector { spot, block, lane }: Vector,
        target: *mut f32,
        position: usize,
    ) {
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
                both_axes::<S, GradientAxis<P, M, N>, M, N, true>(s, &tile, target, position);
            } else {
                both_axes::<S, GradientAxis<P, M, N>, M, N, false>(s, &tile, target, position);
            }
        }
    }
}

/// A transform of the pixels of a tile on one axis, `K` of them to `N` points.
trait Axis<const K: usize, const N: usize> {
    /// Opacity of the distance between positions: else the offsets of all positions are kept, on the stack, from
    /// tile to tile.
    const OPAQUE: bool;

    fn line<S: Simd>(s: S, pixels: [S::V; K]) -> [S::V; N];
}

/// `B^T d`
struct InputAxis<P, const M: usize, const N: usize>(PhantomData<P>);

impl<P: Points<M, N>, const M: usize, const N: usize> Axis<N, N> for InputAxis<P, M, N> {
    const OPAQUE: bool = true;

    #[inline(always)]
    fn line<S: Simd>(s: S, pixels: [S::V; N]) -> [S::V; N] {
        P::input(s, pixels)
    }
}

/// `A dy`
struct GradientAxis<P, const M: usize, const N: usize>(PhantomData<P>);

impl<P: Points<M, N>, const M: usize, const N: usize> Axis<M, N> for GradientAxis<P, M, N> {
    const OPAQUE: bool = false;

    #[inline(always)]
    fn line<S: Simd>(s: S, pixels: [S::V; M]) -> [S::V; N] {
        P::gradient(s, pixels)
    }
}

/// Transforms a tile on both axes, `B^T d B` or `A dy A^T`.
///
/// # Safety
/// `target` is valid for a vector at each of the N^2 positions. `tile` has been checked; where `WHOLE`, all of it
/// exists.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
unsafe fn both_axes<S: Simd, A: Axis<K, N>, const K: usize, const N: usize, const WHOLE: bool>(
    s: S,
    tile: &Tile<'_>,
    target: *mut f32,
    position: usize,
) {
    let position = if A::OPAQUE { std::hint::black_box(position) } else { position };
    let mut half = [[s.zero(); K]; N];
    for j in 0..K {
        let mut column = [s.zero(); K];
        for i in 0..K {
            // SAFETY: the caller has checked the tile.
            column[i] = unsafe { tile.load::<S, WHOLE>(s, i, j) };
        }
        let column = A::line(s, column);
        for i in 0..N {
            half[i][j] = column[i];
        }
    }
    for i in 0..N {
        let row = A::line(s, half[i]);
        for j in 0..N {
            // SAFETY: the caller vouches for every position.
            unsafe { s.store(target.add((i * N + j) * position), row[j]) }
        }
    }
}
