//! Choice of the operations that a network trains through, and of what it keeps.

use residual_kernels::block::Policy;

/// Operations that a network trains through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// One operation a block where the kernels can, on a Flex device.
    #[default]
    Fused,
    /// Burn's own, layer by layer.
    Stock,
}

/// Maps that a network keeps between its forward and its backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// All that the backward pass reads.
    #[default]
    Keep,
    /// Every block's input alone; what is inside a block is computed again, to the same bits. A network of any
    /// depth trains in the memory of its block inputs, for one more forward pass a step.
    Low,
}

/// Choice of operations and memory of a network in training. Changes time and memory; the results of [`Memory`] are equal
/// to the bit, those of [`Path`] to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// Operations.
    pub path: Path,
    /// Maps kept for the backward pass.
    pub memory: Memory,
}

impl Memory {
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Keep => Policy::Keep,
            Self::Low => Policy::Recompute,
        }
    }
}
