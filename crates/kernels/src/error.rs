//! What can be wrong with a call.

/// Error of a kernel that refused to run. Everything is checked before the first element is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An instruction set that this machine does not have was asked for.
    #[error("no instruction set `{name}` on this machine; it has {available}")]
    Isa {
        /// The name asked for.
        name: String,
        /// Names that there are, as a list.
        available: String,
    },
    /// A pool of no threads was asked for.
    #[error("a pool needs at least one thread")]
    NoThreads,
    /// A pool of more threads than any machine has was asked for.
    #[error("{threads} threads; a pool has at most {}", crate::Pool::MOST_THREADS)]
    ManyThreads {
        /// Number asked for.
        threads: usize,
    },
    /// The system would not start a thread.
    #[error("cannot start thread {index}: {reason}; help: ask for fewer threads")]
    Spawn {
        /// Index of the thread in the pool.
        index: usize,
        /// Message of the system.
        reason: String,
    },
    /// A slice is not as long as its shape says.
    #[error("{what}: expected {expected} elements, found {found}")]
    Length {
        /// Name of the slice.
        what: &'static str,
        /// Length that it has to have.
        expected: usize,
        /// Length that it has.
        found: usize,
    },
    /// Sizes that are impossible or do not fit together.
    #[error("{what}: {reason}")]
    Shape {
        /// Name of the operation.
        what: String,
        /// Reason.
        reason: String,
    },
}
