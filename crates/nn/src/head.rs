//! What stands after the last stage.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, TensorData, activation::relu};
use residual_arch::HeadSpec;

use crate::error::assert_channels;
use crate::fused::{self, Path};
use crate::squeeze::global_average;
use crate::{BatchNorm, BatchNormConfig, Compute, Init, Linear, Maps, Mode};

/// (BN and ReLU,) global average pool, (dropout,) linear layer.
#[derive(Module, Debug)]
pub struct Head {
    /// After pre-activation blocks.
    pub norm: Option<BatchNorm>,
    /// Features to logits.
    pub linear: Linear,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    compute: Compute,
    /// Disabled in a frozen layer, which always runs as in [`Mode::Eval`].
    pub training: Param<Flag>,
}

impl Head {
    /// The head `spec` on maps of `channels`, checked before.
    pub(crate) fn build(spec: &HeadSpec, channels: usize, init: &Init) -> Self {
        Self {
            norm: spec.norm.then(|| BatchNormConfig::new(channels).init(init.at("norm"))),
            linear: Linear::new(channels, spec.classes, init.at("linear")),
            dropout: spec.dropout,
            compute: Compute::default(),
            training: Param::from_bool(true),
        }
    }

    /// # Shapes
    /// `[batch, channels, h, w]` to `[batch, classes]`.
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        self.forward_maps(x.into(), mode)
    }

    /// Trains as `compute` says from now on.
    pub fn set_compute(&mut self, compute: Compute) {
        self.compute = compute;
    }

    /// The same on maps that may be in the kernels' layout.
    pub(crate) fn forward_maps(&self, x: Maps, mode: Mode) -> Tensor<2> {
        let mode = mode.within(&self.training);
        let features = dropout(self.pool(x, mode), self.dropout, mode);
        if mode.is_training() && self.compute.path == Path::Fused && fused::is_ours(&features) {
            return fused::linear(&self.linear, features);
        }
        self.linear.forward(features, mode)
    }

    /// The features before the linear layer, `[batch, channels]`.
    pub(crate) fn pool(&self, x: Maps, mode: Mode) -> Tensor<2> {
        assert_channels("head", x.dims()[1], self.linear.weight.dims()[1]);
        let bypassed = self.norm.as_ref().is_some_and(|norm| norm.bypassed);
        if mode.is_training() && self.compute.path == Path::Fused && !bypassed && x.are_ours() {
            let x = x.blocked(0);
            return fused::global_average(match &self.norm {
                Some(norm) => fused::norm_relu(norm, x),
                None => x,
            });
        }
        let x = x.into_tensor();
        let x = match &self.norm {
            Some(norm) => relu(norm.forward(x, mode)),
            None => x,
        };
        let [batch, channels, _, _] = x.dims();
        global_average(x).reshape([batch, channels])
    }
}

/// Dropout (Srivastava et al. 2014): in training a feature is zero with probability `p`, and scaled by
/// `1 / (1 - p)` where it is kept.
fn dropout(x: Tensor<2>, p: f64, mode: Mode) -> Tensor<2> {
    let Mode::Train(randomness) = mode else { return x };
    if p == 0.0 {
        return x;
    }
    let shape = x.dims();
    let keep = 1.0 - p;
    let factor = |i| if randomness.uniform("head.dropout", i) < keep { (1.0 / keep) as f32 } else { 0.0 };
    let factors: Vec<f32> = (0..(shape[0] * shape[1]) as u64).map(factor).collect();
    let factors = Tensor::from_data(TensorData::new(factors, shape), &x.device());
    x * factors
}
