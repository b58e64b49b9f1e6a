//! Squeeze-and-excitation.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use crate::{Conv2d, Init, Mode};

/// Squeeze-and-excitation (Hu et al. 2018): `y = x sigmoid(expand(relu(reduce(mean(x)))))`, a weight for
/// every channel of every sample.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// 1x1 convolution to the middle's channels.
    pub reduce: Conv2d,
    /// 1x1 convolution back.
    pub expand: Conv2d,
}

impl SqueezeExcite {
    /// Attention on maps of `channels`, with `reduced` channels in its middle.
    pub fn new(channels: usize, reduced: usize, init: impl Into<Init>) -> Self {
        let init = init.into();
        Self {
            reduce: Conv2d::pointwise(channels, reduced, init.at("reduce")),
            expand: Conv2d::pointwise(reduced, channels, init.at("expand")),
        }
    }

    /// # Shapes
    /// `[batch, channels, h, w]`, in and out.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let squeezed = global_average(x.clone());
        let excited = self.expand.forward(activation::relu(self.reduce.forward(squeezed, mode)), mode);
        x * activation::sigmoid(excited)
    }
}

/// Mean over the map: `[batch, channels, h, w]` to `[batch, channels, 1, 1]`.
pub(crate) fn global_average(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels, 1, 1])
}
