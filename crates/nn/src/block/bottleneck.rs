//! The bottleneck block.

use residual_arch::BlockSpec;

use crate::{Block, BlockConfig, Error, Init};

/// A [`Block`] built by [`BottleneckBlockConfig`].
pub type BottleneckBlock = Block;

/// conv1-BN-ReLU-conv3-BN-ReLU-conv1-BN, add, ReLU (He et al. 2015, figure 5 right; the stride on the 3x3
/// as in torchvision). The shortcut is a projection exactly when the stride is not 1 or the channels
/// differ, else the identity.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{BottleneckBlockConfig, Mode};
/// let block = BottleneckBlockConfig::new(64, 16, 128).with_stride(2).init(&Device::flex())?;
/// let y = block.forward(Tensor::ones([1, 64, 8, 8], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [1, 128, 4, 4]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BottleneckBlockConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the 3x3 convolution.
    pub width: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Stride of the 3x3 convolution and of the projection.
    pub stride: usize,
    /// Groups of the 3x3 convolution (ResNeXt, Xie et al. 2017).
    pub groups: usize,
}

impl BottleneckBlockConfig {
    /// Bottleneck from `in_channels` through `width` to `channels`, stride 1, one group.
    pub fn new(in_channels: usize, width: usize, channels: usize) -> Self {
        Self { in_channels, width, channels, stride: 1, groups: 1 }
    }

    /// Sets the stride.
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the groups.
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The block as data.
    pub fn spec(&self) -> BlockSpec {
        let spec = BlockSpec::bottleneck(self.in_channels, self.width, self.channels, self.stride);
        spec.with(|block| block.groups = self.groups)
    }

    /// Builds it.
    ///
    /// # Errors
    /// If a number is zero, or the groups do not divide the width.
    pub fn init(&self, init: impl Into<Init>) -> Result<BottleneckBlock, Error> {
        BlockConfig::new(self.spec(), self.in_channels).init(init)
    }
}
