//! The last stage: products at the points back to outputs.

use std::marker::PhantomData;

use super::points::Points;
use super::tiles::{Grid, Part};
use crate::Layout;
use crate::gemm::{Finish, Place};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Transforms products to outputs.
pub(super) struct OutputStage<'a, P, const M: usize, const N: usize> {
    pub(super) points: PhantomData<P>,
    pub(super) products: &'a [f32],
    pub(super) part: Part,
    pub(super) grid: Grid,
    pub(super) finish: &'a Finish<'a>,
    pub(super) band: usize,
    pub(super) y: Parts<'a>,
    pub(super) layout: Layout,
}

impl<P: Points<M, N>, const M: usize, const N: usize> Kernel for OutputStage<'_, P, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { ref part, grid, layout, .. } = self;
        part.check(N * N, self.products.len());
        // Every tile has a pixel in the maps, and all that is written of it lies there.
        assert!(grid == Grid::of(&layout, M) && part.tiles.end <= layout.batch() * grid.down * grid.across);
        assert!(part.blocks.end <= layout.blocks() && self.y.len() == layout.len());
        self.finish.check_maps(&layout, self.band);
        let (steps, residual) = (layout.steps(), self.finish.residual_steps());
        for block in part.blocks.clone() {
            for spot in grid.walk(part.tiles.clone()) {
                let from = part.at(block, spot.tile);
                let (y, x) = (spot.y * M, spot.x * M);
                let to = Outputs {
                    rows: layout.height() - y,
                    columns: layout.width() - x,
                    at: steps.index(spot.n, block, y, x),
                    row: steps.row,
                    finish: Place {
                        channel: block * BLOCK,
                        residual_at: residual.index(spot.n, block, y, x),
                        band: self.band,
                    },
                    residual_row: residual.row,
                };
                for lane in (0..BLOCK).step_by(S::LANES) {
                    // SAFETY: all positions of the tile lie in the products, and what it has in the maps lies in
                    // `y` and in what the finish touches: checked above. It is the tile's own, and so are a
                    // task's channels' sums.
                    unsafe {
                        // Each way computes the outputs on its own: those of `whole` stay in registers.
                        if to.rows >= M && to.columns >= M {
                            self.whole(s, from + lane, &to, lane);
                        } else {
                            self.part(s, from + lane, &to, lane);
                        }
                    }
                }
                if layout.border() > 0 && spot.x == 0 {
                    let rows = y..(y + M).min(layout.height());
                    // SAFETY: the border beside a row of tiles goes with its first tile.
                    unsafe { layout.clear_border(self.y, spot.n, block, rows) }
                }
            }
        }
    }
}

/// Destination of a tile's outputs.
struct Outputs {
    /// Rows and columns from the first output to the end of the map.
    rows: usize,
    columns: usize,
    /// The first output, and the floats from a row to the next.
    at: usize,
    row: usize,
    /// Floats from a row to the next in the residual.
    finish: Place,
    residual_row: usize,
}

impl<P: Points<M, N>, const M: usize, const N: usize> OutputStage<'_, P, M, N> {
    /// `A^T m A` of the products that start at `at`.
    ///
    /// # Safety
    /// The products have a vector at each of the N^2 positions from `at` on.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    unsafe fn transform<S: Simd>(&self, s: S, at: usize) -> [[[S::V; 1]; M]; M] {
        // Opaque, or the offsets of all positions are kept, on the stack, from tile to tile.
        let position = std::hint::black_box(self.part.data.position);
        let mut half = [[s.zero(); N]; M];
        for j in 0..N {
            let mut column = [s.zero(); N];
            for i in 0..N {
                let at = at + (i * N + j) * position;
                // SAFETY: the caller vouches for every position.
                column[i] = unsafe { s.load(self.products.as_ptr().add(at)) };
            }
            let column = P::output(s, column);
            for i in 0..M {
                half[i][j] = column[i];
            }
        }
        let mut outputs = [[[s.zero()]; M]; M];
        for i in 0..M {
            let row = P::output(s, half[i]);
            for j in 0..M {
                outputs[i][j][0] = row[j];
            }
        }
        outputs
    }

    /// Finishes and stores a tile that lies in the map, for the vector from `lane` on.
    ///
    /// # Safety
    /// The outputs in the map lie in `y` and in what the finish touches, and nothing else touches them or the
    /// channels' sums.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    unsafe fn whole<S: Simd>(&self, s: S, from: usize, to: &Outputs, lane: usize) {
        let y = self.y.pointer(to.at + lane);
        // SAFETY: the caller vouches for the products and the outputs.
        unsafe {
            let mut outputs = self.transform(s, from);
            self.finish.apply_rows(s, &to.finish.lane(lane), [to.residual_row, BLOCK], &mut outputs);
            for i in 0..M {
                for j in 0..M {
                    s.store(y.add(i * to.row + j * BLOCK), outputs[i][j][0]);
                }
            }
        }
    }

    /// Stores a tile of which a part lies in the map.
    ///
    /// # Safety
    /// As for [`OutputStage::whole`].
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    unsafe fn part<S: Simd>(&self, s: S, from: usize, to: &Outputs, lane: usize) {
        let y = self.y.pointer(to.at + lane);
        // SAFETY: the caller vouches for the products.
        let outputs = unsafe { self.transform(s, from) };
        for i in 0..M {
            let residual_at = to.finish.residual_at + i * to.residual_row;
            let place = Place { residual_at, ..to.finish }.lane(lane);
            for j in 0..M {
                if i < to.rows && j < to.columns {
                    let mut pixel = [outputs[i][j]];
                    // SAFETY: the caller vouches for what lies in the map.
                    unsafe {
                        self.finish.apply(s, &place, j, BLOCK, &mut pixel);
                        s.store(y.add(i * to.row + j * BLOCK), pixel[0][0]);
                    }
                }
            }
        }
    }
}
