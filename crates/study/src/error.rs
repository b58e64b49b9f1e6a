//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of studies: a variant per cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A training, its data or its recipe.
    #[error(transparent)]
    Train(#[from] residual_train::Error),
    /// Images.
    #[error(transparent)]
    Data(#[from] residual_data::Error),
    /// A file of weights.
    #[error(transparent)]
    Weights(#[from] residual_weights::Error),
    /// A network.
    #[error(transparent)]
    Nn(#[from] residual_nn::Error),
    /// A plan.
    #[error(transparent)]
    Engine(#[from] residual_engine::Error),
    /// A name that is no network's.
    #[error(transparent)]
    UnknownModel(#[from] residual_arch::families::UnknownModel),
    /// A network that cannot be.
    #[error(transparent)]
    Shape(#[from] residual_arch::shape::ShapeError),

    /// Something that a study needs at least one of.
    #[error("{field}: nothing given; help: give {expected}")]
    Nothing {
        /// The field of `study.toml`.
        field: &'static str,
        /// Values that are accepted.
        expected: &'static str,
    },
    /// A number out of its range.
    #[error("{field}: {found} is out of range; expected {expected}")]
    OutOfRange {
        /// The field of `study.toml`.
        field: &'static str,
        /// Value found.
        found: String,
        /// The range, in words.
        expected: &'static str,
    },
    /// A network that has none of the blocks that a study is about.
    #[error("{model}: {reason}")]
    Unfit {
        /// The network.
        model: String,
        /// Reason.
        reason: String,
    },
    /// The folder of another study.
    #[error("{}: holds another study (its study.toml differs); help: give another --out, or repeat it with --repeat {}", path.display(), path.display())]
    OtherStudy {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds something, and no study.
    #[error("{}: holds files that are no study; help: give --out a new or an empty folder", path.display())]
    NotAStudy {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that another process works in.
    #[error("{}: another process is working in it; help: wait for it, or give another --out", .0.display())]
    Locked(PathBuf),
    /// A file that cannot be read or written.
    #[error("{}: cannot {doing}: {cause}", path.display())]
    Io {
        /// Operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Reason.
        cause: io::Error,
    },
    /// A `study.toml` that is none.
    #[error("{}: {}", path.display(), cause.message())]
    Config {
        /// The file.
        path: PathBuf,
        /// Fault.
        cause: Box<toml::de::Error>,
    },
    /// A study that TOML cannot hold.
    #[error("the study cannot be written as TOML: {0}")]
    ConfigText(#[from] toml::ser::Error),
    /// A line of `results.jsonl` that is none.
    #[error("{}: line {line}: {cause}; help: correct or remove the line", path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Fault.
        cause: serde_json::Error,
    },
}

impl Error {
    /// Error of the operating system, for `map_err`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { doing, path, cause }
    }
}
