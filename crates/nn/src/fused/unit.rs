//! A residual block, or a convolution with its norm and ReLU, as one operation.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::Layout;
use residual_kernels::block::{
    BlockShape, Gradients, InputGradient, KeptOutputs, Outputs, Policy, Resources, Tape,
};
use residual_kernels::norm::BatchStatistics;

use super::blocked::{Blocked, name, shape};
use super::buffers::{Floats, contiguous, values};
use super::frozen::with_running;
use super::graph::{Inputs, Saved};
use super::operands::Operands;
use super::runtime::{Plan, runtime};
use super::sound;
use crate::{BatchNorm, Conv2d, SqueezeExcite};

/// `y = act(F(x) + S(x))`, with the parameters of its parts.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) shape: BlockShape,
    pub(crate) convs: Vec<&'a Conv2d>,
    pub(crate) norms: Vec<&'a BatchNorm>,
    /// A projection; without a norm in pre-activation order.
    pub(crate) projection: Option<(&'a Conv2d, Option<&'a BatchNorm>)>,
    pub(crate) squeeze: Option<&'a SqueezeExcite>,
    /// The factor of each image's branch, where some are dropped.
    pub(crate) depth: Option<Vec<f32>>,
    pub(crate) policy: Policy,
}

impl Unit<'_> {
    /// Trains on `x`, gives maps with `border`, and moves the running statistics.
    pub(crate) fn train(&self, x: Blocked, border: usize) -> Blocked {
        let runtime = runtime();
        let (layout, plan, inputs) = self.prepared(x, border, false);
        let operands = Operands::of(self);

        let mut tape = plan.tape();
        let mut y = runtime.maps.take(layout.len());
        let reads_output = runtime.with_scratch(|scratch| {
            operands.with(&inputs.values, |input| {
                let mut on = Resources { cpu: &runtime.cpu, scratch };
                sound(plan.block.forward(&mut on, input, &mut tape, &mut y));
                plan.block.reads_output(input)
            })
        });
        self.all_norms().zip(tape.statistics()).for_each(|(norm, statistics)| norm.observe(statistics));

        let y = y.into_tensor(shape(&layout));
        let kept = match self.policy {
            Policy::Keep => Kept { tape: Some(tape), y: reads_output.then(|| y.clone()) },
            Policy::Recompute => {
                plan.give_tape(tape);
                Kept { tape: None, y: None }
            }
        };
        let saved = SavedUnit { plan, operands, inputs: inputs.values.clone(), kept };
        Blocked { tensor: inputs.finish(y, Box::new(saved)), layout }
    }

    /// How the output lies, with `border`, the plan for it, and what it is computed from; `frozen` as in
    /// [`Unit::push_parameters`].
    pub(super) fn prepared(&self, x: Blocked, border: usize, frozen: bool) -> (Layout, Arc<Plan>, Inputs) {
        let layout = sound(self.shape.output(&x.layout).and_then(|y| y.with_border(border)));
        let plan = runtime().plan(&self.shape, x.layout, layout, self.policy);
        let mut inputs = Inputs::default();
        inputs.push(x.tensor);
        self.push_parameters(&mut inputs, frozen);
        (layout, plan, inputs)
    }

    /// Runs on `x`, for which no gradient will come, with running statistics: nothing is kept.
    pub(crate) fn evaluate(&self, x: Blocked, border: usize) -> Blocked {
        let runtime = runtime();
        let (layout, plan, inputs) = self.prepared(x, border, true);
        let mut y = runtime.maps.take(layout.len());
        runtime.with_scratch(|scratch| {
            with_running(&self.running(), |running| {
                Operands::of(self).with(&inputs.values, |input| {
                    let mut on = Resources { cpu: &runtime.cpu, scratch };
                    sound(plan.block.evaluate(&mut on, input, running, &mut y));
                });
            });
        });
        Blocked { tensor: inputs.finish_constant(y.into_tensor(shape(&layout))), layout }
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

/// What the forward pass left.
#[derive(Debug)]
struct Kept {
    tape: Option<Tape>,
    /// Where the backward pass reads it.
    y: Option<FlexTensor>,
}

#[derive(Debug)]
struct SavedUnit {
    plan: Arc<Plan>,
    operands: Operands,
    inputs: Vec<FlexTensor>,
    kept: Kept,
}

impl SavedUnit {
    /// Fills `dx`, and gives the gradients by the parameters; `dy` is used up.
    fn gradients(&mut self, dy: &mut [f32], dx: InputGradient<'_>) -> Vec<Floats> {
        let (runtime, plan) = (runtime(), &self.plan);
        let (block, cpu) = (&plan.block, &runtime.cpu);
        let kept = (self.kept.tape.take(), self.kept.y.take());
        self.operands.with(&self.inputs, |input| {
            self.operands.gradients(&runtime.maps, input.parameters, |parameters| {
                runtime.with_scratch(|scratch| {
                    let gradients = Gradients { parameters, x: dx };
                    let mut on = Resources { cpu, scratch };
                    if let (Some(tape), y) = kept {
                        let outputs = KeptOutputs { y: y.as_ref().map_or(&[][..], values), dy };
                        sound(block.backward_from_tape(&mut on, input, outputs, &tape, gradients));
                        plan.give_tape(tape);
                        y.into_iter().for_each(|y| runtime.maps.give(y));
                        return;
                    }
                    let (mut tape, mut y) = (plan.tape(), runtime.maps.take(block.y().len()));
                    let outputs = Outputs { y: &mut y, dy };
                    sound(block.backward(&mut on, input, outputs, &mut tape, gradients));
                    plan.give_tape(tape);
                    runtime.maps.give_floats(y);
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
        let maps = &runtime().maps;
        let (mut dy, x) = (maps.own(contiguous(dy)), *self.plan.block.x());
        // A block whose input lies as its output does writes the one's gradient over the other's.
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
        let maps = &runtime().maps;
        self.kept.y.take().into_iter().for_each(|y| maps.give(y));
        self.inputs.drain(..1).for_each(|x| maps.give(x));
    }
}
