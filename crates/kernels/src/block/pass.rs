//! Passes of a block: their operands, and where their gradients go.

use super::norm::NormGradients;
use super::parameters::{BlockGradients, BlockParameters};
use super::plan::Block;
use super::resources::Resources;
use super::tape::Tape;
use crate::{Buffer, Error};

/// Operands of a block's forward pass.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Input maps, in the layout [`Block::x`].
    pub x: &'a [f32],
    /// Parameters of the block.
    pub parameters: &'a BlockParameters<'a>,
    /// Stochastic depth (Huang et al. 2016): the factor of each image's branch, `[batch]`.
    pub depth: Option<&'a [f32]>,
}

/// Source of the statistics of a block's normalisations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatisticsSource {
    /// The batch itself.
    Batch,
    /// The tape, on which they are folded already.
    Tape,
}

/// A forward pass that leaves a tape; all has been checked.
#[derive(Clone, Copy)]
pub(super) struct ForwardPass<'a> {
    pub(super) block: &'a Block,
    pub(super) input: &'a Input<'a>,
    pub(super) statistics: StatisticsSource,
}

/// Output of a block, and the gradient with respect to it.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// Output, in the layout [`Block::y`]; filled again with [`Memory::Low`](super::Memory::Low).
    pub y: &'a mut [f32],
    /// Gradient with respect to it, in its layout. It is used up: any values are left in it, or what
    /// [`InputGradient::OverDy`] says.
    pub dy: &'a mut [f32],
}

/// Output of a block that is there, and the gradient with respect to it.
#[derive(Debug)]
pub struct KeptOutputs<'a> {
    /// Output, in the layout [`Block::y`]; empty where it is not [read](Block::reads_output).
    pub y: &'a [f32],
    /// Gradient with respect to it, as in [`Outputs`].
    pub dy: &'a mut [f32],
}

/// Gradients that a block's backward pass computes.
#[derive(Debug)]
pub struct Gradients<'p, 'a> {
    /// Gradients with respect to the parameters.
    pub parameters: &'p mut BlockGradients<'a>,
    /// Gradient with respect to the input.
    pub x: InputGradient<'p>,
}

/// Destination of the gradient with respect to a block's input.
#[derive(Debug)]
pub enum InputGradient<'a> {
    /// No destination: it is not computed, since the first layer's input is data.
    Unwanted,
    /// Memory of its own, in the layout [`Block::x`].
    To(&'a mut [f32]),
    /// The memory of the gradient with respect to the output, for a block whose input and output have one layout.
    OverDy,
}

/// A backward pass; all has been checked.
#[derive(Clone, Copy)]
pub(super) struct BackwardPass<'a> {
    pub(super) block: &'a Block,
    pub(super) input: &'a Input<'a>,
    pub(super) tape: &'a Tape,
    /// Constant statistics and parameters, where true: the gradient with respect to the input alone is
    /// computed.
    pub(super) frozen: bool,
}

impl BackwardPass<'_> {
    /// Gradients with respect to scale and shift of normalisation `index` from the `sums` of its first pass, and the
    /// factors of the second.
    pub(super) fn norm_factors(
        &self,
        on: &mut Resources<'_>,
        index: usize,
        sums: Buffer,
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Buffer, Error> {
        let (norm, parameters) = (&self.tape.norms[index], self.input.parameters);
        let by = &mut gradients.links[index];
        let by = (!self.frozen).then_some(NormGradients { gamma: by.gamma, beta: by.beta });
        norm.gradient_factors(on, sums, parameters.link(index), parameters.eps, by)
    }
}
