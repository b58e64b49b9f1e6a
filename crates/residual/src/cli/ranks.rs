//! Ranks: processes that `mpirun` or `srun` started together.

#[cfg(feature = "mpi")]
use std::sync::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use residual::ranks::{Alone, Communicator, launched};

use super::failure::{Failure, Outcome};
use super::progress;

/// Ranks of this process, once it has joined them.
static JOINED: OnceLock<Arc<dyn Communicator>> = OnceLock::new();

/// MPI as it was started. Ended where all went well: a process that panics leaves it, and the launcher ends the others.
#[cfg(feature = "mpi")]
static JOB: Mutex<Option<residual::ranks::MpiJob>> = Mutex::new(None);

/// Time after which a rank other than the first says what went wrong there: the first rank, which has met the same, says it
/// before.
const AFTER_THE_FIRST: Duration = Duration::from_secs(1);

/// Joins the ranks that were started together with this process; a process by itself is alone. A rank waits for another no
/// longer than `limit`.
pub(crate) fn join(limit: Duration) -> Outcome<Arc<dyn Communicator>> {
    if let Some(joined) = JOINED.get() {
        return Ok(joined.clone());
    }
    let joined = if launched().is_some() { join_mpi(limit)? } else { Arc::new(Alone) };
    if joined.rank() > 0 {
        progress::mute();
    }
    Ok(JOINED.get_or_init(|| joined).clone())
}

#[cfg(feature = "mpi")]
fn join_mpi(limit: Duration) -> Outcome<Arc<dyn Communicator>> {
    let job = residual::ranks::MpiJob::start()?;
    let rank = Arc::new(job.rank(limit));
    *JOB.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(job);
    Ok(rank)
}

#[cfg(not(feature = "mpi"))]
fn join_mpi(_: Duration) -> Outcome<Arc<dyn Communicator>> {
    let Some(by) = several() else { return Ok(Arc::new(Alone)) };
    Err(Failure::new(format_args!(
        "this process is one of several ({by}), and this residual was built without MPI; help: cargo install residual \
         --features mpi, or start one process"
    )))
}

/// Refuses a command that ranks cannot share, where there are several.
pub(crate) fn refuse(command: &str) -> Outcome {
    let Some(by) = several() else { return Ok(()) };
    Err(Failure::new(format_args!(
        "`residual {command}` is one process's work, and this is one of several ({by}); help: start it without mpirun"
    )))
}

/// Variable that says that this process is one of several.
fn several() -> Option<String> {
    let by = launched()?;
    let is_other = || std::env::var(by.variable).is_ok_and(|rank| rank.trim() != "0");
    let several = by.ranks.map_or_else(is_other, |ranks| ranks > 1);
    several.then(|| by.ranks.map_or(by.variable.to_owned(), |ranks| format!("{}={ranks}", by.variable)))
}

/// True for the process that speaks: the first rank, or one by itself.
pub(crate) fn is_first() -> bool {
    JOINED.get().is_none_or(|joined| joined.rank() == 0)
}

/// Announces a failure, and ends the other ranks, which may wait for this one.
pub(crate) fn announce(failure: &Failure, verbose: bool) {
    let several = JOINED.get().filter(|joined| joined.ranks() > 1);
    let is_other = match several {
        Some(joined) => joined.rank() > 0,
        None => launched().is_some_and(|_| several_and_not_first()),
    };
    if is_other {
        std::thread::sleep(AFTER_THE_FIRST);
    }
    failure.announce(verbose);
    if let (Some(joined), Failure::Error { message, .. }) = (several, failure) {
        joined.abort(message);
    }
    leave();
}

/// True for a process that has not joined, and is not the first of those that the launcher counts.
fn several_and_not_first() -> bool {
    let ranks = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MPI_LOCALRANKID"];
    ranks.iter().find_map(|name| std::env::var(name).ok()).is_some_and(|rank| rank.trim() != "0")
}

/// Leaves the ranks, when all went well or all have stopped.
pub(crate) fn leave() {
    #[cfg(feature = "mpi")]
    drop(JOB.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
}
