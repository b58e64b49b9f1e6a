//! Choice of the operations that a network trains through, and of what it keeps.

pub use residual_kernels::block::Memory;

/// Operations that a network trains through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// Fused: one operation a block where the kernels can, on a Flex device.
    #[default]
    Fused,
    /// Burn's own, layer by layer.
    Stock,
}

/// Choice of operations and memory of a network in training. Changes time and memory; the results of [`Memory`] are
/// equal to the bit, those of [`Path`] to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// Operations.
    pub path: Path,
    /// Maps kept for the backward pass.
    pub memory: Memory,
}
