//! Work done ahead on threads and handed over in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::Error;
use crate::decode::panic_message;

/// Pipeline of work ahead of whoever takes its results: items of an iterator are worked on by some threads, at most
/// `window` results ahead, and the results come out in the order of the items.
///
/// - The iterator runs on the threads too, one item at a time: it may be endless, or wait for a line of standard
///   input.
/// - The result of an item is whatever the job makes of it, such as a `Result`: an error of one item ends nothing. Only
///   a job that panics gives [`Error::WorkerPanicked`].
/// - Dropping the pipeline stops it. Jobs that have begun are waited for (they are given a flag that tells them to
///   return early), an iterator that [waits for its items](PipelineOptions::waits_for_items) is not: its thread ends
///   when it gives one more.
/// - Without threads, each item is worked on when its result is taken.
///
/// This is how a [`Loader`](crate::Loader) makes batches, and how a predictor decodes files ahead of its network:
///
/// ```
/// use residual_data::{Fit, Pipeline, PipelineOptions, decode};
///
/// let fit = Fit::new(&residual_arch::families::family("small")?)?;
/// let files = ["one.png", "none.png"].map(String::from).into_iter();
/// let read = |name: &str| if name == "one.png" { Some(PNG) } else { None };
/// # const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\
/// #     \x00\x01My\xab\xc3\x00\x00\x00\x0aIDATx\xdac\xf8\x0f\x00\x01\x01\x01\x00\x1c\xb0\x8c\x99\
/// #     \x00\x00\x00\x00IEND\xaeB`\x82";
/// let options = PipelineOptions::new(2, 8);
/// let mut decoded = Pipeline::start(files, options, move |name: String, _stopped| {
///     let bytes = read(&name).ok_or_else(|| format!("{name}: no such file"))?;
///     let image = decode(bytes, &name).and_then(|image| fit.fit(image, &name));
///     image.map_err(|error| error.to_string())
/// })?;
/// assert_eq!(decoded.next().unwrap()?.unwrap().width(), 32);
/// // Images that are ready already can go through the network with this one.
/// while let Some(more) = decoded.next_ready() {
///     assert_eq!(more?.unwrap_err(), "none.png: no such file");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline<T> {
    shared: Arc<dyn Work<T>>,
    threads: Vec<JoinHandle<()>>,
    waits_for_items: bool,
}

/// Extent of a [`Pipeline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PipelineOptions {
    /// Number of threads that work ahead; with 0, whoever takes a result works.
    pub threads: usize,
    /// Number of items that are begun ahead of the next result that is taken, at least 1.
    pub window: usize,
    /// True where the iterator may wait for its next item, such as for a line of standard input: dropping the pipeline
    /// does not wait with it.
    pub waits_for_items: bool,
}

