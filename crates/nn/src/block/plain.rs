//! The plain block.

use residual_arch::BlockSpec;

use crate::{Block, BlockConfig, Error, Init};

/// A [`Block`] built by [`PlainBlockConfig`].
pub type PlainBlock = Block;

/// Layers of a residual block without the shortcut: `y = act(F(x))`, the control of every
/// experiment (He et al. 2015, section 3.3).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Mode, PlainBlockConfig};
/// let block = PlainBlockConfig::new(16, 32).with_stride(2).init(&Device::flex())?;
/// let y = block.forward(Tensor::ones([1, 16, 8, 8], &Device::flex()), Mode::Eval);
/// assert_eq!(y.dims(), [1, 32, 4, 4]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainBlockConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// The layers.
    pub layers: BlockSpec,
}

impl PlainBlockConfig {
    /// The layers of a basic block, from `in_channels` to `channels`.
    pub fn new(in_channels: usize, channels: usize) -> Self {
        Self { in_channels, layers: BlockSpec::basic(channels).plain() }
    }

    /// Sets the stride.
    pub fn with_stride(self, stride: usize) -> Self {
        Self { layers: self.layers.with(|block| block.stride = stride), ..self }
    }

    /// The layers of any block, its shortcut left out.
    pub fn of(layers: BlockSpec, in_channels: usize) -> Self {
        Self { in_channels, layers: layers.plain() }
    }

    /// The block as data.
    pub fn spec(&self) -> BlockSpec {
        self.layers
    }

    /// Builds it.
    ///
    /// # Errors
    /// If a number is zero, or groups do not divide channels.
    pub fn init(&self, init: impl Into<Init>) -> Result<PlainBlock, Error> {
        BlockConfig::new(self.spec(), self.in_channels).init(init)
    }
}
