//! What stands after the last stage.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, TensorData};
use residual_arch::shape::ShapeError;
use residual_arch::{Layer, LayerOp};

use crate::error::assert_channels;
use crate::fused::{self, FusedContext, Path};
use crate::squeeze::global_average;
use crate::{BatchNorm, Compute, Error, Init, LayerModule, Layers, Linear, Maps, Mode};

/// (BN and ReLU,) global average pool, (dropout,) linear layer.
#[derive(Module, Debug)]
pub struct Head {
    /// Before the pool: `norm` and `act` after pre-activation blocks.
    pub layers: Layers,
    /// Features to logits.
    pub linear: Linear,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    compute: Compute,
    #[module(skip)]
    context: FusedContext,
    /// Disabled in a frozen layer, which always runs as in [`Mode::Eval`].
    pub training: Param<Flag>,
}

impl Head {
    /// Builds the head of a checked network, which has these layers.
    pub(crate) fn build(layers: &[Layer], init: &Init) -> Result<Self, Error> {
        let (mut before, mut dropout, mut linear) = (Vec::new(), 0.0, None);
        for layer in layers {
            match *layer.op() {
                LayerOp::GlobalAverage => {}
                LayerOp::Dropout { probability } => dropout = probability,
                LayerOp::Linear { inputs, outputs } => {
                    linear = Some(Linear::new(inputs, outputs, init.at(layer.path().name())));
                }
                _ => before.push(layer),
            }
        }
        Ok(Self {
            layers: Layers::new(before, init)?,
            linear: linear.ok_or(ShapeError::NoClasses)?,
            dropout,
            compute: Compute::default(),
            context: FusedContext::default(),
            training: Param::from_bool(true),
        })
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

    /// Runs its fused layers in `context` from now on.
    pub fn set_context(&mut self, context: &FusedContext) {
        self.context = context.clone();
    }

    /// True where a layer of it trains through stock operations.
    pub(crate) fn is_stock(&self) -> bool {
        self.compute.path == Path::Stock || self.fused_norm().is_none()
    }

    /// Logits of maps that may be in the kernels' layout.
    pub(crate) fn forward_maps(&self, x: Maps, mode: Mode) -> Tensor<2> {
        let mode = mode.within(&self.training);
        self.logits(self.pool(x, mode), mode)
    }

    /// Logits of pooled features.
    pub(crate) fn logits(&self, features: Tensor<2>, mode: Mode) -> Tensor<2> {
        let features = dropout(features, self.dropout, mode);
        if mode.is_training() && self.compute.path == Path::Fused && fused::is_ours(&features) {
            return fused::linear(&self.linear, features, &self.context);
        }
        self.linear.forward(features, mode)
    }

    /// The features before the linear layer, `[batch, channels]`.
    pub(crate) fn pool(&self, x: Maps, mode: Mode) -> Tensor<2> {
        assert_channels("head", x.dims()[1], self.linear.weight.dims()[1]);
        if mode.is_training()
            && self.compute.path == Path::Fused
            && x.are_ours()
            && let Some(norm) = self.fused_norm()
        {
            let x = x.blocked(&self.context, 0);
            return fused::global_average(match norm {
                Some(norm) => fused::norm_relu(norm, x),
                None => x,
            });
        }
        average(self.layers.forward(x.into_tensor(), mode))
    }

    /// The norm that a ReLU follows, or none; `None` where the kernels do not have what stands before the pool.
    fn fused_norm(&self) -> Option<Option<&BatchNorm>> {
        let layers: Vec<_> = self.layers.iter().map(|(_, layer)| layer).collect();
        match layers[..] {
            [] => Some(None),
            [LayerModule::Norm(norm), relu] if relu.is_relu() && !norm.bypassed => Some(Some(norm)),
            _ => None,
        }
    }
}

/// Mean of every map, `[batch, channels]`.
pub(crate) fn average(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, _, _] = x.dims();
    global_average(x).reshape([batch, channels])
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
    let [samples, features] = shape.map(|extent| extent as u64);
    let first = randomness.first * features;
    let factors: Vec<f32> = (first..first + samples * features).map(factor).collect();
    let factors = Tensor::from_data(TensorData::new(factors, shape), &x.device());
    x * factors
}
