//! A frozen block between blocks that train: the gradient with respect to its input alone.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use residual_kernels::block::{InputGradient, KeptOutputs, Memory, Resources, Tape};

use super::blocked::{Blocked, name, shape};
use super::buffers::{contiguous, values};
use super::context::{BlockPlan, FusedContext};
use super::graph::Saved;
use super::operands::{Operands, with_running};
use super::prepare::Prepared;
use super::sound::sound;
use super::unit::Unit;

impl Unit<'_> {
    /// Runs on `x` with running statistics, and hands a gradient on to it.
    pub(crate) fn hand_on(&self, x: Blocked, border: usize) -> Blocked {
        let Prepared { context, layout, plan, inputs } = self.prepared(x, border, true);
        let mut saved = SavedFrozen {
            context: context.clone(),
            plan,
            operands: Operands::of(self),
            inputs: inputs.values.clone(),
            running: self.running(),
            kept: None,
        };
        let (tape, y) = saved.forward();
        match self.memory {
            Memory::Keep => saved.kept = Some((tape, y.clone())),
            Memory::Low => saved.plan.give_tape(tape),
        }
        Blocked { tensor: inputs.finish(y, Box::new(saved)), layout, context }
    }
}

#[derive(Debug)]
struct SavedFrozen {
    context: FusedContext,
    plan: Arc<BlockPlan>,
    operands: Operands,
    /// The input and the parameters.
    inputs: Vec<FlexTensor>,
    running: Vec<[FlexTensor; 2]>,
    kept: Option<(Tape, FlexTensor)>,
}

impl SavedFrozen {
    /// The tape and the output.
    fn forward(&self) -> (Tape, FlexTensor) {
        let (context, block) = (&self.context, &self.plan.block);
        let (mut tape, mut y) = (self.plan.tape(), context.maps().take(block.y().len()));
        context.with_scratch(|scratch| {
            with_running(&self.running, |running| {
                self.operands.with(&self.inputs, |input| {
                    let mut on = Resources { cpu: context.cpu(), scratch };
                    sound(block.forward_frozen(&mut on, input, running, &mut tape, &mut y));
                });
            });
        });
        (tape, y.into_tensor(shape(block.y())))
    }
}

impl Saved for SavedFrozen {
    fn what(&self) -> String {
        let block = &self.plan.block;
        format!("frozen block {} to {}", name(block.x()), name(block.y()))
    }

    fn backward(mut self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let (tape, y) = self.kept.take().unwrap_or_else(|| self.forward());
        let (context, block) = (&self.context, &self.plan.block);
        let mut dy = context.maps().own(contiguous(dy));
        let mut fresh = (block.x() != block.y()).then(|| context.maps().take(block.x().len()));
        let dx = fresh.as_mut().map_or(InputGradient::OverDy, |dx| InputGradient::To(dx));
        context.with_scratch(|scratch| {
            self.operands.with(&self.inputs, |input| {
                let outputs = KeptOutputs { y: values(&y), dy: &mut dy };
                let mut on = Resources { cpu: context.cpu(), scratch };
                sound(block.backward_frozen(&mut on, input, outputs, &tape, dx));
            });
        });
        self.plan.give_tape(tape);
        context.maps().give(y);
        let dx = match fresh {
            Some(dx) => {
                context.maps().give_floats(dy);
                dx
            }
            None => dy,
        };
        vec![Some(dx.into_tensor(shape(block.x())))]
    }
}

impl Drop for SavedFrozen {
    fn drop(&mut self) {
        let maps = self.context.maps();
        self.kept.take().into_iter().for_each(|(tape, y)| {
            self.plan.give_tape(tape);
            maps.give(y);
        });
        self.inputs.drain(..1).for_each(|x| maps.give(x));
    }
}
