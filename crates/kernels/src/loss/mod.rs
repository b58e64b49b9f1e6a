//! Losses of a batch of outputs and their gradients: softmax cross-entropy, and the losses of the other tasks.

mod cross_entropy;
mod objective;
mod pointwise;
mod softmax;

pub use cross_entropy::{Targets, cross_entropy};
pub use objective::{Loss, Objective};
