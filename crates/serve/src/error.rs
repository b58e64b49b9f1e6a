//! Errors of starting and running a service.

use residual_files::escaped;

/// Boxed error of a program's own.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Errors of starting and running a service. Those of requests are answers, and end nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No model to serve.
    #[error("no model to serve; help: give one or more")]
    NoModels,

    /// A name that cannot be part of an address.
    #[error("`{}`: a model's name consists of 1 to 100 letters, digits and `.`, `_`, `-`; help: give it a name, NAME=FILE", escaped(.name))]
    ModelName {
        /// The name.
        name: String,
    },

    /// Two models of one name and version.
    #[error(
        "{name}, version {version}: given twice; help: give one of them another name or version, NAME:VERSION=FILE"
    )]
    SameModel {
        /// The name.
        name: String,
        /// The version.
        version: u32,
    },

    /// A model that cannot be loaded.
    #[error("{name}, version {version}: {cause}")]
    Load {
        /// The model's name.
        name: String,
        /// The model's version.
        version: u32,
        /// Cause.
        cause: BoxError,
    },

    /// An option beyond its range.
    #[error("{option}: found {found}; expected {expected}")]
    Option {
        /// Option.
        option: &'static str,
        /// Value found.
        found: String,
        /// Values expected.
        expected: &'static str,
    },

    /// A certificate or a key that cannot be used.
    #[error("{}: {detail}", escaped(.file))]
    Tls {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
    },

    /// An address that cannot be listened on.
    #[error("{address}: cannot listen: {cause}; help: another port with --port, or 0 for any that is free")]
    Listen {
        /// The address.
        address: String,
        /// Cause.
        cause: std::io::Error,
    },

    /// Threads that the system refuses.
    #[error("cannot start the service's threads: {0}")]
    Threads(std::io::Error),
}
