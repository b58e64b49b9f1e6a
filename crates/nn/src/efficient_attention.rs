//! Efficient channel attention.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation::sigmoid, module::conv1d, ops::ConvOptions};

use crate::squeeze::global_average;
use crate::{Fill, Init, Mode};

/// Efficient channel attention (Wang et al. 2020): `y = x sigmoid(w * mean(x))`, where `*` is a convolution along the
/// channels, padded with zeros: a weight for every channel of every sample, of its own mean and its neighbours'.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{EfficientAttention, Init, Mode};
/// let attention = EfficientAttention::new(5, Init::new(0, &Device::flex()));
/// let y = attention.forward(Tensor::ones([2, 16, 8, 8], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [2, 16, 8, 8]);
/// ```
#[derive(Module, Debug)]
pub struct EfficientAttention {
    /// `[1, 1, kernel]`.
    pub weight: Param<Tensor<3>>,
}

impl EfficientAttention {
    /// Attention with a kernel of odd size, PyTorch's initialisation.
    pub fn new(kernel: usize, init: impl Into<Init>) -> Self {
        Self { weight: init.into().parameter("weight", [1, 1, kernel], Fill::linear(kernel)) }
    }

    /// # Shapes
    /// `[batch, channels, h, w]`, in and out.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let [batch, channels, _, _] = x.dims();
        let [_, _, kernel] = self.weight.dims();
        let means = global_average(x.clone()).reshape([batch, 1, channels]);
        let options = ConvOptions::new([1], [kernel / 2], [1], 1);
        let excited = conv1d(means, mode.value(&self.weight), None, options);
        x * sigmoid(excited).reshape([batch, channels, 1, 1])
    }
}
