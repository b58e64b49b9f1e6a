//! A process by itself.

use crate::{Communicator, Error};

/// Communicator of a process by itself: one rank, which exchanges nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alone;

impl Communicator for Alone {
    fn ranks(&self) -> usize {
        1
    }

    fn rank(&self) -> usize {
        0
    }

    fn exchange(&self, send: &[&[u8]], receive: &mut [&mut [u8]]) -> Result<(), Error> {
        assert!(send.len() == 1 && receive.len() == 1, "one slice a rank");
        Ok(())
    }

    fn abort(&self, _: &str) {}
}
