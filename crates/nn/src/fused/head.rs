//! The head's linear layer, and the loss.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::Cpu;
use residual_kernels::linear::{Linear as Kernel, LinearBackward, LinearGradients};
use residual_kernels::loss::{self, Objective, Targets};

use super::buffers::{contiguous, tensor, values};
use super::context::FusedContext;
use super::graph::{Inputs, Saved};
use super::sound::sound;
use crate::Linear;

/// `y = x W^T + b` on features `[batch, inputs]`.
pub(crate) fn linear(layer: &Linear, x: Tensor<2>, context: &FusedContext) -> Tensor<2> {
    let [batch, ins] = x.dims();
    let [outs, _] = layer.weight.dims();
    let kernel = Kernel { batch, ins, outs };
    let mut inputs = Inputs::default();
    inputs.push(x);
    inputs.push(layer.weight.val());
    inputs.push(layer.bias.val());
    let mut y = vec![0.0; batch * outs];
    let [x, weights, bias] = [0, 1, 2].map(|i| values(&inputs.values[i]));
    sound(kernel.forward(context.cpu(), x, weights, bias, &mut y));
    let saved = SavedLinear { context: context.clone(), kernel, inputs: inputs.values.clone() };
    inputs.finish(tensor(y, [batch, outs]), Box::new(saved))
}

#[derive(Debug)]
struct SavedLinear {
    context: FusedContext,
    kernel: Kernel,
    /// Features, weights and bias.
    inputs: Vec<FlexTensor>,
}

impl Saved for SavedLinear {
    fn what(&self) -> String {
        format!("linear {} to {}", self.kernel.ins, self.kernel.outs)
    }

    fn backward(self: Box<Self>, dy: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (context, dy) = (&self.context, contiguous(dy));
        let Kernel { batch, ins, outs } = self.kernel;
        let [x, weights] = [0, 1].map(|i| values(&self.inputs[i]));
        let mut dx = if wanted[0] { vec![0.0; batch * ins] } else { Vec::new() };
        let (mut dw, mut db) = (context.maps().take(outs * ins), vec![0.0; outs]);
        let by_input = wanted[0].then_some(&mut dx[..]);
        let read = LinearBackward { x, weights, dy: values(&dy) };
        let gradients = LinearGradients { dx: by_input, dw: &mut dw, db: &mut db };
        sound(self.kernel.backward(context.cpu(), read, gradients));
        let dx = wanted[0].then(|| tensor(dx, [batch, ins]));
        vec![dx, Some(dw.into_tensor([outs, ins])), Some(tensor(db, [outs]))]
    }
}

/// Mean softmax cross-entropy of logits that are ours, `[1]`; the targets were checked.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Targets<'_>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let mut inputs = Inputs::default();
    inputs.push(logits);
    let (mut rows, mut gradient) = (vec![0.0; batch], vec![0.0; batch * classes]);
    let logits = values(&inputs.values[0]);
    // A handful of numbers: one thread, which is nobody's.
    let cpu = sound(Cpu::new(1));
    let loss = sound(loss::cross_entropy(&cpu, logits, classes, targets, &mut rows, &mut gradient));
    let saved = SavedLoss { gradient, shape: [batch, classes] };
    inputs.finish(tensor(vec![loss], [1]), Box::new(saved))
}

/// Loss of logits that are ours against dense targets, `[1]`; the shapes were checked.
pub(crate) fn objective(logits: Tensor<2>, targets: &[f32], objective: &Objective<'_>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let mut inputs = Inputs::default();
    inputs.push(logits);
    let mut gradient = vec![0.0; batch * classes];
    let loss = sound(objective.of(values(&inputs.values[0]), targets, classes, &mut gradient));
    let saved = SavedLoss { gradient, shape: [batch, classes] };
    inputs.finish(tensor(vec![loss as f32], [1]), Box::new(saved))
}

/// The gradient with respect to the logits, which the loss has computed with it.
#[derive(Debug)]
struct SavedLoss {
    gradient: Vec<f32>,
    shape: [usize; 2],
}

impl Saved for SavedLoss {
    fn what(&self) -> String {
        "loss".into()
    }

    fn backward(mut self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let dy = contiguous(dy);
        let factor = values(&dy)[0];
        self.gradient.iter_mut().for_each(|gradient| *gradient *= factor);
        vec![Some(tensor(self.gradient, self.shape))]
    }
}
