//! What every block gives and gets back: its output, and the loss's gradient by it.

use burn::tensor::{Gradients, Tensor, TensorData};
use residual_arch::{Activation, Layer, LayerOp, Place};
use residual_data::Batch;
use residual_nn::{Mode, ResNet, cross_entropy};

use crate::Error;

/// Signals of one batch, forward and backward.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// Mean cross-entropy of the batch.
    pub loss: f64,
    /// The stem and every block, in order.
    pub blocks: Vec<BlockSignal>,
}

/// Signal at the end of the stem or of a block: its output, and the gradient with respect to it.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSignal {
    /// `stem`, or the block's path.
    pub path: String,
    /// True where every value of the output is finite.
    pub finite: bool,
    /// Channels of the output that are zero everywhere in the batch, where the output comes from a ReLU.
    pub dead: Option<usize>,
    /// Channels of the output.
    pub channels: usize,
    /// `|dL/dy|`, the 2-norm over the batch of the loss's gradient by the output.
    pub gradient: f64,
}

/// Runs a batch and gives what passes every block. The network must be on an autodiff device.
///
/// The gradient by a block's output `y` is that by a zero added to it: `dL/dz = dL/dy` for `y + z`, `z = 0`.
///
/// # Errors
/// For labels beyond the network's outputs, and for images that do not fit the network.
pub fn signals(network: &ResNet, batch: &Batch, mode: Mode) -> Result<Signals, Error> {
    let [_, channels, height, width] = batch.shape;
    let checked = network.spec().check([channels, height, width]).map_err(residual_nn::Error::from)?;
    let x = TensorData::new(batch.images.clone(), batch.shape);
    let mut probes = Vec::new();
    let stem = network.stem.forward(Tensor::from_data(x, &network.device()), mode);
    let relu = is_rectified(checked.layers_of(Place::Stem));
    let mut h = watch(&mut probes, Place::Stem.to_string(), relu, stem);
    let blocks = network.stages.iter().flat_map(|stage| &stage.blocks);
    for ((path, _, layers), block) in checked.blocks().zip(blocks) {
        h = watch(&mut probes, path.to_string(), is_rectified(layers), block.forward(h, mode));
    }
    let loss = cross_entropy(network.head.forward(h, mode), &batch.labels, 0.0)?;
    let value = values(loss.clone().inner()).iter().map(|&loss| f64::from(loss)).sum();
    let gradients = loss.backward();
    Ok(Signals { loss: value, blocks: probes.into_iter().map(|probe| probe.read(&gradients)).collect() })
}

/// True where the last of the layers is a ReLU, or a pool of what a ReLU gives.
fn is_rectified(layers: &[Layer]) -> bool {
    let last = layers.iter().rev().find(|layer| !layer.op().is_pool());
    last.is_some_and(|layer| *layer.op() == LayerOp::Activation(Activation::Relu))
}

/// Probe at an output: what was seen on the way forward, and the zero whose gradient is the output's.
struct Probe {
    seen: BlockSignal,
    zero: Tensor<4>,
}

impl Probe {
    fn read(self, gradients: &Gradients) -> BlockSignal {
        let gradient = self.zero.grad(gradients).map_or(0.0, |gradient| norm(&values(gradient)));
        BlockSignal { gradient, ..self.seen }
    }
}

/// Looks at an output, and gives it with a zero added.
fn watch(probes: &mut Vec<Probe>, path: String, relu: bool, y: Tensor<4>) -> Tensor<4> {
    let [_, channels, height, width] = y.dims();
    let seen = values(y.clone().inner());
    let mut alive = vec![false; channels];
    for (index, plane) in seen.chunks(height * width).enumerate() {
        alive[index % channels] |= plane.iter().any(|&value| value != 0.0);
    }
    let dead = relu.then(|| alive.iter().filter(|&&alive| !alive).count());
    let finite = seen.iter().all(|value| value.is_finite());
    let zero = Tensor::zeros(y.dims(), &y.device()).require_grad();
    let seen = BlockSignal { path, finite, dead, channels, gradient: 0.0 };
    probes.push(Probe { seen, zero: zero.clone() });
    y + zero
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// A tensor's values, row-major.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // Every tensor of a network is f32: the conversion is the identity.
    tensor.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default()
}