impl PipelineOptions {
    /// Options of a pipeline whose iterator gives its items at once.
    pub fn new(threads: usize, window: usize) -> Self {
        Self { threads, window, waits_for_items: false }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_data::PipelineOptions;
    /// let typed = PipelineOptions::new(2, 8).with(|options| options.waits_for_items = true);
    /// assert_eq!(typed.window, 8);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// Items, job and state that the threads of a pipeline share.
struct Shared<I, T, J> {
    /// Locked only by who has set [`State::reading`].
    items: Mutex<I>,
    job: J,
    window: usize,
    waits_for_items: bool,
    stopped: AtomicBool,
    state: Mutex<State<T>>,
    /// Something in `state`, or `stopped`, has changed.
    changed: Condvar,
}

struct State<T> {
    /// True while a thread waits for the iterator.
    reading: bool,
    /// True where the iterator has no more items.
    exhausted: bool,
    /// Threads that are not waiting for an iterator that waits for its items.
    active: usize,
    /// Number of the next item.
    next: usize,
    /// Number of the next result to hand over.
    wanted: usize,
    ready: BTreeMap<usize, Result<T, Error>>,
}

impl<T: Send + 'static> Pipeline<T> {
    /// Starts the threads, which call `job` with each item, and with a flag that is raised when nobody wants the
    /// results any more.
    ///
    /// # Errors
    /// [`Error::Thread`] where the system refuses one.
    pub fn start<I, J>(items: I, options: PipelineOptions, job: J) -> Result<Self, Error>
    where
        I: Iterator + Send + 'static,
        J: Fn(I::Item, &AtomicBool) -> T + Send + Sync + 'static,
    {
        let state =
            State { reading: false, exhausted: false, active: 0, next: 0, wanted: 0, ready: BTreeMap::new() };
        let shared = Arc::new(Shared {
            items: Mutex::new(items),
            job,
            window: options.window.max(1),
            waits_for_items: options.waits_for_items,
            stopped: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let waits_for_items = options.waits_for_items;
        let mut pipeline = Self { shared: shared.clone(), threads: Vec::new(), waits_for_items };
        for number in 0..options.threads {
            let builder = Builder::new().name(format!("decode-{number}"));
            shared.lock().active += 1;
            let worker = shared.clone();
            let thread = builder.spawn(move || worker.work()).map_err(|source| {
                shared.lock().active -= 1;
                Error::Thread { source }
            })?;
            pipeline.threads.push(thread);
        }
        Ok(pipeline)
    }
}

impl<T> Pipeline<T> {
    /// The next result, if it is there already.
    pub fn next_ready(&mut self) -> Option<Result<T, Error>> {
        self.shared.take(false)
    }
}

impl<T> Iterator for Pipeline<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.threads.is_empty() {
            self.shared.work_once();
        }
        self.shared.take(true)
    }
}

impl<T> Drop for Pipeline<T> {
    fn drop(&mut self) {
        self.shared.stop();
        if !self.waits_for_items {
            for thread in self.threads.drain(..) {
                // A job's panic was caught; there is nothing else to hear of.
                let _ = thread.join();
            }
        }
    }
}

/// A pipeline's work, whatever its items and its job are.
trait Work<T>: Send + Sync {
    /// Works on the next item, if there is one.
    fn work_once(&self);

    /// Takes the next result, waiting for it or not.
    fn take(&self, waits: bool) -> Option<Result<T, Error>>;

    /// Stops, and waits for the jobs that have begun.
    fn stop(&self);
}

impl<I, T, J> Shared<I, T, J>
where
    I: Iterator + Send,
    T: Send,
    J: Fn(I::Item, &AtomicBool) -> T + Send + Sync,
{
    /// No lock on the state is held while an iterator or a job runs, so that a poisoned state is still a whole one.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn work(&self) {
        while let Some((number, item)) = self.claim() {
            let result = item.and_then(|item| self.run(number, item));
            self.lock().ready.insert(number, result);
            self.changed.notify_all();
        }
        self.lock().active -= 1;
        self.changed.notify_all();
    }

    /// The next item and its number, as soon as the window has room for it; `None` where there will be none.
    fn claim(&self) -> Option<(usize, Result<I::Item, Error>)> {
        let mut state = self.lock();
        loop {
            if self.is_stopped() || state.exhausted {
                return None;
            }
            if !state.reading && state.next < state.wanted + self.window {
                break;
            }
            state = self.wait(state);
        }
        state.reading = true;
        let waiting = usize::from(self.waits_for_items);
        state.active -= waiting;
        drop(state);
        self.changed.notify_all();
        let item = catch_unwind(AssertUnwindSafe(|| {
            self.items.lock().unwrap_or_else(PoisonError::into_inner).next()
        }));
        let mut state = self.lock();
        (state.reading, state.active) = (false, state.active + waiting);
        let number = state.next;
        let claimed = match item {
            Ok(None) => None,
            Ok(Some(item)) => Some((number, Ok(item))),
            Err(panic) => Some((number, Err(panicked(number, &*panic)))),
        };
        state.next += usize::from(claimed.is_some());
        state.exhausted |= !matches!(claimed, Some((_, Ok(_))));
        drop(state);
        self.changed.notify_all();
        claimed.filter(|_| !self.is_stopped())
    }

    fn run(&self, number: usize, item: I::Item) -> Result<T, Error> {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.job)(item, &self.stopped)));
        outcome.map_err(|panic| panicked(number, &*panic))
    }
}

