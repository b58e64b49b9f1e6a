//! A residual block, or a convolution with its norm and ReLU, as one operation.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::module::Param;
use burn::tensor::Tensor;
use residual_kernels::block::{
    BlockGradients, BlockParameters, BlockShape, LinkGradients, LinkParameters, Policy, Tape,
};
use residual_kernels::norm::BatchStatistics;

use super::blocked::{Blocked, shape};
use super::buffers::{Buffers, contiguous, tensor, values};
use super::graph::{Inputs, Saved};
use super::runtime::{Plan, runtime};
use super::sound;
use crate::{BatchNorm, Conv2d};

/// `y = act(F(x) + S(x))` in training, with the parameters of its parts.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) shape: BlockShape,
    pub(crate) convs: &'a [Conv2d],
    pub(crate) norms: &'a [BatchNorm],
    /// A projection; without a norm in pre-activation order.
    pub(crate) projection: Option<(&'a Conv2d, Option<&'a BatchNorm>)>,
    pub(crate) policy: Policy,
}

/// Runs `unit` on `x`, gives maps with `border`, and moves the running statistics.
pub(crate) fn unit(unit: &Unit<'_>, x: Blocked, border: usize) -> Blocked {
    let runtime = runtime();
    let layout = sound(unit.shape.output(&x.layout).and_then(|y| y.with_border(border)));
    let plan = runtime.plan(&unit.shape, x.layout, layout, unit.policy);
    let operands = Operands { links: unit.convs.len(), projection: unit.has_projection(), eps: unit.eps() };
    let mut inputs = Inputs::default();
    inputs.push(x.tensor);
    unit.push_parameters(&mut inputs);

    let mut tape = plan.tape();
    let mut y = runtime.maps.take(layout.len());
    operands.with(&inputs.values, |x, parameters| {
        plan.with_packed(parameters, |packed| {
            sound(plan.block.pack_forward(&runtime.cpu, parameters, packed));
            runtime.with_workspace(plan.block.workspace(&runtime.cpu), |workspace| {
                let block = &plan.block;
                sound(block.forward(&runtime.cpu, x, parameters, packed, &mut tape, &mut y, workspace));
            });
        });
    });
    let norms = unit.norms.iter().chain(unit.projection.and_then(|(_, norm)| norm));
    norms.zip(tape.statistics()).for_each(|(norm, statistics)| norm.observe(statistics));

    let y = tensor(y, shape(&layout));
    let saved = match unit.policy {
        Policy::Keep => Kept { tape: Some(tape), y: Some(y.clone()) },
        Policy::Recompute => {
            plan.give_tape(tape);
            Kept { tape: None, y: None }
        }
    };
    let saved = SavedUnit { plan, operands, inputs: inputs.values.clone(), kept: saved };
    Blocked { tensor: inputs.finish(y, Box::new(saved)), layout }
}

impl Unit<'_> {
    fn eps(&self) -> f32 {
        self.norms.first().map_or(0.0, |norm| norm.epsilon as f32)
    }

    /// Whether there is one, and whether it has a norm.
    fn has_projection(&self) -> Option<bool> {
        self.projection.map(|(_, norm)| norm.is_some())
    }

    fn push_parameters(&self, inputs: &mut Inputs) {
        let value = |inputs: &mut Inputs, norm: &BatchNorm| {
            [&norm.weight, &norm.bias].into_iter().for_each(|by: &Param<Tensor<1>>| inputs.push(by.val()));
        };
        for (conv, norm) in self.convs.iter().zip(self.norms) {
            inputs.push(conv.weight.val());
            value(inputs, norm);
        }
        if let Some((conv, norm)) = self.projection {
            inputs.push(conv.weight.val());
            norm.into_iter().for_each(|norm| value(inputs, norm));
        }
    }
}

