//! How a network computes: flags that several commands have.

use clap::ValueEnum;
use residual::nn::{Compute, fused};

/// Through which operations a network trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Path {
    /// One operation a block, in the kernels.
    #[default]
    Fused,
    /// The tensor framework's, layer by layer.
    Stock,
}

/// What is kept between the forward and the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Memory {
    /// What the backward pass reads.
    #[default]
    Keep,
    /// The inputs of the blocks.
    Low,
}

impl Path {
    pub(crate) fn with(self, memory: Memory) -> Compute {
        let path = match self {
            Self::Fused => fused::Path::Fused,
            Self::Stock => fused::Path::Stock,
        };
        let memory = match memory {
            Memory::Keep => fused::Memory::Keep,
            Memory::Low => fused::Memory::Low,
        };
        Compute { path, memory }
    }
}
