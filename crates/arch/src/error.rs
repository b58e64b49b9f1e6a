//! The errors of this crate.

use std::path::PathBuf;

use residual_files::escaped;

use crate::UnknownPath;
use crate::blocks::UnknownBlock;
use crate::families::UnknownModel;
use crate::shape::ShapeError;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no network's.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// A name that is no block's.
    #[error(transparent)]
    UnknownBlock(#[from] UnknownBlock),
    /// A text that is no path of a layer, a tensor or a part of a network.
    #[error(transparent)]
    UnknownPath(#[from] UnknownPath),
    /// A network that cannot be built, or cannot take an input.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// TOML that is no specification; the message says where.
    #[error("not a network specification: {0}")]
    ReadToml(#[from] toml::de::Error),
    /// A specification that TOML cannot hold.
    #[error("the specification cannot be written as TOML: {0}")]
    WriteToml(#[from] toml::ser::Error),
    /// JSON that is no specification, or a specification that JSON cannot hold.
    #[error("not a network specification: {0}")]
    Json(#[from] serde_json::Error),
    /// A specification's file that cannot be read.
    #[error("{}: cannot read: {reason}", escaped(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Reason.
        reason: residual_files::Error,
    },
    /// A specification's file that cannot be written.
    #[error("{}: cannot write: {reason}", escaped(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// Reason.
        reason: std::io::Error,
    },
    /// A file whose name does not say which format it has.
    #[error("{}: expected a specification's file, whose name ends in .toml or .json", escaped(path))]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A file that holds no specification.
    #[error("{}: {cause}", escaped(path))]
    InFile {
        /// The file.
        path: PathBuf,
        /// Fault of its text.
        cause: Box<Error>,
    },
}
