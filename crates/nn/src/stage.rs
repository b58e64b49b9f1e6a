//! A stage.

use burn::module::Module;
use burn::tensor::Tensor;
use residual_arch::StageSpec;

use crate::{Block, Error, Init, Maps, Mode};

/// Configuration of a [`Stage`].
#[derive(Clone, Debug, PartialEq)]
pub struct StageConfig {
    /// The blocks.
    pub spec: StageSpec,
    /// Channels of the stage's input.
    pub in_channels: usize,
}

impl StageConfig {
    /// The stage `spec` on an input of `in_channels`.
    pub fn new(spec: StageSpec, in_channels: usize) -> Self {
        Self { spec, in_channels }
    }

    /// Builds it, He initialisation.
    ///
    /// # Errors
    /// Those of [`BlockConfig::init`](crate::BlockConfig::init).
    pub fn init(&self, init: impl Into<Init>) -> Result<Stage, Error> {
        let (init, mut channels) = (init.into(), self.in_channels);
        let mut blocks = Vec::with_capacity(self.spec.blocks.len());
        for (index, spec) in self.spec.blocks.iter().enumerate() {
            let checked = crate::error::check_block(spec, channels)?;
            blocks.push(Block::build(spec, checked.layers(), &init.at(format!("block{index}")))?);
            channels = spec.channels;
        }
        Ok(Stage { blocks })
    }
}

/// Blocks one after the other.
#[derive(Module, Debug)]
pub struct Stage {
    /// The blocks in order.
    pub blocks: Vec<Block>,
}

impl Stage {
    /// # Shapes
    /// Those of the blocks in turn.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.forward_to(x.into(), mode, 0).into_tensor()
    }

    /// Output on maps that stay in the kernels' layout, for a next layer that makes use of a border.
    pub(crate) fn forward_to(&self, x: Maps, mode: Mode, border: usize) -> Maps {
        let borders = self.blocks.iter().skip(1).map(Block::border).chain([border]);
        self.blocks.iter().zip(borders).fold(x, |x, (block, border)| block.forward_to(x, mode, border))
    }

    /// The border that its first block makes use of.
    pub(crate) fn border(&self) -> usize {
        self.blocks.first().map_or(0, Block::border)
    }
}
