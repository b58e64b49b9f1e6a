//! Layer normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::{Fill, Init, Mode};

/// Layer normalisation (Ba et al. 2016) over the last axis:
/// `y = (x - mean) / sqrt(var + 1e-5) weight + bias`, `var` biased.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[features]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[features]`.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// Scale 1, shift 0.
    pub fn new(features: usize, init: impl Into<Init>) -> Self {
        let init = init.into();
        Self {
            weight: init.parameter("weight", [features], Fill::Ones),
            bias: init.parameter("bias", [features], Fill::Zeros),
        }
    }

    /// # Shapes
    /// `[..., features]`, in and out.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, mode: Mode) -> Tensor<D> {
        let mut shape = [1; D];
        shape[D - 1] = x.dims()[D - 1];
        let y = standardise(x, D - 1);
        y * mode.value(&self.weight).reshape(shape) + mode.value(&self.bias).reshape(shape)
    }
}

/// Zero mean and unit variance along an axis, `(x - mean) / sqrt(var + 1e-5)`.
pub(super) fn standardise<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(axis);
    let variance = (centred.clone() * centred.clone()).mean_dim(axis);
    centred / (variance + 1e-5).sqrt()
}
