//! Evaluation of tasks other than single label: mean average precision and F1, errors of numbers.

use std::fmt;
use std::sync::Arc;

use residual_arch::{Preprocess, Task};
use residual_measure::{Counts, Errors, average_precision, best_threshold};
use serde::{Deserialize, Serialize};

use crate::evaluate::{AnsweredBatch, EvaluateOptions, Judged, Watch, evaluate};
use crate::{Batch, Source};

/// Metric of a task by which trainings are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Metric {
    /// Mean average precision over the classes; more is better.
    #[serde(rename = "mAP")]
    MeanAveragePrecision,
    /// F1 score over all labels of all images (micro average) at the threshold; more is better.
    #[serde(rename = "F1")]
    F1,
    /// Mean absolute error: in the target's unit, and of several targets the mean of each in its standard deviations;
    /// less is better.
    #[serde(rename = "MAE")]
    MeanAbsoluteError,
}

/// Value of a metric. Displays as `mAP 71.2%`, `MAE 3.14`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskScore {
    /// Metric.
    pub metric: Metric,
    /// Value.
    pub value: f64,
}

impl TaskScore {
    /// Merit of the score: greater for a better one.
    pub fn merit(&self) -> f64 {
        match self.metric {
            Metric::MeanAveragePrecision | Metric::F1 => self.value,
            Metric::MeanAbsoluteError => -self.value,
        }
    }
}

impl fmt::Display for TaskScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.metric {
            Metric::MeanAveragePrecision => write!(f, "mAP {:.1}%", 100.0 * self.value),
            Metric::F1 => write!(f, "F1 {:.1}%", 100.0 * self.value),
            Metric::MeanAbsoluteError => write!(f, "MAE {:.4}", self.value),
        }
    }
}

/// Answers about one class of a multi-label task.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LabelNumbers {
    /// Average precision.
    pub average_precision: f64,
    /// Right and wrong answers at the threshold.
    pub counts: Counts,
}

/// Numbers of a task's evaluation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskNumbers {
    /// Multi-label classification.
    MultiLabel {
        /// Threshold of the network.
        threshold: f64,
        /// Right and wrong answers over all classes at that threshold.
        counts: Counts,
        /// Threshold with the greatest F1 score over all classes on these images; `None` where no image has a class.
        best: Option<f64>,
        /// Each class.
        each: Vec<LabelNumbers>,
    },
    /// Regression: errors of each target, in its unit.
    Regression {
        /// Each target.
        each: Vec<Errors>,
        /// Mean absolute errors in standard deviations.
        standardised: Vec<f64>,
    },
}

/// Evaluation of a network for a task other than single label.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskEvaluation {
    /// Number of images.
    pub total: u64,
    /// Loss: binary cross-entropy a label, or the squared error of a standardised number.
    pub loss: f64,
    /// Numbers.
    pub numbers: TaskNumbers,
}

impl TaskEvaluation {
    /// Evaluation of outputs against targets, both `[images][outputs]`: targets are 0 or 1 for classes, and in their units
    /// for numbers.
    pub fn of(task: &Task, outputs: &[f32], targets: &[f64], width: usize) -> Self {
        let total = (outputs.len() / width.max(1)) as u64;
        let mean = |sum: f64| sum / outputs.len().max(1) as f64;
        let pairs = || outputs.iter().map(|&z| f64::from(z)).zip(targets.iter().copied());
        if let Task::Regression { targets: described } = task {
            let standardised =
                || pairs().enumerate().map(|(at, (z, t))| z - described[at % width].standardised(t));
            let predicted: Vec<f64> =
                pairs().enumerate().map(|(at, (z, _))| described[at % width].value(z)).collect();
            let each = Errors::each(&predicted, targets, width);
            let in_deviations =
                each.iter().zip(described).map(|(errors, target)| errors.mae / target.deviation);
            let numbers = TaskNumbers::Regression { standardised: in_deviations.collect(), each };
            return Self { total, loss: mean(standardised().map(|d| d * d).sum()), numbers };
        }
        let threshold = match task {
            Task::MultiLabel { threshold } => *threshold,
            _ => 0.5,
        };
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let loss = mean(pairs().map(|(z, t)| t * softplus(-z) + (1.0 - t) * softplus(z)).sum());
        let scores: Vec<f64> = outputs.iter().map(|&z| sigmoid(f64::from(z))).collect();
        let truths: Vec<bool> = targets.iter().map(|&t| t > 0.5).collect();
        let label = |class: usize| {
            let scores: Vec<f64> = scores.iter().skip(class).step_by(width).copied().collect();
            let truths: Vec<bool> = truths.iter().skip(class).step_by(width).copied().collect();
            LabelNumbers {
                average_precision: average_precision(&scores, &truths),
                counts: Counts::at(&scores, &truths, threshold),
            }
        };
        // A threshold of 0 or 1 is none.
        let best = best_threshold(&scores, &truths).map(|best| best.value.clamp(1e-6, 1.0 - 1e-6));
        let counts = Counts::at(&scores, &truths, threshold);
        let each = (0..width).map(label).collect();
        Self { total, loss, numbers: TaskNumbers::MultiLabel { threshold, counts, best, each } }
    }

