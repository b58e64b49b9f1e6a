//! Ranks of MPI.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::environment::Universe;
use mpi::request::{LocalScope, Request, scope};
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::{Destination, Source};

use crate::{Communicator, Error};

/// Most bytes of a message: MPI counts in 32 bits.
const MOST: usize = 1 << 30;

/// Calls after which a rank that waits gives its core to others.
const SPINS: usize = 2000;

/// Pause of a rank that has waited for long.
const PAUSE: Duration = Duration::from_micros(50);

/// Exit code of ranks that are ended by another one.
const ENDED: i32 = 2;

/// MPI as this process has started it; ends with it.
pub struct MpiJob {
    _universe: Universe,
}

impl std::fmt::Debug for MpiJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MpiJob").finish_non_exhaustive()
    }
}

impl MpiJob {
    /// Starts MPI. Once in a process, on its main thread.
    ///
    /// # Errors
    /// [`Error::Start`] where it was started already, or its library has no thread of ours call it.
    pub fn start() -> Result<Self, Error> {
        let start = |reason: &str| Error::Start { reason: reason.to_owned() };
        let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)
            .ok_or_else(|| start("it was started before in this process"))?;
        match threading >= Threading::Serialized {
            true => Ok(Self { _universe: universe }),
            false => Err(start("its library was built without threads (MPI_THREAD_SERIALIZED)")),
        }
    }

    /// This process among those of the job. It waits for another no longer than `limit`, then ends the job.
    pub fn rank(&self, limit: Duration) -> MpiRank {
        let world = SimpleCommunicator::world();
        MpiRank { rank: world.rank() as usize, ranks: world.size() as usize, limit, one: Mutex::new(()) }
    }
}

/// Rank of an MPI job, of which all processes run this program.
///
/// Waiting ends the whole job, with a message, where another rank does not answer within the limit.
#[derive(Debug)]
pub struct MpiRank {
    rank: usize,
    ranks: usize,
    limit: Duration,
    /// Held during a call: MPI is called by one thread at a time.
    one: Mutex<()>,
}

impl MpiRank {
    /// Ends the job: a rank does not answer.
    fn give_up(&self, other: usize) -> ! {
        let error = Error::TimedOut { rank: self.rank, other, seconds: self.limit.as_secs() };
        eprintln!("error: {error}");
        SimpleCommunicator::world().abort(ENDED)
    }

    /// Waits for all requests.
    fn wait<'a>(&self, mut requests: Vec<(usize, Request<'a, [u8], &LocalScope<'a>>)>) {
        let (begun, mut spins) = (Instant::now(), 0);
        while !requests.is_empty() {
            let open =
                requests.into_iter().filter_map(|(other, request)| Some((other, request.test().err()?)));
            requests = open.collect();
            let Some((other, _)) = requests.first() else { return };
            if begun.elapsed() > self.limit {
                self.give_up(*other);
            }
            spins += 1;
            match spins < SPINS {
                true => std::thread::yield_now(),
                false => std::thread::sleep(PAUSE),
            }
        }
    }
}

impl Communicator for MpiRank {
    fn ranks(&self) -> usize {
        self.ranks
    }

    fn rank(&self) -> usize {
        self.rank
    }

    fn exchange(&self, send: &[&[u8]], receive: &mut [&mut [u8]]) -> Result<(), Error> {
        assert!(send.len() == self.ranks && receive.len() == self.ranks, "one slice a rank");
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let world = SimpleCommunicator::world();
        scope(|scope| {
            let mut requests = Vec::new();
            for (other, bytes) in receive.iter_mut().enumerate().filter(|(other, _)| *other != self.rank) {
                let process = world.process_at_rank(other as i32);
                let parts = bytes.chunks_mut(MOST).map(|part| process.immediate_receive_into(scope, part));
                requests.extend(parts.map(|request| (other, request)));
            }
            for (other, bytes) in send.iter().enumerate().filter(|(other, _)| *other != self.rank) {
                let process = world.process_at_rank(other as i32);
                let parts = bytes.chunks(MOST).map(|part| process.immediate_send(scope, part));
                requests.extend(parts.map(|request| (other, request)));
            }
            self.wait(requests);
        });
        Ok(())
    }

    fn abort(&self, _: &str) {
        SimpleCommunicator::world().abort(ENDED)
    }
}
