//! Observer, stop flag and clock of a training in this process.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use residual_data::Watch;
use residual_ranks::{Alone, Communicator};

use crate::{Metrics, Observer, StepReport};

/// Observer, stop flag and clock of a training in this process.
pub(crate) struct Session<'a> {
    observer: Box<dyn Observer + Send + 'a>,
    stop: Arc<AtomicBool>,
    /// True where the observer has asked to stop, until the training has stopped.
    asked: bool,
    /// Time up to which seconds are accounted for.
    clock: Instant,
    /// Seconds of waiting for images.
    waited: f64,
    /// Seconds of training in all.
    trained: f64,
    /// Bad images that the observer knows of.
    skipped: BTreeSet<String>,
    /// Processes, or threads, that train together.
    ranks: Arc<dyn Communicator>,
    /// True where a rank was asked to stop, and all know of it.
    agreed: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(observer: Box<dyn Observer + Send + 'a>, stop: Arc<AtomicBool>) -> Self {
        let clock = Instant::now();
        let (skipped, ranks) = (BTreeSet::new(), Arc::new(Alone));
        Self { observer, stop, asked: false, clock, waited: 0.0, trained: 0.0, skipped, ranks, agreed: false }
    }

    /// Session of one of several ranks.
    pub(crate) fn with_ranks(self, ranks: Arc<dyn Communicator>) -> Self {
        Self { ranks, ..self }
    }

    /// Ranks that train together.
    pub(crate) fn ranks(&self) -> &Arc<dyn Communicator> {
        &self.ranks
    }

    /// True for the rank that writes; a process by itself is the first.
    pub(crate) fn is_first_rank(&self) -> bool {
        self.ranks.rank() == 0
    }

    /// True where this rank was asked to stop, which it tells the others.
    pub(crate) fn wants_to_stop(&self) -> bool {
        self.asked || self.stop.load(Ordering::Relaxed)
    }

    /// Takes note of whether a rank was asked to stop: all stop after the same step.
    pub(crate) fn agree_to_stop(&mut self, stop: bool) {
        self.agreed = stop;
    }

    /// Watcher of an evaluation of so many images.
    pub(crate) fn watching(&mut self, total: usize) -> Watching<'_, 'a> {
        Watching { session: self, total }
    }

    pub(crate) fn observe(&mut self, observer: Box<dyn Observer + Send + 'a>) {
        self.observer = observer;
    }

    /// True where the training is to stop: once for each request of the observer, and as long as the flag is up.
    ///
    /// Several ranks stop when all of them know of it.
    pub(crate) fn stops(&mut self) -> bool {
        if self.ranks.ranks() > 1 {
            let stops = std::mem::take(&mut self.agreed);
            self.asked &= !stops;
            return stops;
        }
        std::mem::take(&mut self.asked) || self.stop.load(Ordering::Relaxed)
    }

    /// Leaves the time that has passed since the last call out of account.
    pub(crate) fn start_clock(&mut self) {
        self.clock = Instant::now();
    }

    /// Seconds since the last call.
    pub(crate) fn tick(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.clock).as_secs_f64();
        self.clock = now;
        seconds
    }

    /// Calls `body`, in which the network waits for images.
    pub(crate) fn waiting<T>(&mut self, body: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let value = body();
        self.waited += began.elapsed().as_secs_f64();
        value
    }

    /// Adds seconds of training; gives the share of all that was spent in waiting for images.
    pub(crate) fn trained(&mut self, seconds: f64) -> f64 {
        self.trained += seconds;
        self.waited / self.trained.max(f64::MIN_POSITIVE)
    }

    pub(crate) fn step(&mut self, report: &StepReport) {
        let answer = self.observer.step(report);
        self.heed(answer);
    }

    pub(crate) fn evaluating(&mut self, done: usize, total: usize) {
        let answer = self.observer.evaluating(done, total);
        self.heed(answer);
    }

    pub(crate) fn pass(&mut self, metrics: &Metrics) {
        let answer = self.observer.pass(metrics);
        self.heed(answer);
    }

    pub(crate) fn saved(&mut self, path: &Path) {
        self.observer.saved(path);
    }

    /// Tells of an image that was left out, once in a training, not once an epoch.
    pub(crate) fn skipped(&mut self, reason: &str) {
        if !self.skipped.contains(reason) {
            self.skipped.insert(reason.to_owned());
            self.observer.skipped(reason);
        }
    }

    /// Tells of what went wrong and does not stop the training.
    pub(crate) fn remark(&mut self, remark: &str) {
        self.observer.remark(remark);
    }

    fn heed(&mut self, answer: ControlFlow<()>) {
        self.asked |= answer.is_break();
    }
}

/// Watcher of an evaluation that tells a session.
pub(crate) struct Watching<'w, 'a> {
    session: &'w mut Session<'a>,
    total: usize,
}

impl Watch for Watching<'_, '_> {
    fn stopped(&mut self) -> bool {
        self.session.stops()
    }

    fn progress(&mut self, done: usize) {
        self.session.evaluating(done, self.total);
    }

    fn skipped(&mut self, reason: &str) {
        self.session.skipped(reason);
    }
}

/// Setters of the observer and the stop flag, for whatever begins a training.
macro_rules! session_setters {
    () => {
        /// Tells an observer of every step, evaluation and checkpoint, and of the features of a fine-tuning as of an
        /// evaluation; it can stop the training.
        pub fn observer(mut self, observer: impl $crate::Observer + Send + 'a) -> Self {
            self.observer = Box::new(observer);
            self
        }

        /// Stops when this flag is raised, by another thread or a signal: the step that is under way is finished.
        pub fn stop(mut self, flag: std::sync::Arc<std::sync::atomic::AtomicBool>) -> Self {
            self.stop = flag;
            self
        }
    };
}
pub(crate) use session_setters;
