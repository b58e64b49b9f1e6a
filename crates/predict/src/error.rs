//! The errors of this crate.

use residual_engine::Error as EngineError;
use residual_files::escaped;

/// Errors of models, images and answers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weights: the file is named.
    #[error(transparent)]
    Model(#[from] residual_weights::Error),

    /// The network cannot be compiled, or not run.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// An image that cannot be decoded or brought to the network's size, which is named; or the threads that decode.
    #[error(transparent)]
    Image(#[from] residual_data::Error),

    /// The file of an image that cannot be read.
    #[error("{}: cannot read: {reason}", escaped(.name))]
    Read {
        /// The file.
        name: String,
        /// Reason.
        reason: residual_files::Error,
    },

    /// An image that the network cannot be asked about, or has no answer for.
    #[error("{}: {cause}", escaped(.name))]
    Unanswered {
        /// The image.
        name: String,
        /// Error of the engine.
        cause: Box<EngineError>,
    },

    /// A tensor that is no image of the network's.
    #[error("{}: a tensor of shape {shape:?}; expected [channels, height, width] with {channels} channels", escaped(.name))]
    TensorShape {
        /// The image.
        name: String,
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Channels that the network takes.
        channels: usize,
    },

    /// An image that its source could not give: see [`Input`](crate::Input).
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Says of which image the engine has no answer.
    pub(crate) fn unanswered(name: &str, error: Error) -> Self {
        match error {
            Self::Engine(cause) => Self::Unanswered { name: name.to_owned(), cause: Box::new(cause) },
            other => other,
        }
    }
}