    /// Score by which trainings are compared.
    pub fn score(&self) -> TaskScore {
        let mean = |values: &mut dyn ExactSizeIterator<Item = f64>| {
            let count = values.len().max(1) as f64;
            values.sum::<f64>() / count
        };
        match &self.numbers {
            TaskNumbers::MultiLabel { each, .. } => {
                let value = mean(&mut each.iter().map(|class| class.average_precision));
                TaskScore { metric: Metric::MeanAveragePrecision, value }
            }
            TaskNumbers::Regression { each, standardised } => {
                let value = match each.as_slice() {
                    [target] => target.mae,
                    _ => mean(&mut standardised.iter().copied()),
                };
                TaskScore { metric: Metric::MeanAbsoluteError, value }
            }
        }
    }

    /// Best threshold of a multi-label task on these images.
    pub fn best_threshold(&self) -> Option<f64> {
        match self.numbers {
            TaskNumbers::MultiLabel { best, .. } => best,
            TaskNumbers::Regression { .. } => None,
        }
    }
}

/// Sigmoid, `1 / (1 + exp(-z))`, without overflow.
pub fn sigmoid(z: f64) -> f64 {
    let power = (-z.abs()).exp();
    if z < 0.0 { power / (1.0 + power) } else { 1.0 / (1.0 + power) }
}

/// Outputs of a network for a task other than single label, beside the targets.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TaskOutputs {
    /// Places of the images in their source.
    pub indices: Vec<usize>,
    /// Outputs, `[images][outputs]`.
    pub outputs: Vec<f32>,
    /// Targets, `[images][outputs]`: 0 or 1 for classes, and numbers in their units.
    pub targets: Vec<f64>,
}

impl TaskOutputs {
    /// Outputs of all images in their order, answered as for [`evaluate()`](crate::evaluate()); `None` where it was stopped.
    ///
    /// # Errors
    /// Those of [`evaluate()`](crate::evaluate()).
    pub fn of<J: Judged>(
        judged: &mut J,
        images: Arc<dyn Source>,
        preprocess: Preprocess,
        options: &EvaluateOptions,
        watch: &mut dyn Watch,
    ) -> Result<Option<Self>, J::Error> {
        let mut collecting = Collecting { judged, found: Self::default() };
        let whole = evaluate(&mut collecting, images, preprocess, options, watch)?;
        Ok(whole.map(|_| collecting.found))
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.indices.len()
    }

    /// Evaluation for a task.
    pub fn evaluate(&self, task: &Task) -> TaskEvaluation {
        let width = self.outputs.len() / self.images().max(1);
        TaskEvaluation::of(task, &self.outputs, &self.targets, width)
    }
}

/// Network whose outputs are kept.
struct Collecting<'j, J> {
    judged: &'j mut J,
    found: TaskOutputs,
}

impl<J: Judged> Judged for Collecting<'_, J> {
    type Error = J::Error;

    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, J::Error> {
        self.judged.logits(batch)
    }

    fn answered(&mut self, batch: &AnsweredBatch<'_>) {
        self.found.indices.extend_from_slice(batch.indices);
        self.found.outputs.extend_from_slice(batch.logits);
        self.found.targets.extend_from_slice(batch.targets);
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::RegressionTarget;

    use super::*;

    #[test]
    fn labels_are_judged_by_hand() {
        // Two classes: the first ranked rightly, the second the wrong way around.
        let outputs = [2.0, -1.0, -2.0, 1.0];
        let found = TaskEvaluation::of(&Task::multi_label(), &outputs, &[1.0, 1.0, 0.0, 0.0], 2);
        assert_eq!(found.score(), TaskScore { metric: Metric::MeanAveragePrecision, value: 0.75 });
        let wanted = [2.0f64, -1.0, 2.0, -1.0].iter().map(|z| (-z).exp().ln_1p()).sum::<f64>() / 4.0;
        assert!((found.loss - wanted).abs() < 1e-12);
        let TaskNumbers::MultiLabel { counts, each, .. } = &found.numbers else { panic!() };
        assert_eq!((counts.true_positives, counts.false_positives, counts.false_negatives), (1, 1, 1));
        assert_eq!((each[0].average_precision, each[1].average_precision), (1.0, 0.5));
        // From the lowest right score on: two of three are right.
        let best = found.best_threshold().unwrap();
        assert!(best > sigmoid(-2.0) && best <= sigmoid(-1.0), "{best}");
        assert_eq!(TaskEvaluation::of(&Task::multi_label(), &outputs, &[0.0; 4], 2).best_threshold(), None);
    }

    #[test]
    fn numbers_are_judged_in_their_units() {
        let targets =
            vec![RegressionTarget::new("age", 10.0, 2.0), RegressionTarget::new("mass", 0.0, 100.0)];
        let one = Task::Regression { targets: targets[..1].to_vec() };
        let found = TaskEvaluation::of(&one, &[0.0, 1.0], &[11.0, 12.0], 1);
        assert_eq!(found.score(), TaskScore { metric: Metric::MeanAbsoluteError, value: 0.5 });
        assert_eq!((found.loss, found.total), (0.125, 2));
        let both = Task::Regression { targets };
        let found = TaskEvaluation::of(&both, &[0.0, 1.0], &[11.0, 50.0], 2);
        assert_eq!(found.score().value, 0.5, "half a deviation each");
        assert!(found.score().merit() < 0.0);
        let TaskNumbers::Regression { each, .. } = found.numbers else { panic!() };
        assert_eq!((each[0].mae, each[1].mae), (1.0, 50.0));
    }
}
