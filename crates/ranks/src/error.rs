//! The errors of this crate.

/// Error of an exchange between ranks: a variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank that gave no answer for too long.
    #[error(
        "rank {rank} has no answer from rank {other} for {seconds} seconds; help: see whether it still runs, and whether \
         the hosts reach each other; a longer limit is --rank-timeout SECONDS"
    )]
    TimedOut {
        /// Rank that waited.
        rank: usize,
        /// Rank that it waited for.
        other: usize,
        /// Seconds that it waited.
        seconds: u64,
    },

    /// A rank that has ended.
    #[error("rank {rank} has ended: {reason}")]
    Ended {
        /// Rank that ended.
        rank: usize,
        /// Reason that it gave.
        reason: String,
    },

    /// A message of another length than was agreed on.
    #[error(
        "rank {rank} sent {found} bytes, where {expected} were expected: the ranks run different programs or recipes"
    )]
    Length {
        /// Rank that sent it.
        rank: usize,
        /// Bytes that came.
        found: usize,
        /// Bytes that were expected.
        expected: usize,
    },

    /// An MPI that does not start.
    #[error("MPI does not start: {reason}")]
    Start {
        /// Obstacle, in words.
        reason: String,
    },
}
