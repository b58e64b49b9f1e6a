//! The errors of this crate.

use std::path::PathBuf;

use residual_files::escaped;

/// Errors of indices and searches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file: it cannot be read, or is no table of vectors.
    #[error(transparent)]
    Table(#[from] residual_data::Error),

    /// A table that says nothing about its vectors.
    #[error(
        "{file}: no index of embeddings (its metadata have no `{}`); help: `residual embed` writes one",
        crate::facts::KEY
    )]
    NoFacts {
        /// The table.
        file: String,
    },

    /// Facts of an index that cannot be read, or cannot be.
    #[error("{file}: its `{}` is damaged: {reason}", crate::facts::KEY)]
    BadFacts {
        /// The index.
        file: String,
        /// Reason.
        reason: String,
    },

    /// A vector that is not finite.
    #[error(
        "{name}, row {row}: an embedding that is not finite; help: remove the row, and look at the weights that gave it (`residual inspect`)"
    )]
    NotFinite {
        /// The index, or what the vectors are called.
        name: String,
        /// Number of the row, from 0.
        row: u64,
    },

    /// Vectors of another length than those that they are compared with.
    #[error("{name}: {found} numbers, where a vector of the index has {expected}")]
    Length {
        /// What has that length.
        name: String,
        /// Length of the index's vectors.
        expected: usize,
        /// Length that was found.
        found: usize,
    },

    /// A row that the index does not have.
    #[error("{file}: no row {row}; it has {rows}, counted from 0")]
    NoRow {
        /// The index.
        file: String,
        /// Number asked for.
        row: u64,
        /// Number of rows.
        rows: u64,
    },

    /// A path that no row of the index has.
    #[error("{file}: no row with the path `{}`; help: paths count from the data's folder", escaped(path))]
    NoPath {
        /// The index.
        file: String,
        /// Path asked for.
        path: String,
    },

    /// An index made with other weights.
    #[error(
        "{file}: made with weights of SHA-256 {expected}, and {} has {found}; help: search with those weights, or make the index anew with `residual embed`",
        escaped(weights)
    )]
    OtherWeights {
        /// The index.
        file: String,
        /// Hash and path in the index, `HASH (PATH)`.
        expected: String,
        /// The weights that were given.
        weights: PathBuf,
        /// Their hash.
        found: String,
    },

    /// An approximate index that is damaged.
    #[error("{file}: {reason}; help: remove it, and make it anew (`residual search --approximate`)")]
    Clusters {
        /// The file.
        file: String,
        /// Reason.
        reason: String,
    },

    /// Numbers that are not possible.
    #[error("{what}: {reason}")]
    Option {
        /// Name of the option.
        what: &'static str,
        /// Reason.
        reason: String,
    },

    /// Not enough memory.
    #[error("{what} of {rows} vectors: {reason}")]
    Memory {
        /// What takes it.
        what: &'static str,
        /// Number of vectors.
        rows: u64,
        /// Reason.
        reason: residual_files::Error,
    },

    /// The writer of the table refused.
    #[error("cannot write the index: {0}")]
    Write(String),

    /// The operating system refused.
    #[error("{file}: {reason}")]
    Io {
        /// The file.
        file: String,
        /// Cause, from the operating system.
        reason: std::io::Error,
    },

    /// A kernel refused.
    #[error(transparent)]
    Kernel(#[from] residual_kernels::Error),
}
