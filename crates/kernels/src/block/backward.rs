//! Backward pass of a block: `dx = (dF/dx)^T g + (dS/dx)^T g`, `g = act'(y) dy`.

use super::branch::BranchBackward;
use super::pass::{BackwardPass, Gradients, Input, InputGradient, KeptOutputs, Outputs};
use super::plan::Block;
use super::resources::Resources;
use super::shape::{Memory, Order, Shortcut, wrong};
use super::tape::Tape;
use crate::Error;

impl Block {
    /// Computes the gradients with respect to the parameters and to `x`, from `dy`. With [`Memory::Keep`] the tape and
    /// `y` are what the forward pass left; with [`Memory::Low`] both are filled again.
    ///
    /// # Errors
    /// Those of [`Block::forward`]; [`Error::Shape`] where `dx` is to lie over a `dy` of another layout.
    pub fn backward(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        outputs: Outputs<'_>,
        tape: &mut Tape,
        gradients: Gradients<'_, '_>,
    ) -> Result<(), Error> {
        if self.memory == Memory::Low {
            self.forward(on, input, tape, outputs.y)?;
        }
        let outputs = KeptOutputs { y: outputs.y, dy: outputs.dy };
        self.backward_from_tape(on, input, outputs, tape, gradients)
    }

    /// Backward pass from a tape and an output that are there, whatever the memory: neither is written.
    ///
    /// # Errors
    /// As for [`Block::backward`].
    pub fn backward_from_tape(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        outputs: KeptOutputs<'_>,
        tape: &Tape,
        gradients: Gradients<'_, '_>,
    ) -> Result<(), Error> {
        let unread = outputs.y.is_empty() && !self.reads_output(input);
        self.check_input(input, if unread { self.y.len() } else { outputs.y.len() })?;
        self.check_gradients(input.parameters, gradients.parameters)?;
        self.check_tape(tape)?;
        self.y.check("the gradient with respect to the block's output", outputs.dy.len())?;
        self.check_input_gradient(&gradients.x)?;
        BackwardPass { block: self, input, tape, frozen: false }.run(on, outputs, gradients)
    }

    /// Dependence of the backward pass on the block's output: true where it is read, as the mask of the ReLU behind
    /// an addition. Without a shortcut, what the last convolution gives says the same.
    pub fn reads_output(&self, input: &Input<'_>) -> bool {
        let joined = self.shortcut != Shortcut::None || self.is_gated(input);
        joined && self.order == Order::PostActivation
    }

    pub(super) fn check_input_gradient(&self, dx: &InputGradient<'_>) -> Result<(), Error> {
        match dx {
            InputGradient::Unwanted => Ok(()),
            _ if self.x.block() == 1 => Err(wrong("planar maps have no gradient".into())),
            InputGradient::To(dx) => self.x.check("the gradient with respect to the block's input", dx.len()),
            InputGradient::OverDy if self.x == self.y => Ok(()),
            InputGradient::OverDy => {
                let reason = format!("its input has the layout {:?} and its output {:?}", self.x, self.y);
                Err(wrong(format!("{reason}: the gradients cannot share memory")))
            }
        }
    }
}

impl BackwardPass<'_> {
    /// `dx = (dF/dx)^T df + (dS/dx)^T g`
    pub(super) fn run(
        &self,
        on: &mut Resources<'_>,
        outputs: KeptOutputs<'_>,
        gradients: Gradients<'_, '_>,
    ) -> Result<(), Error> {
        let KeptOutputs { y, dy } = outputs;
        // g = act'(y) dy, which takes the place of dy, and df = f g + e where the branch is gated.
        let branch = self.join(on, y, dy, gradients.parameters)?;
        let projection = self.projection_norm(on, dy, gradients.parameters)?;
        // (dF/dx)^T df, and (dS/dx)^T g added to it where it is stored.
        let backward = BranchBackward { pass: *self, projection_factors: projection.as_deref() };
        backward.run(on, branch, dy, gradients)?;
        projection.into_iter().for_each(|factors| on.scratch.give(factors));
        Ok(())
    }
}
