//! Constant statistics: a block that trains with running ones, or whose parameters are constants too and which hands a
//! gradient on.

use super::evaluate::Running;
use super::parameters::{BlockGradients, LinkGradients, SqueezeGradients};
use super::pass::{
    BackwardPass, ForwardPass, Gradients, Input, InputGradient, KeptOutputs, StatisticsSource,
};
use super::plan::Block;
use super::resources::Resources;
use super::tape::Tape;
use crate::Error;

impl Block {
    /// Computes what [`Block::evaluate`] does, and leaves on the tape what [`Block::backward_frozen`] reads, and
    /// [`Block::backward_from_tape`]: with such a tape it gives the gradients with respect to the parameters too, the
    /// statistics being constants.
    ///
    /// # Errors
    /// As for [`Block::forward`].
    pub fn forward_frozen(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        running: &[Running<'_>],
        tape: &mut Tape,
        y: &mut [f32],
    ) -> Result<(), Error> {
        self.check_input(input, y.len())?;
        self.check_tape(tape)?;
        tape.norms = self.folded(input, running)?;
        ForwardPass { block: self, input, statistics: StatisticsSource::Tape }.run(on, tape, y)
    }

    /// Computes the gradient with respect to `x` alone, from a tape and an output that [`Block::forward_frozen`]
    /// left; `dy` is used up.
    ///
    /// # Errors
    /// As for [`Block::backward_from_tape`].
    pub fn backward_frozen(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        outputs: KeptOutputs<'_>,
        tape: &Tape,
        dx: InputGradient<'_>,
    ) -> Result<(), Error> {
        self.check_input(input, outputs.y.len())?;
        self.check_tape(tape)?;
        self.y.check("the gradient with respect to the block's output", outputs.dy.len())?;
        self.check_input_gradient(&dx)?;
        // The gradient through the gate is computed with those by its parameters, which are few.
        let mut layers = input
            .parameters
            .squeeze
            .as_ref()
            .map(|by| [by.reduce, by.expand].map(|layer| layer.map(|values| vec![0.0; values.len()])));
        let squeeze = layers.as_mut().map(|layers| {
            let [reduce, expand] = layers.each_mut().map(|layer| layer.each_mut().map(|by| &mut by[..]));
            SqueezeGradients { reduce, expand }
        });
        let none = |_| LinkGradients { weights: &mut [], gamma: &mut [], beta: &mut [] };
        let links = input.parameters.all_links().map(none).collect();
        let gradients = Gradients { parameters: &mut BlockGradients { links, squeeze }, x: dx };
        BackwardPass { block: self, input, tape, frozen: true }.run(on, outputs, gradients)
    }
}
