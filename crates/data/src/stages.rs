//! Clocks of the stages between a file and a batch.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
#[cfg(not(target_family = "wasm"))]
use std::time::Instant;

/// Stage of the way from a file to a batch.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Read,
    Decode,
    Resize,
    Augment,
    Normalise,
}

/// Number of stages.
const STAGES: usize = 5;

/// Times that the threads of a [`Loader`](crate::Loader) have spent in each stage, summed over threads. A stage that is
/// a part of another one, such as a resize within an augmentation, counts by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageTimes {
    /// Reading of files, archives and caches.
    pub read: Duration,
    /// Decoding of image files.
    pub decode: Duration,
    /// Resizing and cropping, of preprocessing and of augmentations.
    pub resize: Duration,
    /// Augmentation but for its resizing.
    pub augment: Duration,
    /// Normalisation, into the batch.
    pub normalise: Duration,
}

impl StageTimes {
    /// Sum of all stages.
    pub fn total(&self) -> Duration {
        self.read + self.decode + self.resize + self.augment + self.normalise
    }

    fn add(&mut self, nanoseconds: [u64; STAGES]) {
        let [read, decode, resize, augment, normalise] = nanoseconds.map(Duration::from_nanos);
        self.read += read;
        self.decode += decode;
        self.resize += resize;
        self.augment += augment;
        self.normalise += normalise;
    }
}

thread_local! {
    /// Nanoseconds that this thread has spent in each stage.
    static SPENT: Cell<[u64; STAGES]> = const { Cell::new([0; STAGES]) };
}

/// Does some work; WebAssembly has no clock of its own.
#[cfg(target_family = "wasm")]
pub(crate) fn timed<T>(_: Stage, work: impl FnOnce() -> T) -> T {
    work()
}

/// Does some work and counts its time for a stage, less what stages inside have counted.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn timed<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let before: u64 = SPENT.get().iter().sum();
    let begin = Instant::now();
    let result = work();
    let mut spent = SPENT.get();
    let inside = spent.iter().sum::<u64>().saturating_sub(before);
    spent[stage as usize] += (begin.elapsed().as_nanos() as u64).saturating_sub(inside);
    SPENT.set(spent);
    result
}

/// Sums of what several threads have spent.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<StageTimes>);

impl Clocks {
    /// Does some work and adds what this thread has spent on its stages.
    pub(crate) fn record<T>(&self, work: impl FnOnce() -> T) -> T {
        SPENT.set([0; STAGES]);
        let result = work();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(SPENT.get());
        result
    }

    pub(crate) fn times(&self) -> StageTimes {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_inside_another_counts_by_itself() {
        let clocks = Clocks::default();
        let begin = Instant::now();
        clocks.record(|| {
            timed(Stage::Augment, || {
                timed(Stage::Resize, || std::thread::sleep(Duration::from_millis(3)));
            });
        });
        let (times, most) = (clocks.times(), begin.elapsed());
        assert!(times.resize >= Duration::from_millis(3), "{times:?}");
        assert!(times.total() <= most && times.decode == Duration::ZERO, "{times:?} {most:?}");
        assert!(times.augment <= most - times.resize, "{times:?} {most:?}");
    }
}
