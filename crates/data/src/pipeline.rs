//! Work done ahead on threads and handed over in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::Error;
use crate::decode::panic_message;

/// Job number `n` of a pipeline; it may return early with anything once the flag is set.
pub(crate) type Job<T> = dyn Fn(usize, &AtomicBool) -> Result<T, Error> + Send + Sync;

/// The results of jobs `0..count`, in order, worked out by threads at most `window` jobs ahead of
/// whoever takes them. Without threads each job runs when its result is taken.
pub(crate) struct Pipeline<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    job: Box<Job<T>>,
    count: usize,
    window: usize,
    stopped: AtomicBool,
    state: Mutex<State<T>>,
    /// Something in `state`, or `stopped`, has changed.
    changed: Condvar,
}

struct State<T> {
    /// The next job that no thread has taken.
    next: usize,
    /// The next result to hand over.
    wanted: usize,
    ready: BTreeMap<usize, Result<T, Error>>,
}

impl<T: Send + 'static> Pipeline<T> {
    pub(crate) fn start(
        count: usize,
        threads: usize,
        window: usize,
        job: Box<Job<T>>,
    ) -> Result<Self, Error> {
        let state = State { next: 0, wanted: 0, ready: BTreeMap::new() };
        let shared = Shared {
            job,
            count,
            window: window.max(1),
            stopped: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        let mut pipeline = Self { shared: Arc::new(shared), threads: Vec::new() };
        for number in 0..threads.min(count) {
            let shared = pipeline.shared.clone();
            let builder = Builder::new().name(format!("decode-{number}"));
            let thread = builder.spawn(move || shared.work()).map_err(|source| Error::Thread { source })?;
            pipeline.threads.push(thread);
        }
        Ok(pipeline)
    }
}

impl<T> Shared<T> {
    /// No lock is held while a job runs, so that a poisoned state is still a whole one.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(number) = self.claim() {
            let result = self.run(number);
            self.lock().ready.insert(number, result);
            self.changed.notify_all();
        }
    }

    fn claim(&self) -> Option<usize> {
        let mut state = self.lock();
        while !self.stopped.load(Ordering::Relaxed) && state.next < self.count {
            if state.next < state.wanted + self.window {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn run(&self, number: usize) -> Result<T, Error> {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.job)(number, &self.stopped)));
        outcome.unwrap_or_else(|panic| {
            Err(Error::WorkerPanicked { batch: number, detail: panic_message(&*panic) })
        })
    }

    fn stop(&self) {
        // Under the lock, so that no thread misses it between looking and waiting.
        let state = self.lock();
        self.stopped.store(true, Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
    }
}

impl<T> Iterator for Pipeline<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        let number = state.wanted;
        if number >= self.shared.count || self.shared.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let result = if self.threads.is_empty() {
            drop(state);
            let result = self.shared.run(number);
            state = self.shared.lock();
            result
        } else {
            loop {
                if let Some(result) = state.ready.remove(&number) {
                    break result;
                }
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        state.wanted += 1;
        drop(state);
        self.shared.changed.notify_all();
        if result.is_err() {
            self.shared.stop();
        }
        Some(result)
    }
}

impl<T> Drop for Pipeline<T> {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A job's panic was caught; there is nothing else to hear of.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    fn start(threads: usize, job: impl Fn(usize) -> usize + Send + Sync + 'static) -> Pipeline<usize> {
        Pipeline::start(40, threads, 4, Box::new(move |number, _| Ok(job(number)))).unwrap()
    }

    #[test]
    fn results_come_in_order_however_long_each_takes() {
        for threads in [0, 1, 3, 8] {
            let uneven = |number: usize| {
                std::thread::sleep(Duration::from_millis((number as u64 * 7) % 5));
                number * number
            };
            let results: Vec<usize> = start(threads, uneven).map(Result::unwrap).collect();
            assert_eq!(results, (0..40).map(|n| n * n).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn a_panic_is_an_error_and_the_end() {
        for threads in [0, 1, 3] {
            let mut pipeline = start(threads, |number| if number == 5 { panic!("job five") } else { number });
            let good: Vec<usize> = pipeline.by_ref().take(5).map(Result::unwrap).collect();
            assert_eq!(good, [0, 1, 2, 3, 4]);
            let error = pipeline.next().unwrap().unwrap_err();
            assert!(matches!(&error, Error::WorkerPanicked { batch: 5, detail } if detail == "job five"));
            assert!(pipeline.next().is_none());
        }
    }

    #[test]
    fn threads_stay_within_the_window_and_stop_early() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        let mut pipeline = start(2, move |number| {
            count.fetch_add(1, Ordering::SeqCst);
            number
        });
        assert_eq!(pipeline.next().unwrap().unwrap(), 0);
        drop(pipeline);
        // Dropping joined the threads: job 0 was taken, and four more at most were begun.
        assert!(begun.load(Ordering::SeqCst) <= 5);
    }
}
