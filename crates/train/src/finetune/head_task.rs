//! Task of a head that is fitted: its convex loss, and how well its outputs judge.

use residual_arch::Task;
use residual_data::{TaskEvaluation, TaskScore, sigmoid};
use residual_measure::score;

use crate::finetune::features::{FeatureSet, Truth};

/// Task of a head with so many outputs.
#[derive(Clone, Debug)]
pub(crate) struct HeadTask {
    pub(crate) task: Task,
    pub(crate) outputs: usize,
}

/// Quality of a head's answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// Loss of each image: cross-entropy, the mean of the labels' binary cross-entropies or of the squared errors of
    /// standardised numbers.
    pub(crate) losses: Vec<f64>,
    /// Fraction that was classified correctly; 0 of a task other than single label.
    pub(crate) top1: f64,
    /// Score of a task other than single label.
    pub(crate) score: Option<TaskScore>,
}

impl Judgement {
    /// Mean loss.
    pub(crate) fn loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len().max(1) as f64
    }

    /// Accuracy, or the value of the task's score.
    pub(crate) fn value(&self) -> f64 {
        self.score.map_or(self.top1, |score| score.value)
    }
}

impl HeadTask {
    /// Loss of an image's row of outputs, whose place its gradient takes, a share of the mean over `batch`: cross-entropy,
    /// the sum of the labels' binary cross-entropies, or half the squared error of standardised numbers. Convex in the
    /// outputs.
    pub(crate) fn to_gradient(&self, row: &mut [f32], truth: Truth<'_>, batch: usize) -> f64 {
        match truth {
            Truth::Label(label) => softmax_to_gradient(row, label, batch),
            Truth::Targets(targets) => {
                let mut loss = 0.0;
                for (place, (output, &target)) in row.iter_mut().zip(targets).enumerate() {
                    let z = f64::from(*output);
                    loss += match self.task.targets().get(place) {
                        Some(_) => self.loss(place, z, target) / 2.0,
                        None => self.loss(place, z, target),
                    };
                    let slope = match self.task.targets().get(place) {
                        Some(described) => z - described.standardised(target),
                        None => sigmoid(z) - target,
                    };
                    *output = (slope / batch as f64) as f32;
                }
                loss
            }
        }
    }

    /// Binary cross-entropy of a label, or squared error of a standardised number.
    fn loss(&self, place: usize, z: f64, target: f64) -> f64 {
        match self.task.targets().get(place) {
            Some(described) => (z - described.standardised(target)).powi(2),
            None => z.max(0.0) - z * target + (-z.abs()).exp().ln_1p(),
        }
    }

    /// Judgement of outputs, `[images][outputs]`.
    pub(crate) fn judge(&self, outputs: &[f32], set: &FeatureSet) -> Judgement {
        let rows = outputs.chunks_exact(self.outputs.max(1));
        let mut correct = 0usize;
        let losses = rows
            .enumerate()
            .map(|(image, row)| match set.truth(image) {
                Truth::Label(label) => {
                    let (loss, place) = score(row, label);
                    correct += usize::from(place == 0);
                    loss
                }
                Truth::Targets(targets) => {
                    let each = row.iter().zip(targets).enumerate();
                    let sum: f64 = each.map(|(at, (&z, &target))| self.loss(at, f64::from(z), target)).sum();
                    sum / row.len().max(1) as f64
                }
            })
            .collect();
        let top1 = correct as f64 / set.len().max(1) as f64;
        let score = match self.task.is_single_label() {
            true => None,
            false => Some(TaskEvaluation::of(&self.task, outputs, set.targets(), self.outputs).score()),
        };
        Judgement { losses, top1, score }
    }
}

/// Cross-entropy of a row of logits, whose place its gradient takes.
fn softmax_to_gradient(row: &mut [f32], label: usize, batch: usize) -> f64 {
    let most = row.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
    let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
    let loss = most + sum.ln() - f64::from(row[label]);
    for (class, logit) in row.iter_mut().enumerate() {
        let probability = (f64::from(*logit) - most).exp() / sum;
        let wanted = f64::from(u8::from(class == label));
        *logit = ((probability - wanted) / batch as f64) as f32;
    }
    loss
}
