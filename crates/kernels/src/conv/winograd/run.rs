//! The stages at both ends of all forms: inputs to the points, and products back.

use std::marker::PhantomData;

use super::output::OutputStage;
use super::points::Points;
use super::tiles::{Grid, Part, Transformed};
use super::transforms::{Inputs, TransformStage};
use crate::conv::ConvShape;
use crate::conv::method::{Convolution, Operands};
use crate::gemm::Finish;
use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Layout};

/// Tiles of a task that transforms inputs, at most: enough tasks for many threads, and no function of theirs.
/// Not measured. Safe: tasks write places of their own, so that no result depends on it.
const TILES: usize = 64;

/// Check that `shape` is a 3x3 convolution at stride `stride`, 1 or 2, on blocked maps, without dilation and groups; or
/// why not.
pub(super) fn is_3x3(shape: &ConvShape, input: &Layout, stride: usize) -> Result<(), &'static str> {
    let other = if stride == 1 { "the stride is not 1" } else { "the stride is not 2" };
    let reasons = [
        (shape.kernel != [3, 3], "the kernel is not 3x3"),
        (shape.stride != [stride; 2], other),
        (shape.dilation != [1, 1], "the kernel is dilated"),
        (shape.groups != 1, "the convolution is grouped"),
        (input.block() != BLOCK, "the input is not blocked by channels"),
    ];
    reasons.iter().find(|(fails, _)| *fails).map_or(Ok(()), |(_, why)| Err(why))
}

/// A convolution whose outputs are cut into tiles.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) of: Convolution,
    pub(super) grid: Grid,
    /// Tiles of all images.
    pub(super) tiles: usize,
}

impl Cut {
    /// Convolution cut into tiles of `tile` x `tile` outputs.
    pub(super) fn new(of: &Convolution, tile: usize) -> Self {
        let grid = Grid::of(&of.output, tile);
        Self { of: *of, grid, tiles: of.shape.batch * grid.down * grid.across }
    }

    /// Input channel blocks.
    pub(super) fn ins(&self) -> usize {
        self.of.input.blocks()
    }

    /// Output channel blocks.
    pub(super) fn outs(&self) -> usize {
        self.of.output.blocks()
    }

    /// Offset of each input channel block in a position of transformed inputs.
    pub(super) fn offsets(&self, inputs: Transformed) -> Vec<usize> {
        (0..self.ins()).map(|block| block * inputs.block()).collect()
    }
}

/// Run of a convolution.
pub(super) struct Run<'a, P, const M: usize, const N: usize> {
    pub(super) cut: &'a Cut,
    pub(super) cpu: &'a Cpu,
    x: &'a [f32],
    finish: &'a Finish<'a>,
    y: Parts<'a>,
    points: PhantomData<P>,
}

impl<'a, P: Points<M, N>, const M: usize, const N: usize> Run<'a, P, M, N> {
    /// The run, the packed weights and the workspace.
    pub(super) fn new(
        cut: &'a Cut,
        cpu: &'a Cpu,
        operands: Operands<'a>,
    ) -> (Self, &'a [f32], &'a mut [f32]) {
        let Operands { x, weights, finish, y, scratch } = operands;
        (Self { cut, cpu, x, finish, y: Parts::new(y), points: PhantomData }, weights, scratch)
    }

    /// The inputs of `part` to the points.
    pub(super) fn inputs(&self, part: Part, target: Parts<'a>) -> TransformStage<'a, Inputs<'a, P, M, N>, N> {
        let Cut { of, grid, .. } = *self.cut;
        let maps = Inputs { points: PhantomData, x: self.x, layout: of.input, padding: of.shape.padding };
        TransformStage { maps, grid, part, target }
    }

    /// Transforms all inputs to the points.
    pub(super) fn all_inputs(&self, target: Parts<'a>, data: Transformed) {
        let tiles = self.cut.tiles;
        let shares = tiles.div_ceil(TILES);
        self.cpu.pool().for_each(self.cut.ins() * shares, |task, _| {
            let (block, share) = (task / shares, task % shares);
            let tiles = share * tiles / shares..(share + 1) * tiles / shares;
            let part = Part { tiles, blocks: block..block + 1, data, first: (0, 0) };
            self.cpu.isa().run(self.inputs(part, target));
        });
    }

    /// The products of `part` to outputs, whose sums are those of band `band`.
    pub(super) fn outputs<'b>(
        &'b self,
        part: Part,
        products: &'b [f32],
        band: usize,
    ) -> OutputStage<'b, P, M, N> {
        let Cut { of, grid, .. } = *self.cut;
        let (points, finish, y, layout) = (PhantomData, self.finish, self.y, of.output);
        OutputStage { points, products, part, grid, finish, band, y, layout }
    }
}
