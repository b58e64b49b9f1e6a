//! The basic block with a projection.

use residual_arch::BlockSpec;

use crate::{Block, BlockConfig, Error, Init};

/// A [`Block`] built by [`ProjectionBlockConfig`].
pub type ProjectionBlock = Block;

/// A basic block with a 1x1 convolution and BN as its shortcut, for any stride and change of channels:
/// `y = relu(F(x) + BN(W x))` (He et al. 2015, equation 2, option B).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Mode, ProjectionBlockConfig};
/// let block = ProjectionBlockConfig::new(16, 32).with_stride(2).init(&Device::flex())?;
/// let y = block.forward(Tensor::ones([2, 16, 9, 9], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [2, 32, 5, 5]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectionBlockConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Stride of the first 3x3 convolution and of the projection.
    pub stride: usize,
}

impl ProjectionBlockConfig {
    /// Block from `in_channels` to `channels` with stride 1.
    pub fn new(in_channels: usize, channels: usize) -> Self {
        Self { in_channels, channels, stride: 1 }
    }

    /// Sets the stride.
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The block as data.
    pub fn spec(&self) -> BlockSpec {
        BlockSpec::projection(self.channels, self.stride)
    }

    /// Builds it.
    ///
    /// # Errors
    /// If there are no channels, or the stride is zero.
    pub fn init(&self, init: impl Into<Init>) -> Result<ProjectionBlock, Error> {
        BlockConfig::new(self.spec(), self.in_channels).init(init)
    }
}
