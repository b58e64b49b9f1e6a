//! A unit in training: forward with the batch's statistics, and its gradients.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::block::{Block, Gradients, Input, InputGradient, KeptOutputs, Memory, Resources, Tape};
use residual_kernels::norm::BatchStatistics;

use super::blocked::{Blocked, name, shape};
use super::buffers::{Floats, contiguous, values};
use super::context::{BlockPlan, FusedContext};
use super::graph::Saved;
use super::operands::{Operands, with_running};
use super::prepare::Prepared;
use super::sound::sound;
use super::unit::Unit;
use crate::BatchNorm;

impl Unit<'_> {
    /// Trains on `x`, gives maps with `border`, and moves the running statistics.
    pub(crate) fn train(&self, x: Blocked, border: usize) -> Blocked {
        let Prepared { context, layout, plan, inputs } = self.prepared(x, border, false);
        let operands = Operands::of(self);

        let frozen = self.all_norms().any(|norm| norm.frozen_statistics).then(|| self.running());
        let mut tape = plan.tape();
        let mut y = context.maps().take(layout.len());
        let reads_output = context.with_scratch(|scratch| {
            operands.with(&inputs.values, |input| {
                let mut on = Resources { cpu: context.cpu(), scratch };
                forward(
                    &plan.block,
                    &mut on,
                    input,
                    frozen.as_deref(),
                    Outcome { tape: &mut tape, y: &mut y },
                );
                plan.block.reads_output(input)
            })
        });
        if frozen.is_none() {
            self.all_norms().zip(tape.statistics()).for_each(|(norm, statistics)| norm.observe(statistics));
        }

        let y = y.into_tensor(shape(&layout));
        let kept = match self.memory {
            Memory::Keep => Kept { tape: Some(tape), y: reads_output.then(|| y.clone()) },
            Memory::Low => {
                plan.give_tape(tape);
                Kept { tape: None, y: None }
            }
        };
        let saved = SavedUnit {
            context: context.clone(),
            plan,
            operands,
            inputs: inputs.values.clone(),
            frozen,
            kept,
        };
        Blocked { tensor: inputs.finish(y, Box::new(saved)), layout, context }
    }
}

impl BatchNorm {
    /// Moves the running values by a batch's, PyTorch's rule; panics where the batch has one value a channel.
    pub(crate) fn observe(&self, batch: &BatchStatistics) {
        crate::norm::assert_several(batch.mean.len(), batch.count);
        let blend = |running: Tensor<1>, batch: Vec<f32>| {
            let device = running.device();
            let shape = [batch.len()];
            let batch = Tensor::<1>::from_data(burn::tensor::TensorData::new(batch, shape), &device);
            running * (1.0 - self.momentum) + batch * self.momentum
        };
        let unbiased = (batch.count as f64 / (batch.count as f64 - 1.0)) as f32;
        let variance = batch.variance.iter().map(|variance| variance * unbiased).collect();
        self.running_mean.update(|mean| blend(mean, batch.mean.clone()));
        self.running_var.update(|var| blend(var, variance));
    }
}

/// Buffers that a forward pass fills.
struct Outcome<'a> {
    tape: &'a mut Tape,
    y: &'a mut [f32],
}

/// Forward pass with the batch's statistics, or with those that are frozen.
fn forward(
    block: &Block,
    on: &mut Resources<'_>,
    input: &Input<'_>,
    frozen: Option<&[[FlexTensor; 2]]>,
    outcome: Outcome<'_>,
) {
    let Outcome { tape, y } = outcome;
    match frozen {
        None => sound(block.forward(on, input, tape, y)),
        Some(running) => {
            with_running(running, |running| sound(block.forward_frozen(on, input, running, tape, y)))
        }
    }
}

/// Tape and output that the forward pass left.
#[derive(Debug)]
struct Kept {
    tape: Option<Tape>,
    /// Output, where the backward pass reads it.
    y: Option<FlexTensor>,
}

#[derive(Debug)]
struct SavedUnit {
    context: FusedContext,
    plan: Arc<BlockPlan>,
    operands: Operands,
    inputs: Vec<FlexTensor>,
    /// Running mean and variance of every norm, where they are frozen.
    frozen: Option<Vec<[FlexTensor; 2]>>,
    kept: Kept,
}

impl SavedUnit {
    /// Fills `dx`, and gives the gradients with respect to the parameters; `dy` is used up.
    fn gradients(&mut self, dy: &mut [f32], dx: InputGradient<'_>) -> Vec<Floats> {
        let (context, plan) = (&self.context, &self.plan);
        let (block, cpu) = (&plan.block, context.cpu());
        let kept = (self.kept.tape.take(), self.kept.y.take());
        self.operands.with(&self.inputs, |input| {
            self.operands.gradients(context.maps(), input.parameters, |parameters| {
                context.with_scratch(|scratch| {
                    let gradients = Gradients { parameters, x: dx };
                    let mut on = Resources { cpu, scratch };
                    if let (Some(tape), y) = kept {
                        let outputs = KeptOutputs { y: y.as_ref().map_or(&[][..], values), dy };
                        sound(block.backward_from_tape(&mut on, input, outputs, &tape, gradients));
                        plan.give_tape(tape);
                        y.into_iter().for_each(|y| context.maps().give(y));
                        return;
                    }
                    let (mut tape, mut y) = (plan.tape(), context.maps().take(block.y().len()));
                    let outcome = Outcome { tape: &mut tape, y: &mut y };
                    forward(block, &mut on, input, self.frozen.as_deref(), outcome);
                    let outputs = KeptOutputs { y: &y, dy };
                    sound(block.backward_from_tape(&mut on, input, outputs, &tape, gradients));
                    plan.give_tape(tape);
                    context.maps().give_floats(y);
                });
            })
        })
    }
}

impl Saved for SavedUnit {
    fn what(&self) -> String {
        let block = &self.plan.block;
        let kind = if self.operands.links() == 1 { "convolution" } else { "block" };
        format!("{kind} {} to {}", name(block.x()), name(block.y()))
    }

    fn backward(mut self: Box<Self>, dy: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let context = self.context.clone();
        let maps = context.maps();
        let (mut dy, x) = (maps.own(contiguous(dy)), *self.plan.block.x());
        // A block whose input and output have one layout writes the gradient of the one over that of the other.
        let mut fresh = (wanted[0] && x != *self.plan.block.y()).then(|| maps.take(x.len()));
        let dx = match &mut fresh {
            _ if !wanted[0] => InputGradient::Unwanted,
            Some(fresh) => InputGradient::To(fresh),
            None => InputGradient::OverDy,
        };
        let by_parameters = self.gradients(&mut dy, dx);
        let dx = match fresh {
            None if wanted[0] => Some(dy),
            fresh => {
                maps.give_floats(dy);
                fresh
            }
        };
        let shapes = self.inputs.iter().map(|input| input.layout().shape().to_vec());
        let by_parameters = by_parameters.into_iter().zip(shapes.skip(1));
        let by_parameters = by_parameters.map(|(by, shape)| Some(by.into_tensor(shape)));
        std::iter::once(dx.map(|dx| dx.into_tensor(shape(&x)))).chain(by_parameters).collect()
    }
}

impl Drop for SavedUnit {
    fn drop(&mut self) {
        self.kept.tape.take().into_iter().for_each(|tape| self.plan.give_tape(tape));
        let maps = self.context.maps();
        self.kept.y.take().into_iter().for_each(|y| maps.give(y));
        self.inputs.drain(..1).for_each(|x| maps.give(x));
    }
}
