//! Linear layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::{Fill, Init, Mode};

/// `y = x W^T + b` over the last axis.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// PyTorch's initialisation ([`Fill::linear`]).
    pub fn new(inputs: usize, outputs: usize, init: impl Into<Init>) -> Self {
        let init = init.into();
        Self {
            weight: init.parameter("weight", [outputs, inputs], Fill::linear(inputs)),
            bias: init.parameter("bias", [outputs], Fill::linear(inputs)),
        }
    }

    /// # Shapes
    /// `[..., inputs]` to `[..., outputs]`.
    ///
    /// # Panics
    /// If the last axis is another.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, mode: Mode) -> Tensor<D> {
        let weight = mode.value(&self.weight);
        let [outputs, inputs] = weight.dims();
        let mut shape = x.dims();
        crate::error::assert_channels("linear layer", shape[D - 1], inputs);
        let rows = shape.iter().product::<usize>() / inputs;
        shape[D - 1] = outputs;
        let y = x.reshape([rows, inputs]).matmul(weight.transpose());
        (y + mode.value(&self.bias).reshape([1, outputs])).reshape(shape)
    }
}
