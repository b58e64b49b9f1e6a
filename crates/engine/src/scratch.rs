//! The memory of one caller.

use residual_kernels::Buffer;

/// The memory that [`Plan::run`](crate::Plan::run) works in and leaves its result in. One for each thread that
/// calls; made by [`Plan::scratch`](crate::Plan::scratch).
#[derive(Clone, Debug)]
pub struct Scratch {
    /// The maps and the workspace of a part of a batch.
    pub(crate) memory: Buffer,
    /// Pooled vectors that the linear layer reads, of the part.
    pub(crate) pooled: Vec<f32>,
    /// Logits of the whole batch.
    pub(crate) logits: Vec<f32>,
}

impl Scratch {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        (self.memory.len() + self.pooled.len() + self.logits.len()) * size_of::<f32>()
    }
}
