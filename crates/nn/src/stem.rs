//! What stands before the first stage.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, activation::relu, module::max_pool2d, ops::MaxPoolOptions};
use residual_arch::{Convolution, MaxPool, StemSpec};

use crate::{BatchNorm, BatchNormConfig, Conv2d, Init, Mode};

/// Convolutions with BN and ReLU, then a max pool if any.
#[derive(Module, Debug)]
pub struct Stem {
    /// In order.
    pub convs: Vec<Conv2d>,
    /// One after every convolution; the last has none in a bare stem.
    pub norms: Vec<BatchNorm>,
    #[module(skip)]
    pool: Option<MaxPool>,
    /// Disabled in a frozen layer, which always runs as in [`Mode::Eval`].
    pub training: Param<Flag>,
}

impl Stem {
    /// The stem `spec` on images of `in_channels`, checked before.
    pub(crate) fn build(spec: &StemSpec, in_channels: usize, init: &Init) -> Self {
        let (mut convs, mut norms, mut channels) = (vec![], vec![], in_channels);
        for (index, conv) in spec.convs.iter().enumerate() {
            let shape = Convolution {
                in_channels: channels,
                out_channels: conv.channels,
                kernel: conv.kernel,
                stride: conv.stride,
                padding: conv.padding,
                groups: 1,
            };
            channels = conv.channels;
            convs.push(Conv2d::new(&shape, init.at(format!("conv{index}"))));
            if !(spec.bare && index + 1 == spec.convs.len()) {
                norms.push(BatchNormConfig::new(channels).init(init.at(format!("norm{index}"))));
            }
        }
        Self { convs, norms, pool: spec.pool, training: Param::from_bool(true) }
    }

    /// # Shapes
    /// `[batch, in, h, w]` to the shape that [`residual_arch`]'s shape flow gives.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let mode = mode.within(&self.training);
        let mut h = x;
        for (index, conv) in self.convs.iter().enumerate() {
            h = conv.forward(h, mode);
            if let Some(norm) = self.norms.get(index) {
                h = relu(norm.forward(h, mode));
            }
        }
        match self.pool {
            Some(pool) => max_pool(h, pool),
            None => h,
        }
    }
}

/// Max pool; the padding is minus infinity.
fn max_pool(x: Tensor<4>, pool: MaxPool) -> Tensor<4> {
    let options = MaxPoolOptions {
        stride: [pool.stride; 2],
        padding: [(pool.padding, pool.padding); 2],
        ..MaxPoolOptions::new([pool.kernel; 2])
    };
    max_pool2d(x, options)
}
