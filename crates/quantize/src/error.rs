//! The errors of this crate.

use residual_arch::LayerPath;

/// Error of quantising a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network does not run, or not on these images.
    #[error(transparent)]
    Engine(#[from] residual_engine::Error),

    /// The weights are no network's, or do not take the integers.
    #[error(transparent)]
    Weights(#[from] residual_weights::Error),

    /// Nothing to calibrate with.
    #[error("no images to calibrate with; help: a few hundred that are like those that the network will see")]
    NoImages,

    /// Values of an image that are not those of the others.
    #[error("an image of {found} values among images of {expected}")]
    Image {
        /// Number of values.
        found: usize,
        /// Number of values of the first image.
        expected: usize,
    },

    /// Integers that the network has already.
    #[error("the network is in 8 bits already; help: quantise the float32 weights that it was made of")]
    AlreadyQuantised,

    /// A network that has no classes.
    #[error(
        "the weights have no head, so that nothing says what 8 bits would change; help: train a head first"
    )]
    NoHead,

    /// Weights that have no place in 8 bits.
    #[error("{layer}: {found} weights for a convolution of {expected}")]
    Folded {
        /// Layer of the weights.
        layer: LayerPath,
        /// Number of weights.
        found: usize,
        /// Number of weights of such a convolution.
        expected: usize,
    },

    /// Logits that are the same for all images, so that no change of them can be measured.
    #[error("the network gives the same logits for every class; help: train it first")]
    NoAnswer,

    /// No convolution that could compute in 8 bits.
    #[error(
        "no convolution of the network can compute in 8 bits: all are standardised; help: keep it in float32"
    )]
    NoConvolutions,
}
