//! Convolution.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};
use residual_arch::{ConvKind, Convolution};

use crate::error::assert_channels;
use crate::{Fill, Init, Mode};

/// A square two-dimensional convolution.
///
/// `y[b, o] = bias[o] + sum over i, u, v of w[o, i, u, v] x[b, i, ...]`; without a bias where a batch
/// norm follows. A weight that is standardised ([`ConvKind::Standardised`]) goes through that at every pass, gradients
/// included.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride.
    pub stride: usize,
    /// Zero padding on every side.
    pub padding: usize,
    /// Groups.
    pub groups: usize,
    /// Kind: what the weight goes through first.
    #[module(skip)]
    pub kind: ConvKind,
}

impl Conv2d {
    /// Convolution without bias, He initialisation ([`Fill::he`]).
    pub fn new(conv: &Convolution, init: impl Into<Init>) -> Self {
        let inputs = conv.in_channels / conv.groups;
        let shape = [conv.out_channels, inputs, conv.kernel, conv.kernel];
        Self {
            weight: init.into().parameter("weight", shape, Fill::he(conv.out_channels, conv.kernel)),
            bias: None,
            stride: conv.stride,
            padding: conv.padding,
            groups: conv.groups,
            kind: conv.kind,
        }
    }

    /// 1x1 with stride 1 and a bias that starts at zero.
    pub fn pointwise(inputs: usize, outputs: usize, init: impl Into<Init>) -> Self {
        let init = init.into();
        let bias = init.parameter("bias", [outputs], Fill::Zeros);
        Self { bias: Some(bias), ..Self::new(&projection(inputs, outputs, 1), init) }
    }

    /// Channels that it takes.
    pub fn in_channels(&self) -> usize {
        self.weight.dims()[1] * self.groups
    }

    /// # Shapes
    /// `[batch, in, h, w]` to `[batch, out, (h + 2 padding - k) / stride + 1, ...]`.
    ///
    /// # Panics
    /// If the input has other channels, or is smaller than the kernel.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        assert_channels("convolution", x.dims()[1], self.in_channels());
        let options = ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], self.groups);
        let weight = mode.value(&self.weight);
        let weight = if self.kind == ConvKind::Standardised { standardised(weight) } else { weight };
        conv2d(x, weight, self.bias.as_ref().map(|bias| mode.value(bias)), options)
    }
}

/// Weight standardisation (Qiao et al. 2019): `(w - mean) / sqrt(var + EPSILON)` for every output channel over its
/// inputs and kernel.
fn standardised(weight: Tensor<4>) -> Tensor<4> {
    let [out, inputs, height, width] = weight.dims();
    let rows = weight.reshape([out, inputs * height * width]);
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    (centred / (variance + ConvKind::EPSILON).sqrt()).reshape([out, inputs, height, width])
}

/// A 1x1 convolution with a stride.
pub(crate) fn projection(in_channels: usize, out_channels: usize, stride: usize) -> Convolution {
    Convolution::new(in_channels, out_channels, 1).with(|conv| conv.stride = stride)
}
