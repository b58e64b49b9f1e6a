//! What may be wrong inside an image file, before the file has a name.

use crate::Error;

/// A fault of a file; [`Fault::of`] names the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end too early.
    Truncated,
    /// The bytes contradict the standard.
    Corrupt(&'static str),
    /// A kind of image that is not decoded here.
    Unsupported(&'static str),
    /// More pixels than an image may have.
    TooLarge { width: usize, height: usize },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("truncated: it ends too early"),
            Self::Corrupt(detail) => f.write_str(detail),
            Self::Unsupported(kind) => write!(f, "{kind}, which is not read"),
            Self::TooLarge { width, height } => {
                write!(f, "{width}x{height} pixels are more than can be right")
            }
        }
    }
}

impl Fault {
    /// The error that names the file.
    pub(crate) fn of(self, file: &str) -> Error {
        match self {
            Self::Truncated => Error::TruncatedImage { file: file.into() },
            Self::Corrupt(detail) => Error::CorruptImage { file: file.into(), detail: detail.into() },
            Self::Unsupported(kind) => Error::UnsupportedImage { file: file.into(), kind },
            Self::TooLarge { width, height } => crate::limits::too_large(width, height, file),
        }
    }
}
