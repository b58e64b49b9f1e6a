//! What answers are worth.

use residual_data::Evaluation;
use residual_measure::{Average, Calibration, Confusion, Counts, Interval, average, bootstrap, wilson};
use serde::Serialize;

use crate::{Answer, Answers};

/// Resamples of a bootstrap, and how many images are drawn in all of them at the most.
const RESAMPLES: usize = 1000;
const DRAWN: usize = 20_000_000;

/// Confused pairs of classes that are named, at the most.
const CONFUSED: usize = 20;

/// A share, and its 95% confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// Value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Share {
    fn of(correct: u64, total: u64) -> Self {
        let Interval { low, high, .. } = wilson(correct, total);
        Self { value: correct as f64 / total.max(1) as f64, low, high }
    }

    fn new(value: f64, interval: Option<Interval>) -> Self {
        let [low, high] = interval.map_or([value; 2], |found| [found.low, found.high]);
        Self { value, low, high }
    }
}

/// Precision, recall and F1 of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassMeasured {
    /// Name.
    pub class: String,
    /// Number of images of the class.
    pub images: u64,
    /// Number of images that were taken for it.
    pub answered: u64,
    /// Fraction that is right of what was taken for the class.
    pub precision: f64,
    /// Fraction of the class that was found, with its Wilson interval.
    pub recall: Share,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// Images of one class that were taken for another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConfusedClasses {
    /// Class of the images.
    pub label: String,
    /// Class that they were taken for.
    pub answer: String,
    /// Number of them.
    pub count: u64,
    /// Fraction of all images of their class.
    pub share: f64,
}

/// Measures of the answers about labelled images. Intervals are of 95%: Wilson's of fractions of images, by the
/// percentile bootstrap of the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// Accuracy and loss.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Fraction whose class is the answer.
    pub top1: Share,
    /// Fraction whose class is among the first five answers.
    pub top5: Share,
    /// Mean cross-entropy.
    pub cross_entropy: Share,
    /// Expected calibration error in 15 bins (Guo et al. 2017).
    pub ece: f64,
    /// Interval of the calibration error, `[low, high]`.
    pub ece_interval: [f64; 2],
    /// Brier score, from 0 (perfect) to 2.
    pub brier: f64,
    /// Mean recall of the classes that have images.
    pub balanced_accuracy: f64,
    /// Macro average of the precision over the classes.
    pub macro_precision: f64,
    /// Macro average of the recall.
    pub macro_recall: f64,
    /// Macro average of the F1 score.
    pub macro_f1: Share,
    /// Measures of every class, in the order of the outputs.
    pub classes: Vec<ClassMeasured>,
    /// Pairs of classes that were confused most often, at most 20.
    pub confused: Vec<ConfusedClasses>,
}

impl Answers {
    /// Confusion matrix.
    pub fn confusion(&self) -> Confusion {
        Confusion::of(self.classes.len(), &self.labels(), &self.answers())
    }

    /// Calibration of the answers.
    pub fn calibration(&self) -> Calibration {
        calibration(self.list.iter())
    }

    fn answers(&self) -> Vec<usize> {
        self.list.iter().map(|answer| answer.answer).collect()
    }

