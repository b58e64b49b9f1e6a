//! Products at the points, with weights that are there already.

use std::ops::Range;

use super::tiles::Transformed;
use super::weights::PointWeights;
use crate::gemm::{Strip, run_strip};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Input channel blocks whose products are added up in registers at a time, see `CHUNK` in `direct`.
const CHUNK: usize = 16;

/// Multiplies at the positions `positions` for the panels `panels`.
pub(super) struct ProductStage<'a> {
    pub(super) inputs: &'a [f32],
    pub(super) from: Transformed,
    /// Offset of each input channel block in a position.
    pub(super) offsets: &'a [usize],
    pub(super) weights: &'a PointWeights,
    /// The weights, in the order of `weights`.
    pub(super) values: &'a [f32],
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
                        weights: self.weights.of(self.values, position, panel, range.clone()),
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
