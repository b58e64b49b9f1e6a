//! Forward pass of a block: `y = act(F(x) + S(x))`.

use super::convolve::Activations;
use super::pass::{ForwardPass, Input, StatisticsSource};
use super::plan::Block;
use super::resources::Resources;
use super::shape::Order;
use super::shortcut::ProjectionTape;
use super::tape::Tape;
use crate::layout::check_length;
use crate::{Error, MapsRef};

impl Block {
    /// Computes `y` with the batch's own statistics, and leaves on the tape what the backward pass reads.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long, [`Error::Shape`] where parameters
    /// or tape are another block's.
    pub fn forward(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        tape: &mut Tape,
        y: &mut [f32],
    ) -> Result<(), Error> {
        self.check_input(input, y.len())?;
        self.check_tape(tape)?;
        ForwardPass { block: self, input, statistics: StatisticsSource::Batch }.run(on, tape, y)
    }

    pub(super) fn check_input(&self, input: &Input<'_>, y: usize) -> Result<(), Error> {
        self.check_parameters(input.parameters)?;
        self.x.check("the block's input", input.x.len())?;
        self.y.check("the block's output", y)?;
        input.depth.map_or(Ok(()), |depth| check_length("the branches' factors", self.y.batch(), depth.len()))
    }
}

impl ForwardPass<'_> {
    /// `y = act(F(x) + S(x))`
    pub(super) fn run(&self, on: &mut Resources<'_>, tape: &mut Tape, y: &mut [f32]) -> Result<(), Error> {
        let Self { block, input, statistics } = *self;
        let Tape { written, projected, norms, gate } = tape;
        let (norms, projection_norms) = norms.split_at_mut(block.links.len());
        // h = R(N(x)) in pre-activation, where branch and projection begin.
        if (block.order, statistics) == (Order::PreActivation, StatisticsSource::Batch) {
            norms[0].set_from_maps(on, MapsRef::new(input.x, block.x))?;
            norms[0].fold(input.parameters.link(0), input.parameters.eps)?;
        }
        // F(x), up to its last convolution.
        self.branch(on, norms, written)?;
        let activations = Activations { x: input.x, norms, written };
        // S(x)
        let projection = ProjectionTape { z: projected, norm: projection_norms.first_mut() };
        let shortcut = self.shortcut(on, activations, projection)?;
        // y = act(f N(F) + S), in pre-activation y = f F + S
        match block.order {
            Order::PostActivation => self.join_normalised(on, activations, gate, shortcut.as_ref(), y)?,
            Order::PreActivation => self.join_convolved(on, activations, gate, shortcut.as_ref(), y)?,
        }
        shortcut.into_iter().for_each(|shortcut| shortcut.maps.release(on.scratch));
        Ok(())
    }
}
