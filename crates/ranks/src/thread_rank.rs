//! Ranks that are threads of one process.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Communicator, Error};

/// Rank that is a thread of this process: for tests, and for programs that train so.
///
/// A rank that is dropped, as by a panic, has ended: the others get [`Error::Ended`] where they wait for it.
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    limit: Duration,
    group: Arc<Group>,
}

#[derive(Debug)]
struct Group {
    ranks: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Messages that were sent and not received yet, by receiver and sender.
    sent: Vec<Vec<VecDeque<Vec<u8>>>>,
    /// Reason for which each rank has ended.
    ended: Vec<Option<String>>,
    /// Rank that ended all others.
    aborted: Option<(usize, String)>,
}

impl ThreadRank {
    /// A group of ranks, each to be moved to a thread of its own. A rank waits for another no longer than `limit`.
    pub fn group(ranks: usize, limit: Duration) -> Vec<Self> {
        let state = State {
            sent: (0..ranks).map(|_| (0..ranks).map(|_| VecDeque::new()).collect()).collect(),
            ended: vec![None; ranks],
            aborted: None,
        };
        let group = Arc::new(Group { ranks, state: Mutex::new(state), changed: Condvar::new() });
        (0..ranks).map(|rank| Self { rank, limit, group: group.clone() }).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.group.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message of another rank.
    fn receive(&self, other: usize) -> Result<Vec<u8>, Error> {
        let begun = Instant::now();
        let mut state = self.state();
        loop {
            if let Some((rank, reason)) = &state.aborted {
                return Err(Error::Ended { rank: *rank, reason: reason.clone() });
            }
            if let Some(message) = state.sent[self.rank][other].pop_front() {
                return Ok(message);
            }
            if let Some(reason) = &state.ended[other] {
                return Err(Error::Ended { rank: other, reason: reason.clone() });
            }
            let left = self.limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(Error::TimedOut { rank: self.rank, other, seconds: self.limit.as_secs() });
            }
            let waited = self.group.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Communicator for ThreadRank {
    fn ranks(&self) -> usize {
        self.group.ranks
    }

    fn rank(&self) -> usize {
        self.rank
    }

    fn exchange(&self, send: &[&[u8]], receive: &mut [&mut [u8]]) -> Result<(), Error> {
        let ranks = self.group.ranks;
        assert!(send.len() == ranks && receive.len() == ranks, "one slice a rank");
        let others = || (0..ranks).filter(|&other| other != self.rank);
        let mut state = self.state();
        for other in others().filter(|&other| !send[other].is_empty()) {
            state.sent[other][self.rank].push_back(send[other].to_vec());
        }
        drop(state);
        self.group.changed.notify_all();
        for other in others() {
            if receive[other].is_empty() {
                continue;
            }
            let message = self.receive(other)?;
            let (found, expected) = (message.len(), receive[other].len());
            if found != expected {
                return Err(Error::Length { rank: other, found, expected });
            }
            receive[other].copy_from_slice(&message);
        }
        Ok(())
    }

    fn abort(&self, reason: &str) {
        self.state().aborted.get_or_insert_with(|| (self.rank, reason.to_owned()));
        self.group.changed.notify_all();
    }
}

impl Drop for ThreadRank {
    fn drop(&mut self) {
        let reason = if std::thread::panicking() { "it panicked" } else { "it is done" };
        let rank = self.rank;
        self.state().ended[rank] = Some(reason.to_owned());
        self.group.changed.notify_all();
    }
}
