//! The errors of this crate.

use residual_arch::TaskKind;

/// Errors of an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The images, or an option of how they are read.
    #[error(transparent)]
    Data(#[from] residual_data::Error),

    /// The network.
    #[error(transparent)]
    Predict(#[from] residual_predict::Error),

    /// A label that the network has no output for.
    #[error(
        "label {label} is beyond the network's {classes} classes; help: give the data that it was trained on"
    )]
    LabelBeyond {
        /// The label.
        label: usize,
        /// Number of the network's outputs.
        classes: usize,
    },

    /// Images of a size that the network does not take.
    #[error(
        "images of {size:?} do not fit the network: {place}: {found}; help: give the preprocessing a resize or a crop"
    )]
    ImageSize {
        /// `[channels, height, width]`.
        size: [usize; 3],
        /// Layer that does not take them.
        place: String,
        /// Shape that the layer is given.
        found: String,
    },

    /// A network of one task, and images that are labelled for another or for other outputs.
    #[error(
        "a network of {network}, and images of {images}, or of other outputs; help: single labels go to `answer`, other \
         tasks to `answer_task`, with images that are opened for the network's task and outputs"
    )]
    Task {
        /// Task of the network.
        network: TaskKind,
        /// Task of the images.
        images: TaskKind,
    },

    /// A calibration of answers that are not probabilities.
    #[error("a regression answers with numbers, not with probabilities; help: use them as they are")]
    NoProbabilities,

    /// Answers that no temperature makes better.
    #[error(
        "no temperature: {reason}; help: give more images of the validation split, which the network was not trained on"
    )]
    NoTemperature {
        /// Reason.
        reason: String,
    },

    /// An image whose answer is not finite.
    #[error("{file}: {cause}")]
    NotFinite {
        /// The image.
        file: String,
        /// Error of the engine.
        cause: Box<residual_engine::Error>,
    },
}
