//! A unit with running statistics: nothing is kept, and no gradient will come.

use residual_kernels::block::Resources;

use super::blocked::{Blocked, shape};
use super::operands::{Operands, with_running};
use super::prepare::Prepared;
use super::sound::sound;
use super::unit::Unit;

impl Unit<'_> {
    /// Runs on `x`, for which no gradient will come, with running statistics: nothing is kept.
    pub(crate) fn evaluate(&self, x: Blocked, border: usize) -> Blocked {
        let Prepared { context, layout, plan, inputs } = self.prepared(x, border, true);
        let mut y = context.maps().take(layout.len());
        context.with_scratch(|scratch| {
            with_running(&self.running(), |running| {
                Operands::of(self).with(&inputs.values, |input| {
                    let mut on = Resources { cpu: context.cpu(), scratch };
                    sound(plan.block.evaluate(&mut on, input, running, &mut y));
                });
            });
        });
        Blocked { tensor: inputs.finish_constant(y.into_tensor(shape(&layout))), layout, context }
    }
}
