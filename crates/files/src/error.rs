//! Causes for which a file is not read.

use std::io;

use crate::HumanBytes;

/// A file that cannot be read, without its name: the caller has it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system's own error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder, a FIFO, a socket or a device: reading it may never end.
    #[error("{kind}, not a regular file")]
    NotRegular {
        /// Kind of the file, such as `a FIFO`.
        kind: &'static str,
    },
    /// More bytes than the limit.
    #[error("{size} bytes, where {limit} is the most that is read")]
    TooLarge {
        /// Bytes found; at least so many, where the file grew while it was read.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// Text that is not UTF-8.
    #[error("not text: byte {at} is not UTF-8")]
    NotText {
        /// Place of the first such byte.
        at: usize,
    },
    /// Reading takes more memory than the [`Budget`](crate::Budget) allows.
    #[error("needs more than {limit} bytes of memory")]
    OverBudget {
        /// The budget, in bytes.
        limit: u64,
    },
    /// More memory than the system can still give.
    #[error("needs {}, and {} are available", HumanBytes(*.needed), HumanBytes(*.available))]
    TooLittleMemory {
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
    },
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io(_) => {
                return match error {
                    Error::Io(source) => source,
                    other => Self::other(other),
                };
            }
            Error::NotRegular { .. } => io::ErrorKind::InvalidInput,
            Error::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Error::NotText { .. } => io::ErrorKind::InvalidData,
            Error::OverBudget { .. } | Error::TooLittleMemory { .. } => io::ErrorKind::OutOfMemory,
        };
        Self::new(kind, error)
    }
}
