//! Observers of a training.

use std::ops::ControlFlow;
use std::path::Path;

use residual_data::TaskScore;

use crate::{Best, Metrics};

/// Observer of a training while it goes on. Every method does nothing by default; `()` observes nothing.
///
/// A method that answers [`ControlFlow::Break`] stops the training as the stop flag does: the step that is under way
/// is finished, and [`Trainer::run`](crate::Trainer::run) saves everything; it can be resumed. (To end a training that
/// does not get better there is [`EarlyStop`](crate::EarlyStop).)
///
/// ```
/// use std::ops::ControlFlow;
/// use residual_train::{Metrics, Observer};
///
/// /// Stops after the first evaluation with 90% or more.
/// struct GoodEnough;
///
/// impl Observer for GoodEnough {
///     fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
///         match metrics.split != "train" && metrics.top1 >= 0.9 {
///             true => ControlFlow::Break(()),
///             false => ControlFlow::Continue(()),
///         }
///     }
/// }
/// ```
pub trait Observer {
    /// Called after every step of the optimiser.
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        let _ = report;
        ControlFlow::Continue(())
    }

    /// Called after every batch of an evaluation, with the images done and all of them. An evaluation that is stopped
    /// is made again when the training goes on.
    fn evaluating(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        let _ = (done, total);
        ControlFlow::Continue(())
    }

    /// Called after a pass over a split, with the line that was added to `metrics.jsonl`.
    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        let _ = metrics;
        ControlFlow::Continue(())
    }

    /// Called after a checkpoint was written.
    fn saved(&mut self, path: &Path) {
        let _ = path;
    }

    /// Called when an image cannot be decoded and is left out (`skip_bad`), each at its first time.
    fn skipped(&mut self, reason: &str) {
        let _ = reason;
    }

    /// Called with what went wrong and does not stop the training, such as a report that cannot be written.
    fn remark(&mut self, remark: &str) {
        let _ = remark;
    }
}

impl Observer for () {}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        (**self).step(report)
    }

    fn evaluating(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        (**self).evaluating(done, total)
    }

    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        (**self).pass(metrics)
    }

    fn saved(&mut self, path: &Path) {
        (**self).saved(path);
    }

    fn skipped(&mut self, reason: &str) {
        (**self).skipped(reason);
    }

    fn remark(&mut self, remark: &str) {
        (**self).remark(remark);
    }
}

/// Report of a step, and of its epoch up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
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
    /// Fraction of this epoch's images so far that were classified correctly; 0 of a task other than single label.
    pub top1: f64,
    /// Score of this epoch's images so far, of a task other than single label.
    pub score: Option<TaskScore>,
    /// Learning rate of this step.
    pub lr: f64,
    /// Share of this process's training time that the network waited for images.
    pub waited: f64,
    /// Images a second in this epoch.
    pub images_per_s: f64,
    /// Seconds that the remaining steps will take at this speed, evaluations not counted.
    pub seconds_left: f64,
}

impl StepReport {
    /// Changes fields: for tests of an [`Observer`].
    ///
    /// ```
    /// use residual_train::StepReport;
    /// let report = StepReport::default().with(|report| report.loss = 0.25);
    /// assert_eq!(report.loss, 0.25);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// End of a training, or of a part of it.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome {
    /// End of the last epoch, or of the one after which [`EarlyStop`](crate::EarlyStop) ended the training.
    #[non_exhaustive]
    Finished {
        /// The best evaluation.
        best: Best,
        /// True where the training ended before the recipe's last epoch.
        early: bool,
    },
    /// The stop flag was raised, or the observer asked to stop. The step that was under way was finished, and
    /// everything saved.
    Interrupted {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Steps done.
        step: u64,
    },
}
