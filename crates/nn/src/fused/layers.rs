//! Poolings, and the norm before the head.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::norm::{Backward, BatchStatistics, Mask, apply, apply_workspace, statistics};
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Epilogue, Layout, MapsMut, MapsRef};

use super::blocked::{Blocked, blocked, name, shape};
use super::buffers::{contiguous, tensor, values};
use super::context::FusedContext;
use super::graph::{Inputs, Saved, constant};
use super::sound::sound;
use crate::BatchNorm;

/// Max pool; the padding counts for nothing.
pub(crate) fn max_pool(pool: residual_arch::MaxPool, x: Blocked, border: usize) -> Blocked {
    let Blocked { tensor, layout: from, context } = x;
    let square = |side| [side; 2];
    let (kernel, stride, padding) = (square(pool.kernel), square(pool.stride), square(pool.padding));
    let pooling = sound(Pooling::windows([from.height(), from.width()], kernel, stride, padding));
    let [height, width] = pooling.output();
    let layout = blocked([from.batch(), from.channels(), height, width], border);
    let mut inputs = Inputs::default();
    inputs.push(tensor);
    let mut y = context.maps().take(layout.len());
    let input = inputs.values[0].clone();
    sound(pool::maximum(
        context.cpu(),
        &pooling,
        MapsRef::new(values(&input), from),
        MapsMut::new(&mut y, layout),
    ));
    let saved = SavedMaxPool { context: context.clone(), pooling, x: Some(input), from, to: layout };
    Blocked { tensor: inputs.finish(y.into_tensor(shape(&layout)), Box::new(saved)), layout, context }
}

#[derive(Debug)]
struct SavedMaxPool {
    context: FusedContext,
    pooling: Pooling,
    x: Option<FlexTensor>,
    from: Layout,
    to: Layout,
}

impl Saved for SavedMaxPool {
    fn what(&self) -> String {
        format!("max pool {} to {}", name(&self.from), name(&self.to))
    }

    fn backward(mut self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let context = self.context.clone();
        let dy = contiguous(dy);
        let Some(x) = self.x.take() else { return vec![None] };
        let (mut dx, cpu) = (context.maps().own(x), context.cpu());
        context.with_workspace(pool::maximum_backward_workspace(cpu, &self.from), |workspace| {
            let (from, x) = (MapsRef::new(values(&dy), self.to), MapsMut::new(&mut dx, self.from));
            sound(pool::maximum_backward(cpu, &self.pooling, from, x, workspace));
        });
        context.maps().give(dy);
        vec![Some(dx.into_tensor(shape(&self.from)))]
    }
}

/// The mean of every map: `[batch, channels]`.
pub(crate) fn global_average(x: Blocked) -> Tensor<2> {
    let Blocked { tensor: maps, layout, context } = x;
    let mut inputs = Inputs::default();
    inputs.push(maps);
    let mut y = vec![0.0; layout.batch() * layout.channels()];
    sound(pool::global_average(context.cpu(), MapsRef::new(values(&inputs.values[0]), layout), &mut y));
    inputs.finish(tensor(y, [layout.batch(), layout.channels()]), Box::new(SavedAverage { context, layout }))
}

#[derive(Debug)]
struct SavedAverage {
    context: FusedContext,
    layout: Layout,
}

impl Saved for SavedAverage {
    fn what(&self) -> String {
        format!("average of {}", name(&self.layout))
    }

    fn backward(self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let (context, dy, layout) = (&self.context, contiguous(dy), self.layout);
        let mut dx = context.maps().take(layout.len());
        sound(pool::global_average_backward(context.cpu(), values(&dy), MapsMut::new(&mut dx, layout)));
        vec![Some(dx.into_tensor(shape(&layout)))]
    }
}

/// Batch norm and ReLU in training; moves the running statistics, unless they are frozen.
pub(crate) fn norm_relu(norm: &BatchNorm, x: Blocked) -> Blocked {
    let Blocked { tensor, layout, context } = x;
    let mut inputs = Inputs::default();
    inputs.push(tensor);
    inputs.push(norm.weight.val());
    inputs.push(norm.bias.val());
    let input = inputs.values.clone();
    let [x, gamma, beta] = [0, 1, 2].map(|i| values(&input[i]));
    let eps = norm.epsilon as f32;
    let mut batch = BatchStatistics::zeroed(&layout);
    let [mut scale, mut shift] = [0, 1].map(|_| vec![0.0; layout.channels()]);
    let mut y = context.maps().take(layout.len());
    if norm.frozen_statistics {
        let [mean, variance] =
            [&norm.running_mean, &norm.running_var].map(|running| constant(running.value()));
        batch.mean.copy_from_slice(values(&mean));
        batch.variance.copy_from_slice(values(&variance));
        batch.constant = true;
    } else {
        context.with_workspace(BatchStatistics::workspace(&layout), |workspace| {
            sound(statistics(context.cpu(), x, layout, &mut batch, workspace));
        });
        norm.observe(&batch);
    }
    sound(batch.fold([gamma, beta], eps, [&mut scale, &mut shift]));
    let epilogue = Epilogue { scale: Some(&scale), shift: Some(&shift), residual: None, relu: true };
    context.with_workspace(apply_workspace(&layout), |workspace| {
        sound(apply(
            context.cpu(),
            MapsRef::new(x, layout),
            &epilogue,
            MapsMut::new(&mut y, layout),
            workspace,
        ));
    });
    let saved = SavedNorm { context: context.clone(), inputs: input, layout, batch, scale, shift, eps };
    Blocked { tensor: inputs.finish(y.into_tensor(shape(&layout)), Box::new(saved)), layout, context }
}

#[derive(Debug)]
struct SavedNorm {
    context: FusedContext,
    /// The maps, their scale and their shift.
    inputs: Vec<FlexTensor>,
    layout: Layout,
    batch: BatchStatistics,
    scale: Vec<f32>,
    shift: Vec<f32>,
    eps: f32,
}

impl Saved for SavedNorm {
    fn what(&self) -> String {
        format!("norm of {}", name(&self.layout))
    }

    fn backward(self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let (context, dy, layout) = (&self.context, contiguous(dy), self.layout);
        let [x, gamma] = [0, 1].map(|i| values(&self.inputs[i]));
        let mut dx = context.maps().take(layout.len());
        let [mut dgamma, mut dbeta] = [0, 1].map(|_| vec![0.0; layout.channels()]);
        let backward = Backward {
            x: MapsRef::new(x, layout),
            dy: MapsRef::new(values(&dy), layout),
            mask: Mask::Recompute { scale: &self.scale, shift: &self.shift },
            statistics: &self.batch,
            gamma,
            eps: self.eps,
        };
        context.with_workspace(Backward::workspace(&layout), |workspace| {
            let by = [&mut dgamma[..], &mut dbeta[..]];
            sound(backward.run(context.cpu(), by, MapsMut::new(&mut dx, layout), None, workspace));
        });
        context.maps().give(dy);
        let channels = [layout.channels()];
        vec![
            Some(dx.into_tensor(shape(&layout))),
            Some(tensor(dgamma, channels)),
            Some(tensor(dbeta, channels)),
        ]
    }
}
