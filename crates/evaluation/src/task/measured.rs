//! What answers about several labels or numbers are worth.

use residual_arch::TaskKind;
use residual_data::{TaskEvaluation, TaskNumbers};
use residual_measure::{Calibration, Interval, Ranking, bootstrap};
use serde::Serialize;

use super::TaskAnswers;
use crate::measured::resamples;

/// Outputs that are counted in all resamples of a mean average precision, at the most.
const COUNTED: usize = 1_000_000_000;

/// Resamples below which an interval says nothing.
const FEWEST: usize = 100;

/// Measures of answers about several labels or numbers. Intervals are of 95%, by the percentile bootstrap over the images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskMeasured {
    /// Task.
    pub task: TaskKind,
    /// Number of images.
    pub total: u64,
    /// Loss: binary cross-entropy a label, or the squared error of a standardised number.
    pub loss: f64,
    /// Measures of the task.
    #[serde(flatten)]
    pub measures: TaskMeasures,
}

/// Measures of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum TaskMeasures {
    /// Several labels.
    Labels {
        /// Mean average precision.
        map: f64,
        /// Interval of the mean average precision, `[low, high]`; `None` where there are too many outputs to resample.
        #[serde(skip_serializing_if = "Option::is_none")]
        map_interval: Option<[f64; 2]>,
        /// F1 score over all labels (micro average).
        f1: f64,
        /// Interval of the F1 score.
        #[serde(skip_serializing_if = "Option::is_none")]
        f1_interval: Option<[f64; 2]>,
        /// Mean of the classes' F1 scores (macro average).
        macro_f1: f64,
        /// Precision over all labels.
        precision: f64,
        /// Recall over all labels.
        recall: f64,
        /// Fraction of the images all of whose labels are right.
        exact: f64,
        /// Expected calibration error of the probabilities of all labels, in 15 bins.
        ece: f64,
        /// Threshold of the probabilities.
        threshold: f64,
        /// Threshold with the greatest F1 score on these images.
        #[serde(skip_serializing_if = "Option::is_none")]
        best_threshold: Option<f64>,
        /// Each class.
        classes: Vec<LabelMeasured>,
    },
    /// Numbers.
    Numbers {
        /// Each target.
        targets: Vec<TargetMeasured>,
    },
}

/// Measures of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LabelMeasured {
    /// Name.
    pub class: String,
    /// Number of images that have it.
    pub images: u64,
    /// Number of images that are said to have it.
    pub answered: u64,
    /// Average precision.
    pub average_precision: f64,
    /// Precision at the threshold.
    pub precision: f64,
    /// Recall at the threshold.
    pub recall: f64,
    /// F1 score at the threshold.
    pub f1: f64,
}

/// Errors of a target, in its unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TargetMeasured {
    /// Name.
    pub target: String,
    /// Mean absolute error.
    pub mae: f64,
    /// Interval of the mean absolute error, `[low, high]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae_interval: Option<[f64; 2]>,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Coefficient of determination; `None` of fewer than two images.
    pub r2: Option<f64>,
    /// Mean of predicted minus true.
    pub bias: f64,
}

impl TaskAnswers {
    /// Measures.
    pub fn measure(&self) -> TaskMeasured {
        let found = self.evaluation();
        let measures = match &found.numbers {
            TaskNumbers::Regression { .. } => TaskMeasures::Numbers { targets: self.targets() },
            _ => self.labels(&found),
        };
        TaskMeasured { task: self.task().kind(), total: found.total, loss: found.loss, measures }
    }

    /// Calibration of the probabilities of all labels.
    pub fn calibration(&self) -> Calibration {
        let columns = (0..self.classes().len()).map(|class| self.class(class));
        let (probabilities, truths): (Vec<_>, Vec<_>) = columns.unzip();
        Calibration::new(&probabilities.concat(), &truths.concat())
    }

    fn labels(&self, found: &TaskEvaluation) -> TaskMeasures {
        let TaskNumbers::MultiLabel { threshold, counts, best, each } = &found.numbers else {
            return TaskMeasures::Numbers { targets: Vec::new() };
        };
        let named = self.classes().iter().zip(each);
        let classes: Vec<_> = named
            .map(|(class, label)| LabelMeasured {
                class: class.clone(),
                images: label.counts.support(),
                answered: label.counts.answered(),
                average_precision: label.average_precision,
                precision: label.counts.precision(),
                recall: label.counts.recall(),
                f1: label.counts.f1(),
            })
            .collect();
        let of_images = OfImages::new(self, *threshold);
        let exact = of_images.wrong.iter().filter(|&&wrong| wrong == 0).count();
        TaskMeasures::Labels {
            map: found.score().value,
            map_interval: self.map_interval(),
            f1: counts.f1(),
            f1_interval: self.interval(|draw| of_images.f1(draw)),
            macro_f1: classes.iter().map(|class| class.f1).sum::<f64>() / classes.len().max(1) as f64,
            precision: counts.precision(),
            recall: counts.recall(),
            exact: exact as f64 / self.images().max(1) as f64,
            ece: self.calibration().ece(),
            threshold: *threshold,
            best_threshold: *best,
            classes,
        }
    }

    fn interval(&self, statistic: impl Fn(&[usize]) -> f64) -> Option<[f64; 2]> {
        bootstrap(self.images(), resamples(self.images()), 0, statistic).map(ends)
    }

