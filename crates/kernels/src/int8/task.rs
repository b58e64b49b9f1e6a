//! A share of a convolution's work, compiled for each size of tile.

use super::finish::Finish;
use super::grid::{Grid, Share, Tile};
use super::tile::{MOST_SUMS, Sums, Walk, tile};
use super::token::{Dot, DotKernel, DotProduct};

/// A convolution on given memory.
pub(super) struct Call<'a> {
    pub(super) grid: Grid,
    pub(super) walk: Walk,
    /// [`Walk::runs`]
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "AMX alone has a list of them"))]
    pub(super) runs: &'a [usize],
    /// The inputs, and the first that the first pixel of the first image reads.
    pub(super) x: &'a [u8],
    pub(super) origin: usize,
    /// Bytes from the inputs of an image to those of the next.
    pub(super) image: usize,
    /// Bytes from the inputs of a pixel to those of the next in the row.
    pub(super) step: usize,
    /// Weights and start of the sums, panel by panel.
    pub(super) weights: &'a [i8],
    pub(super) starts: &'a [i32],
    /// Blocks of output channels in a panel.
    pub(super) panel: usize,
    pub(super) finish: Finish<'a>,
}

impl Call<'_> {
    /// Computes a share, which nothing else computes at the same time.
    pub(super) fn run(&self, dot: DotProduct, narrow: bool, share: Share) {
        self.check();
        #[cfg(target_arch = "x86_64")]
        if let Some(amx) = dot.amx() {
            dot.run(narrow, super::amx::Tiles { amx, call: self, share });
            return;
        }
        macro_rules! by_size {
            ($($step:literal: $([$rows:literal, $columns:literal])*;)*) => {
                match (self.grid.tile, self.step, self.panel) {
                    $($(
                        ([$rows, $columns], $step, 1) => {
                            dot.run(narrow, Tiles::<$rows, $columns, $step, 1>(self, share));
                        }
                        ([$rows, $columns], $step, 2) => {
                            dot.run(narrow, Tiles::<$rows, $columns, $step, 2>(self, share));
                        }
                    )*)*
                    _ => unreachable!("the grid has one of the sizes, the step is one of the steps"),
                }
            };
        }
        by_size! {
            4: [1, 14] [1, 8] [1, 6] [1, 4] [1, 2] [1, 1];
            8: [1, 14] [1, 8] [1, 6] [1, 4] [1, 2] [1, 1];
            16: [1, 14] [2, 7] [1, 13] [1, 11] [2, 4] [1, 8] [1, 7] [1, 6] [1, 4] [1, 2] [1, 1];
            32: [1, 14] [2, 7] [1, 8] [1, 6] [1, 4] [1, 2] [1, 1];
        }
    }

    /// Panics unless all that is read lies in its slices.
    fn check(&self) {
        let (walk, panels) = (&self.walk, self.finish.blocks.div_ceil(self.panel));
        let last = self.grid.tile(self.grid.tiles() - 1);
        let [rows, columns] = [0, 1].map(|axis| last.first[axis] + self.grid.tile[axis] - 1);
        let reach = (walk.blocks - 1) * walk.block + (walk.rows - 1) * walk.row + walk.run;
        let end = self.origin + last.image * self.image + rows * walk.tile_row + columns * self.step + reach;
        assert!(end <= self.x.len() && walk.run.is_multiple_of(4));
        assert!(self.weights.len() >= panels * self.weights_of_panel());
        assert!(self.starts.len() >= panels * self.panel * 16);
    }

    /// First input of a tile.
    #[inline(always)]
    pub(super) fn first(&self, tile: &Tile) -> usize {
        let [row, column] = tile.first;
        self.origin + tile.image * self.image + row * self.walk.tile_row + column * self.step
    }

    /// Bytes of weights of a panel.
    pub(super) fn weights_of_panel(&self) -> usize {
        self.walk.blocks * self.walk.rows * self.walk.run * self.panel * 16
    }
}

/// A share, of tiles of `R` rows of `C` pixels that are `STEP` bytes apart, and panels of `NB` blocks.
struct Tiles<'a, const R: usize, const C: usize, const STEP: usize, const NB: usize>(&'a Call<'a>, Share);

impl<const R: usize, const C: usize, const STEP: usize, const NB: usize> DotKernel
    for Tiles<'_, R, C, STEP, NB>
{
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        if const { R * C <= D::PIXELS && NB <= D::BLOCKS && (NB == D::BLOCKS || D::BLOCKS > 1) } {
            let Self(call, share) = self;
            let mut sums = Sums([0; MOST_SUMS]);
            let each = call.weights_of_panel();
            for panel in share.panels {
                let weights = call.weights[panel * each..].as_ptr();
                let start = call.starts[panel * NB * 16..].as_ptr();
                for index in share.tiles.clone() {
                    let at = call.grid.tile(index);
                    let x = call.first(&at);
                    // SAFETY: the call was checked, and the share is this task's alone.
                    unsafe {
                        let x = call.x.as_ptr().add(x);
                        tile::<D, R, C, STEP, NB>(d, &call.walk, x, (weights, start), &mut sums);
                        call.finish.run(d, &sums, (&at, [R, C]), [panel * NB, NB]);
                    }
                }
            }
        }
    }
}
