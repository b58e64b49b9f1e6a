//! A share of a convolution's work on AMX.

use super::grid::Share;
use super::task::Call;
use super::tile::{MOST_SUMS, Sums};
use super::token::{Amx, Dot, DotKernel, Groups};

/// A share whose tiles are of two groups of pixels and two blocks of output channels.
pub(super) struct Tiles<'a> {
    /// The tiles are configured for the groups and the runs of the call.
    pub(super) amx: Amx,
    pub(super) call: &'a Call<'a>,
    pub(super) share: Share,
}

impl DotKernel for Tiles<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let Self { amx, call, share } = self;
        let [rows, columns] = call.grid.tile;
        let pixels = rows * columns / 2;
        // The second group is the next row, or the rest of the only one.
        let apart = if rows == 2 { call.walk.tile_row } else { pixels * call.step };
        let (mut sums, each) = (Sums([0; MOST_SUMS]), call.weights_of_panel());
        assert!(call.panel == 2 && 2 * pixels * 32 <= MOST_SUMS);
        for panel in share.panels {
            let weights = call.weights[panel * each..].as_ptr();
            let start = call.starts[panel * 32..].as_ptr();
            for index in share.tiles.clone() {
                let at = call.grid.tile(index);
                // SAFETY: the call was checked, and the share is this task's alone.
                unsafe {
                    let x = call.x.as_ptr().add(call.first(&at));
                    amx.multiply(&Groups {
                        x: [x, x.add(apart)],
                        step: call.step,
                        runs: call.runs,
                        run: call.walk.run,
                        weights,
                        start,
                        sums: sums.0.as_mut_ptr(),
                        group: pixels * 32 * size_of::<i32>(),
                    });
                    call.finish.run(d, &sums, (&at, call.grid.tile), [2 * panel, 2]);
                }
            }
        }
    }
}
