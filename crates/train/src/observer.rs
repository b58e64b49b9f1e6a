//! Looking on while a network trains.

use std::path::Path;

use crate::{Best, Metrics};

/// What a training tells while it goes on. Every method does nothing by default; `()` watches nothing.
pub trait Observer {
    /// After every step.
    fn step(&mut self, report: &StepReport) {
        let _ = report;
    }

    /// While evaluating: images done, of all.
    fn evaluating(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// After a pass over a split: the line that was added to `metrics.jsonl`.
    fn pass(&mut self, metrics: &Metrics) {
        let _ = metrics;
    }

    /// After a checkpoint was written.
    fn saved(&mut self, path: &Path) {
        let _ = path;
    }

    /// An image that could not be decoded and was left out (`skip_bad`), each at its first time.
    fn skipped(&mut self, reason: &str) {
        let _ = reason;
    }
}

impl Observer for () {}

/// One step, and the epoch up to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Epochs of the training.
    pub epochs: usize,
    /// Steps done since the training began.
    pub step: u64,
    /// Steps of the training.
    pub total_steps: u64,
    /// Steps done in this epoch.
    pub epoch_step: u64,
    /// Steps of an epoch.
    pub epoch_steps: u64,
    /// Loss of this step's batch.
    pub batch_loss: f64,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Fraction of this epoch's images so far that were told right.
    pub top1: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Share of this session's training time that the network waited for images.
    pub waited: f64,
    /// Images a second in this epoch.
    pub images_per_s: f64,
    /// Seconds that the remaining steps will take at this speed, evaluations not counted.
    pub seconds_left: f64,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome {
    /// All epochs are done.
    Finished {
        /// The best evaluation.
        best: Best,
    },
    /// The stop flag was raised. The step that was under way was finished, and everything saved.
    Interrupted {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Steps done.
        step: u64,
    },
}
