//! Mode of a forward pass: training, with the randomness of its step, or evaluation.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{Flag, Param};
use burn::tensor::Tensor;
use residual_random::Key;

/// Mode of a forward pass: training or evaluation. Every `forward` takes one, so that a network cannot be left in the
/// wrong mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm with its running statistics; no dropout, no dropped branches. Parameters are
    /// constants: no graph is recorded, unless the input itself asks for a gradient.
    Eval,
    /// Batch norm with the batch's statistics, which move the running ones; dropout and stochastic
    /// depth drawn from the given randomness; parameters take part in the graph.
    Train(Randomness),
}

impl Mode {
    /// Training, with the randomness of one step.
    pub const fn train(seed: u64, step: u64) -> Self {
        Self::Train(Randomness::new(seed, step))
    }

    /// Training on a part of a step's batch, whose first image is number `first` of the batch: each image has the draws
    /// that it has in the whole batch.
    pub const fn from_sample(self, first: u64) -> Self {
        match self {
            Self::Train(randomness) => Self::Train(Randomness { first, ..randomness }),
            Self::Eval => Self::Eval,
        }
    }

    /// True in training.
    pub fn is_training(self) -> bool {
        matches!(self, Self::Train(_))
    }

    /// Mode of a layer: this one, or evaluation where the flag of a frozen layer is disabled.
    pub fn within(self, training: &Param<Flag>) -> Self {
        if training.is_enabled() { self } else { Self::Eval }
    }

    /// Value of a parameter as this mode sees it: tracked in training, a constant in evaluation.
    pub fn value<const D: usize>(self, parameter: &Param<Tensor<D>>) -> Tensor<D> {
        match self {
            Self::Train(_) => parameter.val(),
            Self::Eval => parameter.val().inner(),
        }
    }
}

/// Randomness of one training step. Counter-based: a draw depends on `(seed, step, use, sample)`
/// alone, never on the draws before it, so it is the same for any number of threads and after a resume.
///
/// ```
/// use residual_nn::Randomness;
/// let step = Randomness::new(1, 7);
/// assert_eq!(step.uniform("dropout", 3), step.uniform("dropout", 3));
/// assert_ne!(step.uniform("dropout", 3), step.uniform("dropout", 4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness {
    /// Seed of the training.
    pub seed: u64,
    /// Number of the step.
    pub step: u64,
    /// Number of the first sample in the step, where a batch is a part of it.
    pub first: u64,
}

impl Randomness {
    /// Randomness of a step, for a batch that is all of it.
    pub const fn new(seed: u64, step: u64) -> Self {
        Self { seed, step, first: 0 }
    }

    /// Draw from `[0, 1)` for the `index`-th element of what `usage` names.
    pub fn uniform(&self, usage: &str, index: u64) -> f64 {
        self.key(usage).uniform(index)
    }

    /// Draw from the standard normal distribution.
    pub fn normal(&self, usage: &str, index: u64) -> f64 {
        self.key(usage).normal(index)
    }

    fn key(&self, usage: &str) -> Key {
        Key::named(usage).child(self.seed).child(self.step)
    }
}

/// Counter of the steps of one training, for a loop of one's own. It belongs to whoever trains, and needs no `mut`, so
/// that a trainer that is called by reference (such as Burn's `TrainStep`) can hold it.
///
/// ```
/// use residual_nn::{Mode, StepCounter};
/// let steps = StepCounter::new(7);
/// assert_eq!([steps.next_mode(), steps.next_mode()], [Mode::train(7, 0), Mode::train(7, 1)]);
/// // The same training, gone on with after two steps.
/// let resumed = StepCounter::after(7, steps.done());
/// assert_eq!(resumed.next_mode(), Mode::train(7, 2));
/// ```
#[derive(Debug)]
pub struct StepCounter {
    seed: u64,
    done: AtomicU64,
}

impl StepCounter {
    /// Counter of a training that begins.
    pub fn new(seed: u64) -> Self {
        Self::after(seed, 0)
    }

    /// Counter of a training of which `done` steps are done.
    pub fn after(seed: u64, done: u64) -> Self {
        Self { seed, done: AtomicU64::new(done) }
    }

    /// Mode of the next step, which counts as done from now on.
    pub fn next_mode(&self) -> Mode {
        Mode::train(self.seed, self.done.fetch_add(1, Ordering::Relaxed))
    }

    /// Number of steps done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}
