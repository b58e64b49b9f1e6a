//! A unit made ready: the plan of its block, and the inputs of its operation.

use std::sync::Arc;

use residual_kernels::Layout;

use super::blocked::Blocked;
use super::context::{BlockPlan, FusedContext};
use super::graph::Inputs;
use super::sound::sound;
use super::unit::Unit;

/// A unit on maps of one size.
pub(super) struct Prepared {
    pub(super) context: FusedContext,
    /// Layout of the output.
    pub(super) layout: Layout,
    pub(super) plan: Arc<BlockPlan>,
    /// The input and the parameters.
    pub(super) inputs: Inputs,
}

impl Unit<'_> {
    /// Makes it ready for `x` and an output with `border`; `frozen` as in [`Unit::push_parameters`].
    pub(super) fn prepared(&self, x: Blocked, border: usize, frozen: bool) -> Prepared {
        let Blocked { tensor, layout: from, context } = x;
        let layout = sound(self.shape.output(&from).and_then(|y| y.with_border(border)));
        let plan = context.plan(&self.shape, from, layout, self.memory);
        let mut inputs = Inputs::default();
        inputs.push(tensor);
        self.push_parameters(&mut inputs, frozen);
        Prepared { context, layout, plan, inputs }
    }
}
