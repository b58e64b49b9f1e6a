//! Errors, and the Python exceptions that they become.

use pyo3::PyErr;
use residual::{arch, data, engine, predict, weights};
#[cfg(feature = "train")]
use residual::{study, train};

/// Errors of this module: those of the crates below, and those of what Python gives.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A model, an image or an answer.
    #[error(transparent)]
    Predict(#[from] predict::Error),
    /// A file of weights, or tensors.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// An image, or labelled images.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// A network that cannot be.
    #[error(transparent)]
    Shape(#[from] arch::shape::ShapeError),
    #[cfg(feature = "train")]
    /// A training.
    #[error(transparent)]
    Train(#[from] train::Error),
    #[cfg(feature = "train")]
    /// A study.
    #[error(transparent)]
    Study(#[from] study::Error),
    #[cfg(feature = "train")]
    /// Threads that cannot be started.
    #[error(transparent)]
    Threads(#[from] residual::kernels::Error),
    #[cfg(feature = "train")]
    /// A temporary folder.
    #[error("no temporary folder: {0}")]
    Temporary(#[from] std::io::Error),
    /// A value that is none of its kind: an unknown field, another type.
    #[error("{what}: {reason}")]
    Value {
        /// The argument.
        what: &'static str,
        /// Reason.
        reason: String,
    },
}

impl Error {
    /// Error of an argument.
    pub(crate) fn value(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Value { what, reason: reason.to_string() }
    }
}

/// Exceptions of the package: classes of Python, so that one of them may be several things.
pub(crate) mod exceptions {
    #![allow(missing_docs, reason = "the macro gives its types no documentation")]
    pyo3::import_exception!(residual_nets._errors, ImageError);
    pyo3::import_exception!(residual_nets._errors, InputError);
    pyo3::import_exception!(residual_nets._errors, ModelError);
    #[cfg(feature = "train")]
    pyo3::import_exception!(residual_nets._errors, TrainingError);
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        #[cfg(feature = "train")]
        use exceptions::TrainingError;
        use exceptions::{ImageError, InputError, ModelError};
        let text = error.to_string();
        match error {
            Error::Predict(predict::Error::Model(_) | predict::Error::Engine(_))
            | Error::Weights(_)
            | Error::Shape(_) => ModelError::new_err(text),
            Error::Predict(predict::Error::Unanswered { cause, .. })
                if matches!(*cause, engine::Error::NoHead) =>
            {
                ModelError::new_err(text)
            }
            Error::Predict(predict::Error::Unanswered { cause, .. })
                if matches!(
                    *cause,
                    engine::Error::NoFeatures { .. }
                        | engine::Error::NoLayer { .. }
                        | engine::Error::Class { .. }
                ) =>
            {
                InputError::new_err(text)
            }
            Error::Predict(_) | Error::Data(_) => ImageError::new_err(text),
            #[cfg(feature = "train")]
            Error::Train(_) | Error::Study(_) | Error::Threads(_) | Error::Temporary(_) => {
                TrainingError::new_err(text)
            }
            Error::Value { .. } => InputError::new_err(text),
        }
    }
}
