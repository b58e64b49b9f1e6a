//! Counts of right and wrong answers about a class, and what follows from them.

/// Counts of the answers "is of this class" and "is not", each right or wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Number of examples of the class that were found.
    pub true_positives: u64,
    /// Number of others that were taken for it.
    pub false_positives: u64,
    /// Number of examples of the class that were missed.
    pub false_negatives: u64,
    /// Number of others that were not taken for it.
    pub true_negatives: u64,
}

impl Counts {
    /// Counts of scores against a threshold: an example is taken for one of the class where its score is `threshold` or
    /// more. A score that is not a number never is.
    ///
    /// # Panics
    /// Where there are not as many scores as truths.
    ///
    /// ```
    /// let counts = residual_measure::Counts::at(&[0.9, 0.5, 0.2], &[true, false, true], 0.5);
    /// assert_eq!((counts.precision(), counts.recall(), counts.f1()), (0.5, 0.5, 0.5));
    /// ```
    pub fn at(scores: &[f64], truths: &[bool], threshold: f64) -> Self {
        assert_eq!(scores.len(), truths.len(), "a score for every truth");
        let mut counts = Self::default();
        for (&score, &truth) in scores.iter().zip(truths) {
            counts.add(truth, score >= threshold);
        }
        counts
    }

    /// Counts of every class against all others, of labels and answers; examples of a class beyond `classes` are
    /// passed over.
    ///
    /// # Panics
    /// Where there are not as many answers as labels.
    ///
    /// ```
    /// let counts = residual_measure::Counts::of_classes(2, &[0, 0, 1], &[0, 1, 1]);
    /// assert_eq!((counts[0].recall(), counts[1].precision()), (0.5, 0.5));
    /// ```
    pub fn of_classes(classes: usize, labels: &[usize], answers: &[usize]) -> Vec<Self> {
        assert_eq!(labels.len(), answers.len(), "an answer for every label");
        let pairs = || labels.iter().zip(answers).filter(|&(&label, &answer)| label.max(answer) < classes);
        let total = pairs().count() as u64;
        let mut counts = vec![Self { true_negatives: total, ..Self::default() }; classes];
        for (&label, &answer) in pairs() {
            counts[label].true_negatives -= 1;
            if label == answer {
                counts[label].true_positives += 1;
            } else {
                counts[answer].true_negatives -= 1;
                counts[answer].false_positives += 1;
                counts[label].false_negatives += 1;
            }
        }
        counts
    }

    /// Adds an answer.
    pub fn add(&mut self, truth: bool, answer: bool) {
        let count = match (truth, answer) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (true, false) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        };
        *count += 1;
    }

    /// Number of examples of the class.
    pub fn support(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// Number of examples that were taken for the class.
    pub fn answered(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    /// Precision, `TP / (TP + FP)`: the fraction that is right of what was taken for the class; 0 where nothing was.
    pub fn precision(&self) -> f64 {
        share(self.true_positives, self.answered())
    }

    /// Recall, `TP / (TP + FN)`: the fraction of the class that was found; 0 where it has no examples.
    pub fn recall(&self) -> f64 {
        share(self.true_positives, self.support())
    }

    /// F1 score, `2 TP / (2 TP + FP + FN)`: the harmonic mean of precision and recall; 0 where there is neither an
    /// example nor an answer.
    pub fn f1(&self) -> f64 {
        share(2 * self.true_positives, self.support() + self.answered())
    }

    /// Precision, recall and F1.
    pub fn scores(&self) -> Scores {
        Scores { precision: self.precision(), recall: self.recall(), f1: self.f1() }
    }
}

/// Fraction, 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Precision, recall and F1 score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Scores {
    /// Precision: the fraction that is right of what was answered.
    pub precision: f64,
    /// Recall: the fraction that was found of what there is.
    pub recall: f64,
    /// F1 score: their harmonic mean.
    pub f1: f64,
}

/// Average over classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Macro: every class counts alike, one without examples too.
    Macro,
    /// Micro: every example counts alike. With one label an image it is the accuracy.
    Micro,
    /// Weighted: every class counts by its number of examples.
    Weighted,
}

/// Average of precision, recall and F1 over classes, as scikit-learn's `precision_recall_fscore_support` with
/// `zero_division=0`; zeros without classes.
///
/// ```
/// use residual_measure::{Average, Counts, average};
/// let classes = [Counts::at(&[1.0, 0.0], &[true, true], 0.5), Counts::at(&[0.0], &[false], 0.5)];
/// assert_eq!(average(&classes, Average::Macro).recall, 0.25);
/// assert_eq!(average(&classes, Average::Weighted).recall, 0.5);
/// ```
pub fn average(classes: &[Counts], how: Average) -> Scores {
    let weight = |class: &Counts| if how == Average::Weighted { class.support() as f64 } else { 1.0 };
    if how == Average::Micro {
        let sum = classes.iter().fold(Counts::default(), |sum, class| Counts {
            true_positives: sum.true_positives + class.true_positives,
            false_positives: sum.false_positives + class.false_positives,
            false_negatives: sum.false_negatives + class.false_negatives,
            true_negatives: sum.true_negatives + class.true_negatives,
        });
        return sum.scores();
    }
    let whole: f64 = classes.iter().map(weight).sum();
    let mean = |of: fn(&Counts) -> f64| {
        let sum: f64 = classes.iter().map(|class| weight(class) * of(class)).sum();
        if whole > 0.0 { sum / whole } else { 0.0 }
    };
    Scores { precision: mean(Counts::precision), recall: mean(Counts::recall), f1: mean(Counts::f1) }
}
