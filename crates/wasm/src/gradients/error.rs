//! Errors of gradient norms.

use super::MOST_MACS;

/// Errors of gradient norms.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network that cannot be built.
    #[error(transparent)]
    Network(#[from] residual_arch::shape::ShapeError),

    /// A network that takes too long.
    #[error(
        "{macs} multiply-accumulates an image, of {MOST_MACS} at most; help: give the network a smaller `input`, such as [3, 32, 32]"
    )]
    Large {
        /// Multiply-accumulates of the network.
        macs: u64,
    },

    /// A layer without a backward pass here.
    #[error(
        "{path}: no backward pass for this layer in the page; help: `residual study gradflow` has all of them"
    )]
    Layer {
        /// Path of the layer.
        path: String,
    },

    /// Images that do not fit the network.
    #[error("the images do not fit the network's input and classes")]
    Batch,
}
