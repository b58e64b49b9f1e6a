//! Confusion matrices.

use crate::counts::share;
use crate::{Average, Counts, Scores, average};

/// Confusion matrix: how often an example of one class was taken for another.
///
/// ```
/// use residual_measure::Confusion;
/// let confusion = Confusion::of(3, &[0, 0, 1, 2], &[0, 2, 1, 0]);
/// assert_eq!((confusion.count(0, 2), confusion.row(0)), (1, &[1, 0, 1][..]));
/// let [first, ..] = confusion.most_confused(1)[..] else { panic!() };
/// assert_eq!((first.label, first.answer, first.count, first.share), (2, 0, 1, 1.0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[label][answer]`
    counts: Vec<u64>,
}

/// Confused pair of classes: examples of one that were taken for the other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Confused {
    /// Class of the examples.
    pub label: usize,
    /// Class that they were taken for.
    pub answer: usize,
    /// Number of the examples.
    pub count: u64,
    /// Fraction of all examples of the class.
    pub share: f64,
}

impl Confusion {
    /// Matrix of no examples.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Matrix of labels and answers.
    ///
    /// # Panics
    /// Where there are not as many answers as labels, and for a class that is not below `classes`.
    pub fn of(classes: usize, labels: &[usize], answers: &[usize]) -> Self {
        assert_eq!(labels.len(), answers.len(), "an answer for every label");
        let mut confusion = Self::new(classes);
        labels.iter().zip(answers).for_each(|(&label, &answer)| confusion.add(label, answer));
        confusion
    }

    /// Adds an example.
    ///
    /// # Panics
    /// For a class that the matrix does not have.
    pub fn add(&mut self, label: usize, answer: usize) {
        assert!(label < self.classes && answer < self.classes, "a class below {}", self.classes);
        self.counts[label * self.classes + answer] += 1;
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of examples of `label` that were taken for `answer`.
    ///
    /// # Panics
    /// For a class that the matrix does not have.
    pub fn count(&self, label: usize, answer: usize) -> u64 {
        self.row(label)[answer]
    }

    /// Row of a class: what its examples were taken for.
    ///
    /// # Panics
    /// For a class that the matrix does not have.
    pub fn row(&self, label: usize) -> &[u64] {
        &self.counts[label * self.classes..][..self.classes]
    }

    /// Number of examples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Number of examples that were classified correctly.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Accuracy: the fraction of the examples that were classified correctly; 0 of none.
    pub fn accuracy(&self) -> f64 {
        share(self.correct(), self.total())
    }

    /// Balanced accuracy: the mean recall of the classes that have examples; 0 where none has.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> =
            self.each().iter().filter(|class| class.support() > 0).map(Counts::recall).collect();
        recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
    }

    /// Counts of a class against all others.
    ///
    /// # Panics
    /// For a class that the matrix does not have.
    pub fn counts(&self, class: usize) -> Counts {
        let answered = (0..self.classes).map(|label| self.count(label, class)).sum();
        self.one(class, answered, self.total())
    }

    /// Counts of every class, in their order.
    pub fn each(&self) -> Vec<Counts> {
        let mut answered = vec![0; self.classes];
        for label in 0..self.classes {
            answered.iter_mut().zip(self.row(label)).for_each(|(sum, count)| *sum += count);
        }
        let total = self.total();
        answered.into_iter().enumerate().map(|(class, answered)| self.one(class, answered, total)).collect()
    }

    fn one(&self, class: usize, answered: u64, total: u64) -> Counts {
        let found = self.count(class, class);
        let support: u64 = self.row(class).iter().sum();
        Counts {
            true_positives: found,
            false_positives: answered - found,
            false_negatives: support - found,
            true_negatives: total - support - (answered - found),
        }
    }

    /// Average of precision, recall and F1 over the classes.
    pub fn average(&self, how: Average) -> Scores {
        average(&self.each(), how)
    }

    /// Pairs of classes that were confused most often, at most `n`; of equal counts the greater share of its class comes
    /// first, then the first class.
    pub fn most_confused(&self, n: usize) -> Vec<Confused> {
        let mut pairs = Vec::new();
        for label in 0..self.classes {
            let whole = self.row(label).iter().sum();
            let wrong =
                self.row(label).iter().enumerate().filter(|&(answer, &count)| answer != label && count > 0);
            pairs.extend(wrong.map(|(answer, &count)| Confused {
                label,
                answer,
                count,
                share: share(count, whole),
            }));
        }
        pairs.sort_by(|a, b| b.count.cmp(&a.count).then(b.share.total_cmp(&a.share)));
        pairs.truncate(n);
        pairs
    }
}