    fn map_interval(&self) -> Option<[f64; 2]> {
        let (images, classes) = (self.images(), self.classes().len().max(1));
        let resamples = resamples(images).min(COUNTED / (images * classes).max(1));
        if resamples < FEWEST {
            return None;
        }
        let ranking = |class| {
            let (scores, truths) = self.class(class);
            Ranking::new(&scores, &truths)
        };
        let rankings: Vec<Ranking> = (0..classes).map(ranking).collect();
        let mean = |draw: &[usize]| {
            let mut counts = vec![0u32; images];
            draw.iter().for_each(|&image| counts[image] += 1);
            rankings.iter().map(|ranking| ranking.average_precision(&counts)).sum::<f64>() / classes as f64
        };
        bootstrap(images, resamples, 0, mean).map(ends)
    }

    fn targets(&self) -> Vec<TargetMeasured> {
        let TaskNumbers::Regression { each, .. } = self.evaluation().numbers else { return Vec::new() };
        let measured = |(target, errors): (usize, residual_measure::Errors)| {
            let (predicted, truths) = self.target(target);
            let apart: Vec<f64> = predicted.iter().zip(&truths).map(|(p, t)| p - t).collect();
            let images = apart.len().max(1) as f64;
            let mae = |draw: &[usize]| draw.iter().map(|&image| apart[image].abs()).sum::<f64>() / images;
            TargetMeasured {
                target: self.classes()[target].clone(),
                mae: errors.mae,
                mae_interval: self.interval(mae),
                rmse: errors.rmse,
                r2: Some(errors.r2).filter(|r2| r2.is_finite()),
                bias: apart.iter().sum::<f64>() / images,
            }
        };
        each.into_iter().enumerate().map(measured).collect()
    }
}

fn ends(found: Interval) -> [f64; 2] {
    [found.low, found.high]
}

/// Labels of each image that were found, and those that were wrong: missed, or said without being there.
struct OfImages {
    found: Vec<u64>,
    wrong: Vec<u64>,
}

impl OfImages {
    fn new(answers: &TaskAnswers, threshold: f64) -> Self {
        let mut counts = Self { found: vec![0; answers.images()], wrong: vec![0; answers.images()] };
        for class in 0..answers.classes().len() {
            let (probabilities, truths) = answers.class(class);
            for (image, (p, truth)) in probabilities.into_iter().zip(truths).enumerate() {
                counts.found[image] += u64::from(truth && p >= threshold);
                counts.wrong[image] += u64::from(truth != (p >= threshold));
            }
        }
        counts
    }

    fn f1(&self, draw: &[usize]) -> f64 {
        let sum = |counts: &[u64]| draw.iter().map(|&image| counts[image]).sum::<u64>() as f64;
        let (found, wrong) = (2.0 * sum(&self.found), sum(&self.wrong));
        if found > 0.0 { found / (found + wrong) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::{RegressionTarget, Task};
    use residual_data::TaskOutputs;

    use super::*;

    fn answers(task: Task, outputs: &[f32], targets: &[f64]) -> TaskAnswers {
        let classes: Vec<String> = ["a", "b"].map(String::from).to_vec();
        let mut found = TaskOutputs::default();
        found.indices = (0..outputs.len() / 2).collect();
        (found.outputs, found.targets) = (outputs.to_vec(), targets.to_vec());
        TaskAnswers::new(classes.into(), task, found)
    }

    #[test]
    fn labels_by_hand() {
        let found = answers(
            Task::multi_label(),
            &[2.5, -1.0, -2.0, 1.0, 3.0, 1.0, -1.0, -3.0],
            &[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0],
        );
        let measured = found.measure();
        let TaskMeasures::Labels { map, map_interval, f1, f1_interval, exact, classes, .. } =
            &measured.measures
        else {
            panic!("{measured:?}")
        };
        // The second class: 1 of 2 at the top, where two tie, then 2 of 3.
        assert!((map - (1.0 + (0.5 * 0.5 + 0.5 * 2.0 / 3.0)) / 2.0).abs() < 1e-12, "{map}");
        assert!((f1 - 6.0 / 8.0).abs() < 1e-12 && *exact == 0.5, "{measured:?}");
        for (value, interval) in [(map, map_interval), (f1, f1_interval)] {
            let [low, high] = interval.unwrap();
            assert!(low < *value && *value < high && low >= 0.0 && high <= 1.0, "{interval:?}");
        }
        assert_eq!((classes[1].images, classes[1].answered, classes[1].precision), (2, 2, 0.5));
        assert_eq!(found.by_loss()[0], 1, "sure of the second class, which it has not");
        let json = serde_json::to_value(&measured).unwrap();
        assert!(json["classes"][0]["average_precision"] == 1.0 && json["task"] == "multi_label", "{json}");
    }

    #[test]
    fn numbers_by_hand() {
        let targets = vec![RegressionTarget::new("a", 10.0, 2.0), RegressionTarget::new("b", 0.0, 1.0)];
        let outputs = [0.0, 0.0, 1.0, 0.0, 2.0, 0.0];
        let found = answers(Task::Regression { targets }, &outputs, &[9.0, 0.0, 13.0, 0.0, 16.0, 0.0]);
        let measured = found.measure();
        let TaskMeasures::Numbers { targets } = &measured.measures else { panic!("{measured:?}") };
        assert!((targets[0].mae - 4.0 / 3.0).abs() < 1e-12 && (targets[0].bias + 2.0 / 3.0).abs() < 1e-12);
        let [low, high] = targets[0].mae_interval.unwrap();
        assert!(low >= 1.0 && high <= 2.0 && low < high);
        assert_eq!((targets[1].r2, targets[1].rmse), (Some(1.0), 0.0));
        assert_eq!(found.by_loss(), [2, 0, 1]);
    }

    #[test]
    fn of_no_images_everything_is_zero_or_unknown() {
        let none = answers(Task::multi_label(), &[], &[]).measure();
        let TaskMeasures::Labels { map, map_interval, .. } = none.measures else { panic!() };
        assert_eq!((map, map_interval), (0.0, None));
    }
}