impl<I, T, J> Work<T> for Shared<I, T, J>
where
    I: Iterator + Send,
    T: Send,
    J: Fn(I::Item, &AtomicBool) -> T + Send + Sync,
{
    fn work_once(&self) {
        self.lock().active += 1;
        if let Some((number, item)) = self.claim() {
            let result = item.and_then(|item| self.run(number, item));
            self.lock().ready.insert(number, result);
        }
        self.lock().active -= 1;
    }

    fn take(&self, waits: bool) -> Option<Result<T, Error>> {
        let mut state = self.lock();
        loop {
            let number = state.wanted;
            if let Some(result) = state.ready.remove(&number) {
                state.wanted += 1;
                drop(state);
                self.changed.notify_all();
                return Some(result);
            }
            let is_over = state.exhausted && number >= state.next;
            if !waits || is_over || self.is_stopped() {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn stop(&self) {
        // Under the lock, so that no thread misses it between looking and waiting.
        let mut state = self.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.changed.notify_all();
        while state.active > 0 {
            state = self.wait(state);
        }
    }
}

fn panicked(item: usize, panic: &(dyn std::any::Any + Send)) -> Error {
    Error::WorkerPanicked { item, detail: panic_message(panic) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn start(threads: usize, job: impl Fn(usize) -> usize + Send + Sync + 'static) -> Pipeline<usize> {
        let options = PipelineOptions { threads, window: 4, waits_for_items: false };
        Pipeline::start(0..40, options, move |number, _: &AtomicBool| job(number)).unwrap()
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
    fn a_panic_is_an_error_of_its_item() {
        for threads in [0, 1, 3] {
            let mut pipeline = start(threads, |number| if number == 5 { panic!("job five") } else { number });
            let good: Vec<usize> = pipeline.by_ref().take(5).map(Result::unwrap).collect();
            assert_eq!(good, [0, 1, 2, 3, 4]);
            let error = pipeline.next().unwrap().unwrap_err();
            assert!(matches!(&error, Error::WorkerPanicked { item: 5, detail } if detail == "job five"));
            assert_eq!(pipeline.map(Result::unwrap).collect::<Vec<_>>(), (6..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_iterator_that_panics_is_an_error_and_the_end() {
        for threads in [0, 2] {
            let items = (0..9).inspect(|&item| assert!(item < 3, "item three"));
            let options = PipelineOptions { threads, window: 2, waits_for_items: false };
            let pipeline = Pipeline::start(items, options, |item, _: &AtomicBool| item).unwrap();
            let results: Vec<_> = pipeline.map(|result| result.map_err(|error| error.to_string())).collect();
            assert_eq!(results[..3], [Ok(0), Ok(1), Ok(2)]);
            assert!(results[3].as_ref().unwrap_err().contains("item three"), "{results:?}");
            assert_eq!(results.len(), 4);
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
        // Dropping waited for the jobs: job 0 was taken, and four more at most were begun.
        let at_drop = begun.load(Ordering::SeqCst);
        assert!(at_drop <= 5);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(begun.load(Ordering::SeqCst), at_drop);
    }

    #[test]
    fn an_iterator_that_waits_for_its_next_item_is_not_waited_for() {
        let (sender, items) = mpsc::channel::<usize>();
        let options = PipelineOptions { threads: 2, window: 4, waits_for_items: true };
        let mut pipeline = Pipeline::start(items.into_iter(), options, |n, _: &AtomicBool| n + 1).unwrap();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(pipeline.next().unwrap().unwrap(), 2);
        assert_eq!(pipeline.next().unwrap().unwrap(), 3);
        assert!(pipeline.next_ready().is_none());
        // Nobody will send the third.
        drop(pipeline);
        drop(sender);
    }

    #[test]
    fn what_is_ready_is_taken_without_waiting() {
        let mut pipeline = start(0, |number| number);
        assert!(pipeline.next_ready().is_none());
        assert_eq!(pipeline.next().unwrap().unwrap(), 0);
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let mut pipeline = start(1, move |number| {
            let _ = wait.lock().unwrap().recv();
            number
        });
        assert!(pipeline.next_ready().is_none());
        (0..3).for_each(|_| go.send(()).unwrap());
        assert_eq!(pipeline.next().unwrap().unwrap(), 0);
        assert_eq!(pipeline.next().unwrap().unwrap(), 1);
        drop(go);
        assert_eq!(pipeline.map(Result::unwrap).collect::<Vec<_>>(), (2..40).collect::<Vec<_>>());
    }
}
