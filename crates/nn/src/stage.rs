//! A stage.

use burn::module::Module;
use burn::tensor::Tensor;
use residual_arch::StageSpec;

use crate::{Block, BlockConfig, Error, Init, Maps, Mode};

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
    /// As [`BlockConfig::init`].
    pub fn init(&self, init: impl Into<Init>) -> Result<Stage, Error> {
        let mut channels = self.in_channels;
        for block in &self.spec.blocks {
            crate::error::check_block(block, channels)?;
            channels = block.channels;
        }
        Ok(self.build(&init.into(), |_| 0.0))
    }

    /// Builds it, checked before; `drop` gives each block's probability of being dropped.
    pub(crate) fn build(&self, init: &Init, drop: impl Fn(usize) -> f64) -> Stage {
        let mut channels = self.in_channels;
        let mut build = |(index, spec): (usize, &residual_arch::BlockSpec)| {
            let config = BlockConfig::new(*spec, channels);
            channels = spec.channels;
            config.build(&init.at(format!("block{index}")), drop(index))
        };
        Stage { blocks: self.spec.blocks.iter().enumerate().map(&mut build).collect() }
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

    /// On maps that stay in the kernels' layout, for a next layer that makes use of a border.
    pub(crate) fn forward_to(&self, x: Maps, mode: Mode, border: usize) -> Maps {
        let borders = self.blocks.iter().skip(1).map(Block::border).chain([border]);
        self.blocks.iter().zip(borders).fold(x, |x, (block, border)| block.forward_to(x, mode, border))
    }

    /// The border that its first block makes use of.
    pub(crate) fn border(&self) -> usize {
        self.blocks.first().map_or(0, Block::border)
    }
}
