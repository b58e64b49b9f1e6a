//! Errors of pages.

use std::io;
use std::path::PathBuf;

/// Errors of writing a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A page of no network.
    #[error("no networks for the page; help: give one or more")]
    NoModels,

    /// Two networks of one name.
    #[error("{name}: the name of two networks of the page; help: name one otherwise")]
    SameName {
        /// The name.
        name: String,
    },

    /// A name that cannot be a file's in an address.
    #[error(
        "{name:?}: not a name for a network; help: use 1 to 100 of the letters a to z, digits, `.`, `_` and `-`"
    )]
    Name {
        /// The name.
        name: String,
    },

    /// A folder that holds something else.
    #[error("{}: is not empty and holds no page; help: give another folder", .folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },

    /// A file or folder that cannot be written.
    #[error("{}: cannot write: {reason}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Reason.
        reason: io::Error,
    },

    /// Weights that cannot be written.
    #[error("{name}: cannot write the weights: {reason}")]
    Weights {
        /// Name of the network.
        name: String,
        /// Reason.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
}