impl BatchNorm {
    /// Moves the running values by a batch's, PyTorch's rule.
    pub(crate) fn observe(&self, batch: &BatchStatistics) {
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

/// What the inputs after the first are: weights, scale and shift of every convolution, the projection last.
#[derive(Clone, Copy, Debug)]
struct Operands {
    links: usize,
    /// Whether there is a projection, and whether it has a norm.
    projection: Option<bool>,
    eps: f32,
}

impl Operands {
    /// Calls `body` with the block's input and its parameters.
    fn with<T>(&self, inputs: &[FlexTensor], body: impl FnOnce(&[f32], &BlockParameters<'_>) -> T) -> T {
        let mut parts = inputs.iter().map(values);
        let mut next = || parts.next().unwrap_or(&[]);
        let x = next();
        let mut link = |normed: bool| {
            let weights = next();
            let [gamma, beta] = if normed { [next(), next()] } else { [&[][..]; 2] };
            LinkParameters { weights, gamma, beta }
        };
        let links: Vec<_> = (0..self.links).map(|_| link(true)).collect();
        let projection = self.projection.map(link);
        body(x, &BlockParameters { links: &links, projection, eps: self.eps })
    }

    /// Calls `body` with the gradients by the parameters, which it fills, and gives them one by one.
    fn gradients(
        &self,
        buffers: &Buffers,
        parameters: &BlockParameters<'_>,
        body: impl FnOnce(BlockGradients<'_, '_>),
    ) -> Vec<Vec<f32>> {
        let all = parameters.links.iter().chain(&parameters.projection);
        let mut values: Vec<[Vec<f32>; 3]> = all
            .map(|link| [link.weights, link.gamma, link.beta].map(|values| buffers.take(values.len())))
            .collect();
        let mut links: Vec<_> =
            values.iter_mut().map(|[weights, gamma, beta]| LinkGradients { weights, gamma, beta }).collect();
        let (links, rest) = links.split_at_mut(self.links);
        body(BlockGradients { links, projection: rest.first_mut() });
        let normed = |index: usize| index < self.links || self.projection == Some(true);
        let parts = values.into_iter().enumerate().flat_map(|(index, link)| {
            let count = if normed(index) { 3 } else { 1 };
            link.into_iter().take(count)
        });
        parts.collect()
    }
}

/// What the forward pass left.
#[derive(Debug)]
struct Kept {
    tape: Option<Tape>,
    y: Option<FlexTensor>,
}

#[derive(Debug)]
struct SavedUnit {
    plan: Arc<Plan>,
    operands: Operands,
    inputs: Vec<FlexTensor>,
    kept: Kept,
}

impl Saved for SavedUnit {
    fn backward(mut self: Box<Self>, dy: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (runtime, dy) = (runtime(), contiguous(dy));
        let (plan, cpu) = (self.plan.clone(), &runtime.cpu);
        let (kept, inputs) = (&mut self.kept, &self.inputs);
        let mut dx = if wanted[0] { runtime.maps.take(plan.block.x().len()) } else { Vec::new() };
        let by_parameters = self.operands.with(inputs, |x, parameters| {
            plan.with_packed(parameters, |packed| {
                sound(plan.block.pack_backward(cpu, parameters, packed));
                runtime.with_workspace(plan.block.workspace(cpu), |workspace| {
                    self.operands.gradients(&runtime.maps, parameters, |gradients| {
                        let (block, dy) = (&plan.block, values(&dy));
                        if let (Some(tape), Some(y)) = (&kept.tape, &kept.y) {
                            let maps = (x, values(y), dy);
                            let ran = block.backward_from_tape(
                                cpu, maps, parameters, packed, tape, gradients, &mut dx, workspace,
                            );
                            return sound(ran);
                        }
                        sound(block.pack_forward(cpu, parameters, packed));
                        let (mut tape, mut y) = (plan.tape(), runtime.maps.take(block.y().len()));
                        sound(block.backward(
                            cpu,
                            (x, &mut y, dy),
                            parameters,
                            packed,
                            &mut tape,
                            gradients,
                            &mut dx,
                            workspace,
                        ));
                        plan.give_tape(tape);
                        runtime.maps.give_values(y);
                    })
                })
            })
        });
        runtime.maps.give(dy);
        let shapes = inputs.iter().map(|input| input.layout().shape().to_vec());
        let dx = wanted[0].then(|| tensor(dx, shape(plan.block.x())));
        let by_parameters = by_parameters.into_iter().zip(shapes.skip(1));
        std::iter::once(dx).chain(by_parameters.map(|(values, shape)| Some(tensor(values, shape)))).collect()
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
