//! The basic block.

use residual_arch::BlockSpec;

use crate::{Block, BlockConfig, Error, Init};

/// A [`Block`] built by [`BasicBlockConfig`].
pub type BasicBlock = Block;

/// conv3-BN-ReLU-conv3-BN, add, ReLU: `y = relu(F(x) + x)` (He et al. 2015, figure 5 left).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{BasicBlockConfig, Mode};
/// let block = BasicBlockConfig::new(16).init(&Device::flex())?;
/// let y = block.forward(Tensor::ones([2, 16, 8, 8], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [2, 16, 8, 8]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicBlockConfig {
    /// Channels, in and out.
    pub channels: usize,
}

impl BasicBlockConfig {
    /// A block on `channels`.
    pub fn new(channels: usize) -> Self {
        Self { channels }
    }

    /// The block as data.
    pub fn spec(&self) -> BlockSpec {
        BlockSpec::basic(self.channels)
    }

    /// Builds it.
    ///
    /// # Errors
    /// If there are no channels.
    pub fn init(&self, init: impl Into<Init>) -> Result<BasicBlock, Error> {
        BlockConfig::new(self.spec(), self.channels).init(init)
    }
}
