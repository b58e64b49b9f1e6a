//! The pre-activation block.

use residual_arch::{BlockSpec, Shortcut};

use crate::{Block, BlockConfig, Error, Init};

/// A [`Block`] built by [`PreActBlockConfig`].
pub type PreActBlock = Block;

/// BN-ReLU-conv twice (basic) or thrice (bottleneck), nothing after the addition (He et al. 2016, figure
/// 1b). A block that changes shape projects what its first BN-ReLU gives.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Mode, PreActBlockConfig};
/// let block = PreActBlockConfig::basic(16, 32).with_stride(2).init(&Device::flex())?;
/// let y = block.forward(Tensor::ones([1, 16, 8, 8], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [1, 32, 4, 4]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreActBlockConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the 3x3 convolution of a bottleneck; a basic block has none.
    pub width: Option<usize>,
    /// Channels of the output.
    pub channels: usize,
    /// Stride of the first 3x3 convolution and of the shortcut.
    pub stride: usize,
}

impl PreActBlockConfig {
    /// Two 3x3 convolutions.
    pub fn basic(in_channels: usize, channels: usize) -> Self {
        Self { in_channels, width: None, channels, stride: 1 }
    }

    /// 1x1, 3x3 with the stride, 1x1.
    pub fn bottleneck(in_channels: usize, width: usize, channels: usize) -> Self {
        Self { width: Some(width), ..Self::basic(in_channels, channels) }
    }

    /// Sets the stride.
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The block as data.
    pub fn spec(&self) -> BlockSpec {
        let spec = match self.width {
            Some(width) => BlockSpec::bottleneck(self.in_channels, width, self.channels, self.stride),
            None => BlockSpec::basic(self.channels).with(|block| {
                block.stride = self.stride;
                block.shortcut = Shortcut::fitting(self.in_channels, self.channels, self.stride);
            }),
        };
        spec.preactivation()
    }

    /// Builds it.
    ///
    /// # Errors
    /// If a number is zero.
    pub fn init(&self, init: impl Into<Init>) -> Result<PreActBlock, Error> {
        BlockConfig::new(self.spec(), self.in_channels).init(init)
    }
}
