//! Unit of fused layers: a residual block, or a convolution with its norm and ReLU, as one operation.

use residual_kernels::block::{BlockShape, Memory};

use crate::{BatchNorm, Conv2d, SqueezeExcite};

/// `y = act(F(x) + S(x))`, with the parameters of its parts.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) shape: BlockShape,
    pub(crate) convs: Vec<&'a Conv2d>,
    pub(crate) norms: Vec<&'a BatchNorm>,
    /// A projection; without a norm in pre-activation order.
    pub(crate) projection: Option<(&'a Conv2d, Option<&'a BatchNorm>)>,
    pub(crate) squeeze: Option<&'a SqueezeExcite>,
    /// The factor of each image's branch, where some are dropped.
    pub(crate) depth: Option<Vec<f32>>,
    pub(crate) memory: Memory,
}
