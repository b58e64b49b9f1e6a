//! Poolings, and the norm before the head.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::norm::{Backward, BatchStatistics, Mask, apply, apply_workspace, statistics};
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Epilogue, Layout, MapsMut, MapsRef};

use super::blocked::{Blocked, blocked, name, shape};
use super::buffers::{contiguous, tensor, values};
use super::graph::{Inputs, Saved};
use super::runtime::runtime;
use super::sound;
use crate::BatchNorm;

/// Max pool; the padding counts for nothing.
pub(crate) fn max_pool(pool: residual_arch::MaxPool, x: Blocked, border: usize) -> Blocked {
    let runtime = runtime();
    let square = |side| [side; 2];
    let from = x.layout;
    let (kernel, stride, padding) = (square(pool.kernel), square(pool.stride), square(pool.padding));
    let pooling = sound(Pooling::windows([from.height(), from.width()], kernel, stride, padding));
    let [height, width] = pooling.output();
    let layout = blocked([from.batch(), from.channels(), height, width], border);
    let mut inputs = Inputs::default();
    inputs.push(x.tensor);
    let mut y = runtime.maps.take(layout.len());
    let input = inputs.values[0].clone();
    sound(pool::maximum(
        &runtime.cpu,
        &pooling,
        MapsRef::new(values(&input), from),
        MapsMut::new(&mut y, layout),
    ));
    let saved = SavedMaxPool { pooling, x: Some(input), from, to: layout };
    Blocked { tensor: inputs.finish(y.into_tensor(shape(&layout)), Box::new(saved)), layout }
}

#[derive(Debug)]
struct SavedMaxPool {
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
        let (runtime, dy) = (runtime(), contiguous(dy));
        let Some(x) = self.x.take() else { return vec![None] };
        let (mut dx, cpu) = (runtime.maps.own(x), &runtime.cpu);
        runtime.with_workspace(pool::maximum_backward_workspace(cpu, &self.from), |workspace| {
            let (from, x) = (MapsRef::new(values(&dy), self.to), MapsMut::new(&mut dx, self.from));
            sound(pool::maximum_backward(cpu, &self.pooling, from, x, workspace));
        });
        runtime.maps.give(dy);
        vec![Some(dx.into_tensor(shape(&self.from)))]
    }
}

/// The mean of every map: `[batch, channels]`.
pub(crate) fn global_average(x: Blocked) -> Tensor<2> {
    let (runtime, layout) = (runtime(), x.layout);
    let mut inputs = Inputs::default();
    inputs.push(x.tensor);
    let mut y = vec![0.0; layout.batch() * layout.channels()];
    sound(pool::global_average(&runtime.cpu, MapsRef::new(values(&inputs.values[0]), layout), &mut y));
    inputs.finish(tensor(y, [layout.batch(), layout.channels()]), Box::new(SavedAverage(layout)))
}

#[derive(Debug)]
struct SavedAverage(Layout);

impl Saved for SavedAverage {
    fn what(&self) -> String {
        format!("average of {}", name(&self.0))
    }

    fn backward(self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let (runtime, dy, layout) = (runtime(), contiguous(dy), self.0);
        let mut dx = runtime.maps.take(layout.len());
        sound(pool::global_average_backward(&runtime.cpu, values(&dy), MapsMut::new(&mut dx, layout)));
        vec![Some(dx.into_tensor(shape(&layout)))]
    }
}

/// Batch norm and ReLU in training; moves the running statistics.
pub(crate) fn norm_relu(norm: &BatchNorm, x: Blocked) -> Blocked {
    let (runtime, layout) = (runtime(), x.layout);
    let mut inputs = Inputs::default();
    inputs.push(x.tensor);
    inputs.push(norm.weight.val());
    inputs.push(norm.bias.val());
    let input = inputs.values.clone();
    let [x, gamma, beta] = [0, 1, 2].map(|i| values(&input[i]));
    let eps = norm.epsilon as f32;
    let mut batch = BatchStatistics::zeroed(&layout);
    let [mut scale, mut shift] = [0, 1].map(|_| vec![0.0; layout.channels()]);
    let mut y = runtime.maps.take(layout.len());
    runtime.with_workspace(BatchStatistics::workspace(&layout), |workspace| {
        sound(statistics(&runtime.cpu, x, layout, &mut batch, workspace));
    });
    sound(batch.fold([gamma, beta], eps, [&mut scale, &mut shift]));
    let epilogue = Epilogue { scale: Some(&scale), shift: Some(&shift), residual: None, relu: true };
    runtime.with_workspace(apply_workspace(&layout), |workspace| {
        sound(apply(
            &runtime.cpu,
            MapsRef::new(x, layout),
            &epilogue,
            MapsMut::new(&mut y, layout),
            workspace,
        ));
    });
    norm.observe(&batch);
    let saved = SavedNorm { inputs: input, layout, batch, scale, shift, eps };
    Blocked { tensor: inputs.finish(y.into_tensor(shape(&layout)), Box::new(saved)), layout }
}

#[derive(Debug)]
struct SavedNorm {
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
        let (runtime, dy, layout) = (runtime(), contiguous(dy), self.layout);
        let [x, gamma] = [0, 1].map(|i| values(&self.inputs[i]));
        let mut dx = runtime.maps.take(layout.len());
        let [mut dgamma, mut dbeta] = [0, 1].map(|_| vec![0.0; layout.channels()]);
        let backward = Backward {
            x: MapsRef::new(x, layout),
            dy: MapsRef::new(values(&dy), layout),
            mask: Mask::Recompute { scale: &self.scale, shift: &self.shift },
            statistics: &self.batch,
            gamma,
            eps: self.eps,
        };
        runtime.with_workspace(Backward::workspace(&layout), |workspace| {
            let by = [&mut dgamma[..], &mut dbeta[..]];
            sound(backward.run(&runtime.cpu, by, MapsMut::new(&mut dx, layout), None, workspace));
        });
        runtime.maps.give(dy);
        let channels = [layout.channels()];
        vec![
            Some(dx.into_tensor(shape(&layout))),
            Some(tensor(dgamma, channels)),
            Some(tensor(dbeta, channels)),
        ]
    }
}
