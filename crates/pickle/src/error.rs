//! Causes for which a pickle is refused.

/// A pickle that is malformed, unsupported or too large.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stream that is malformed, or uses something outside the supported set.
    #[error("broken pickle at byte {at}: {reason}")]
    Broken {
        /// Offset inside the pickle stream.
        at: usize,
        /// Reason.
        reason: String,
    },

    /// The stream ends before its STOP.
    #[error("the pickle is truncated")]
    Truncated,

    /// The pickle asks for more memory than the budget allows.
    #[error("refused as hostile: the pickle {0}")]
    TooLarge(residual_files::Error),
}
