//! Packed weights in memory that is lent for one call.

use crate::{Buffer, Scratch};

/// Weights packed for a kernel.
pub(crate) trait PackedWeights: Clone {
    /// The memory that they lie in.
    fn memory(&mut self) -> &mut Buffer;
}

/// Packed weights without memory of their own.
///
/// Winograd's are four times the weights, twice over for both directions. Training packs them anew for every
/// pass, so one memory serves all convolutions of a network in turn.
#[derive(Clone, Debug)]
pub(crate) struct Lent<W> {
    empty: W,
    floats: usize,
}

impl<W: PackedWeights> Lent<W> {
    /// Shape of `weights`, without their memory.
    pub(crate) fn new(mut weights: W) -> Self {
        let floats = std::mem::take(weights.memory()).len();
        Self { empty: weights, floats }
    }

    /// Calls `body` with weights in memory of `scratch`: `body` packs them first.
    pub(crate) fn with<T>(&self, scratch: &mut Scratch, body: impl FnOnce(&mut W, &mut Scratch) -> T) -> T {
        let mut weights = self.empty.clone();
        *weights.memory() = scratch.take(self.floats);
        let value = body(&mut weights, scratch);
        scratch.give(std::mem::take(weights.memory()));
        value
    }
}