    /// Measures.
    pub fn measure(&self) -> Measured {
        let (evaluation, classes) = (self.evaluation, self.classes.len());
        let counts = Counts::of_classes(classes, &self.labels(), &self.answers());
        let all = average(&counts, Average::Macro);
        let of = |draw: &[usize], value: fn(&Answer) -> usize| -> Vec<usize> {
            draw.iter().map(|&index| value(&self.list[index])).collect()
        };
        let f1 = |draw: &[usize]| {
            let [labels, answers] = [of(draw, |answer| answer.label), of(draw, |answer| answer.answer)];
            average(&Counts::of_classes(classes, &labels, &answers), Average::Macro).f1
        };
        let loss =
            |draw: &[usize]| draw.iter().map(|&i| self.list[i].loss).sum::<f64>() / draw.len().max(1) as f64;
        let ece = |draw: &[usize]| calibration(draw.iter().map(|&index| &self.list[index])).ece();
        let supported: Vec<f64> =
            counts.iter().filter(|class| class.support() > 0).map(Counts::recall).collect();
        let found = self.calibration().ece();
        let Share { low, high, .. } = Share::new(found, self.interval(ece));
        Measured {
            evaluation,
            top1: Share::of(evaluation.top1_correct, evaluation.total),
            top5: Share::of(evaluation.top5_correct, evaluation.total),
            cross_entropy: Share::new(evaluation.loss, self.interval(loss)),
            ece: found,
            ece_interval: [low, high],
            brier: self.list.iter().map(|answer| answer.brier).sum::<f64>() / self.list.len().max(1) as f64,
            balanced_accuracy: supported.iter().sum::<f64>() / supported.len().max(1) as f64,
            macro_precision: all.precision,
            macro_recall: all.recall,
            macro_f1: Share::new(all.f1, self.interval(f1)),
            classes: counts.iter().zip(self.classes.iter()).map(class).collect(),
            confused: self.confused(),
        }
    }

    fn interval(&self, statistic: impl Fn(&[usize]) -> f64) -> Option<Interval> {
        bootstrap(self.list.len(), resamples(self.list.len()), 0, statistic)
    }

    fn confused(&self) -> Vec<ConfusedClasses> {
        let name = |class: usize| self.classes[class].clone();
        let pairs = self.confusion().most_confused(CONFUSED).into_iter();
        pairs
            .map(|pair| ConfusedClasses {
                label: name(pair.label),
                answer: name(pair.answer),
                count: pair.count,
                share: pair.share,
            })
            .collect()
    }
}

/// Number of resamples of so many images.
pub(crate) fn resamples(images: usize) -> usize {
    RESAMPLES.min(DRAWN / images.max(1)).max(100)
}

fn calibration<'a>(answers: impl Iterator<Item = &'a Answer>) -> Calibration {
    let (confidences, correct): (Vec<f64>, Vec<bool>) =
        answers.map(|answer| (answer.confidence, answer.place == 0)).unzip();
    Calibration::new(&confidences, &correct)
}

fn class((counts, name): (&Counts, &String)) -> ClassMeasured {
    ClassMeasured {
        class: name.clone(),
        images: counts.support(),
        answered: counts.answered(),
        precision: counts.precision(),
        recall: Share::of(counts.true_positives, counts.support()),
        f1: counts.f1(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_by_hand() {
        let mut answers = Answers::new(["a", "b", "c"].map(String::from).into(), false);
        let sure = 3f32.ln();
        let logits = [[sure, 0.0, 0.0], [0.0, sure, 0.0], [0.0, sure, 0.0], [sure, 0.0, 0.0]].concat();
        answers.add(&[0, 1, 2, 3], &[0, 0, 1, 1], &logits);
        answers.evaluation =
            Evaluation { top1_correct: 2, top5_correct: 4, total: 4, ..Evaluation::default() };
        let found = answers.measure();
        assert_eq!((found.top1.value, found.top5.value, found.balanced_accuracy), (0.5, 1.0, 0.5));
        assert!((found.ece - 0.1).abs() < 1e-7, "{found:?}");
        assert!((found.macro_f1.value - 1.0 / 3.0).abs() < 1e-12);
        assert!(found.macro_f1.low <= found.macro_f1.value && found.macro_f1.value <= found.macro_f1.high);
        let pair = &found.confused[0];
        assert_eq!((pair.label.as_str(), pair.answer.as_str(), pair.count, pair.share), ("a", "b", 1, 0.5));
        assert_eq!((found.classes[2].images, found.classes[2].recall.value), (0, 0.0));
        // The fields of an evaluation are those of earlier releases.
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!((json["top1_correct"].as_u64(), json["total"].as_u64()), (Some(2), Some(4)));
        assert!(json["loss"].is_number(), "{json}");
    }

    #[test]
    fn of_no_answers_everything_is_zero() {
        let found = Answers::new(["a".to_owned()].into(), true).measure();
        assert_eq!((found.ece, found.brier, found.macro_f1.value), (0.0, 0.0, 0.0));
        assert!(found.confused.is_empty());
    }
}
