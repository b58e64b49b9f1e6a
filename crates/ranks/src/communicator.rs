//! One rank's side of a group.

use std::fmt::Debug;

use crate::Error;

/// Communicator: one rank's side of a group of ranks that call the same operations in the same order.
pub trait Communicator: Debug + Send + Sync {
    /// Number of ranks.
    fn ranks(&self) -> usize;

    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Exchange of bytes: sends `send[r]` to rank `r` and fills `receive[r]` with what rank `r` sends. All ranks call
    /// it, with lengths that fit. Nothing goes to the rank itself, nor where a slice is empty.
    ///
    /// # Errors
    /// [`Error::TimedOut`] where a rank does not answer within the limit of the communicator, [`Error::Ended`] for one
    /// that has ended, [`Error::Length`] where lengths do not fit.
    ///
    /// # Panics
    /// Where `send` or `receive` has not one slice a rank.
    fn exchange(&self, send: &[&[u8]], receive: &mut [&mut [u8]]) -> Result<(), Error>;

    /// Ends the group: the other ranks get [`Error::Ended`] with this reason, or their processes are ended. Under MPI it
    /// does not return.
    fn abort(&self, reason: &str);
}
