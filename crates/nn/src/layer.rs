//! One layer of a network as a module.

// A network has a few hundred layers: a kilobyte for each is nothing beside its tensors.
#![allow(clippy::large_enum_variant)]

use burn::module::Module;
use burn::tensor::Tensor;
use residual_arch::{Layer, LayerOp, MaxPool, Norm};

use crate::beyond::GroupNorm;
use crate::stateless::Stateless;
use crate::{BatchNorm, BatchNormConfig, Conv2d, EfficientAttention, Error, Fill, Init, Mode, SqueezeExcite};

/// Layer of a stem, a branch or a shortcut, by its [`LayerOp`].
#[derive(Module, Debug)]
pub enum LayerModule {
    /// Convolution.
    Conv(Conv2d),
    /// Batch norm.
    Norm(BatchNorm),
    /// Group norm.
    GroupNorm(GroupNorm),
    /// Squeeze-and-excitation.
    SqueezeExcite(SqueezeExcite),
    /// Efficient channel attention.
    EfficientAttention(EfficientAttention),
    /// Layer without parameters: an activation, a pool, a padding.
    Stateless(Stateless),
}

impl LayerModule {
    /// Builds the layer of a checked network or block.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an operation that no module of this crate computes.
    pub fn new(layer: &Layer, init: impl Into<Init>) -> Result<Self, Error> {
        let init = init.into();
        Ok(match *layer.op() {
            LayerOp::Conv(conv) => Self::Conv(Conv2d::new(&conv, init)),
            LayerOp::Norm(Norm::Batch { channels, zero_init }) => {
                Self::Norm(BatchNormConfig::new(channels).with_zero(zero_init).init(init))
            }
            LayerOp::Norm(Norm::Group { channels, groups, zero_init }) => {
                let scale = if zero_init { Fill::Zeros } else { Fill::Ones };
                Self::GroupNorm(GroupNorm::scaled([groups, channels], scale, init)?)
            }
            LayerOp::SqueezeExcite(squeeze) => {
                Self::SqueezeExcite(SqueezeExcite::new(squeeze.channels, squeeze.reduced, init))
            }
            LayerOp::EfficientAttention(attention) => {
                Self::EfficientAttention(EfficientAttention::new(attention.kernel, init))
            }
            op => match Stateless::new(&op) {
                Some(layer) => Self::Stateless(layer),
                None => return Err(Error::Unsupported { layer: layer.path(), op: format!("{op:?}") }),
            },
        })
    }

    /// # Shapes
    /// `[batch, c, h, w]` of the layer's input to that of its output.
    ///
    /// # Panics
    /// If the input has other channels, or does not fit.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x, mode),
            Self::Norm(norm) => norm.forward(x, mode),
            Self::GroupNorm(norm) => norm.forward(x, mode),
            Self::SqueezeExcite(squeeze) => squeeze.forward(x, mode),
            Self::EfficientAttention(attention) => attention.forward(x, mode),
            Self::Stateless(layer) => layer.forward(x),
        }
    }

    /// The convolution, if it is one.
    pub fn as_conv(&self) -> Option<&Conv2d> {
        match self {
            Self::Conv(conv) => Some(conv),
            _ => None,
        }
    }

    /// The batch norm, if it is one.
    pub fn as_norm(&self) -> Option<&BatchNorm> {
        match self {
            Self::Norm(norm) => Some(norm),
            _ => None,
        }
    }

    /// The max pool, if it is one.
    pub(crate) fn as_max_pool(&self) -> Option<MaxPool> {
        match self {
            Self::Stateless(layer) => layer.as_max_pool(),
            _ => None,
        }
    }

    /// True for `max(x, 0)`.
    pub(crate) fn is_relu(&self) -> bool {
        matches!(self, Self::Stateless(layer) if layer.is_relu())
    }
}
