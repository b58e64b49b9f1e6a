//! Average precision, and thresholds of scores.

use crate::Counts;

/// Average precision, `sum (R_n - R_(n-1)) P_n` over the thresholds of the scores, as scikit-learn's
/// `average_precision_score`: examples of equal scores come in together. 0 where no truth is true. A score that is not a
/// number comes last.
///
/// # Panics
/// Where there are not as many scores as truths.
///
/// ```
/// let found = residual_measure::average_precision(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]);
/// assert!((found - 5.0 / 6.0).abs() < 1e-12);
/// ```
pub fn average_precision(scores: &[f64], truths: &[bool]) -> f64 {
    let steps = steps(scores, truths);
    let positives = steps.last().map_or(0, |step| step.counts.true_positives);
    if positives == 0 {
        return 0.0;
    }
    let (mut sum, mut before) = (0.0, 0);
    for step in steps {
        let found = step.counts.true_positives;
        sum += (found - before) as f64 / positives as f64 * step.counts.precision();
        before = found;
    }
    sum
}

/// Ranking of examples by their scores, of which the average precision is taken many times: of resamples, for one.
///
/// ```
/// use residual_measure::{Ranking, average_precision};
/// let (scores, truths) = ([0.1, 0.4, 0.35, 0.8], [false, false, true, true]);
/// let ranking = Ranking::new(&scores, &truths);
/// assert_eq!(ranking.average_precision(&[1; 4]), average_precision(&scores, &truths));
/// // The last example twice, the first never.
/// let drawn = average_precision(&[0.4, 0.35, 0.8, 0.8], &[false, true, true, true]);
/// assert!((ranking.average_precision(&[0, 1, 1, 2]) - drawn).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Examples from the highest score down: number, whether it is true, whether the next one has another score.
    order: Vec<(usize, bool, bool)>,
}

impl Ranking {
    /// Ranking of scores; one that is not a number comes last.
    ///
    /// # Panics
    /// Where there are not as many scores as truths.
    pub fn new(scores: &[f64], truths: &[bool]) -> Self {
        let order = ranked(scores, truths);
        let is_last = |place: usize| match order.get(place + 1) {
            Some(&next) => !ties(scores[order[place]], scores[next]),
            None => true,
        };
        let row = |(place, &index): (usize, &usize)| (index, truths[index], is_last(place));
        Self { order: order.iter().enumerate().map(row).collect() }
    }

    /// Average precision of the examples, each taken as often as its count says, as [`average_precision`].
    ///
    /// # Panics
    /// Where there is not a count for every example.
    pub fn average_precision(&self, counts: &[u32]) -> f64 {
        assert_eq!(self.order.len(), counts.len(), "a count for every example");
        let (mut found, mut seen, mut before, mut sum) = (0u64, 0u64, 0u64, 0.0);
        for &(index, truth, is_last) in &self.order {
            let count = u64::from(counts[index]);
            seen += count;
            found += if truth { count } else { 0 };
            if is_last {
                sum += (found - before) as f64 * found as f64 / seen.max(1) as f64;
                before = found;
            }
        }
        sum / found.max(1) as f64
    }
}

/// Mean average precision (mAP): the mean over the classes of [`average_precision`], as scikit-learn's with
/// `average="macro"`. `scores` and `truths` are `[examples][classes]`. A class without a true example counts as 0; 0
/// without classes.
///
/// # Panics
/// Where there are not as many scores as truths, or not a whole number of rows.
pub fn mean_average_precision(scores: &[f64], truths: &[bool], classes: usize) -> f64 {
    let class = |class| average_precision(&column(scores, classes, class), &column(truths, classes, class));
    (0..classes).map(class).sum::<f64>() / classes.max(1) as f64
}

/// Column of `[rows][columns]`.
pub(crate) fn column<T: Copy>(values: &[T], columns: usize, column: usize) -> Vec<T> {
    assert!(values.len().is_multiple_of(columns), "rows of {columns} values");
    values.iter().skip(column).step_by(columns).copied().collect()
}

/// Threshold of scores, and the F1 score at it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Threshold {
    /// Value from which on a score means yes.
    pub value: f64,
    /// F1 score of the examples that it was chosen on.
    pub f1: f64,
}

/// Threshold with the greatest F1 score, in the middle between the lowest score that means yes and the next lower one;
/// of equal ones the highest. `None` where no truth is true, or no score is a number.
///
/// # Panics
/// Where there are not as many scores as truths.
///
/// ```
/// let found = residual_measure::best_threshold(&[0.9, 0.6, 0.3], &[true, true, false]).unwrap();
/// assert_eq!(found.f1, 1.0);
/// assert!((found.value - 0.45).abs() < 1e-12);
/// ```
pub fn best_threshold(scores: &[f64], truths: &[bool]) -> Option<Threshold> {
    let steps = steps(scores, truths);
    let mut best: Option<(usize, f64)> = None;
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| !step.score.is_nan()) {
        let f1 = step.counts.f1();
        if f1 > best.map_or(0.0, |(_, best)| best) {
            best = Some((index, f1));
        }
    }
    let (index, f1) = best?;
    let lowest = steps[index].score;
    let next = steps.get(index + 1).map_or(f64::NAN, |step| step.score);
    let middle = next + (lowest - next) / 2.0;
    // Between neighbours among the numbers, and before infinity, there is no middle.
    let value = if middle > next && middle <= lowest { middle } else { lowest };
    Some(Threshold { value, f1 })
}

/// Examples from the highest score down.
fn ranked(scores: &[f64], truths: &[bool]) -> Vec<usize> {
    assert_eq!(scores.len(), truths.len(), "a score for every truth");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let key = |index: usize| if scores[index].is_nan() { f64::NEG_INFINITY } else { scores[index] };
    order.sort_by(|&a, &b| {
        scores[a].is_nan().cmp(&scores[b].is_nan()).then(key(b).partial_cmp(&key(a)).expect("numbers"))
    });
    order
}

fn ties(one: f64, other: f64) -> bool {
    one == other || (one.is_nan() && other.is_nan())
}

/// Counts where this score and all above mean yes.
struct Step {
    score: f64,
    counts: Counts,
}

/// Steps down the distinct scores.
fn steps(scores: &[f64], truths: &[bool]) -> Vec<Step> {
    let order = ranked(scores, truths);
    let positives = truths.iter().filter(|&&truth| truth).count() as u64;
    let (mut steps, mut counts) =
        (Vec::<Step>::new(), Counts { false_negatives: positives, ..Counts::default() });
    counts.true_negatives = scores.len() as u64 - positives;
    for index in order {
        if truths[index] {
            counts.true_positives += 1;
            counts.false_negatives -= 1;
        } else {
            counts.false_positives += 1;
            counts.true_negatives -= 1;
        }
        let score = scores[index];
        match steps.last_mut() {
            Some(last) if ties(last.score, score) => last.counts = counts,
            _ => steps.push(Step { score, counts }),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_come_in_together() {
        let truths = [true, false, true, false];
        assert_eq!(average_precision(&[0.5; 4], &truths), 0.5);
        assert_eq!(best_threshold(&[0.5; 4], &truths).unwrap().value, 0.5);
    }

    #[test]
    fn a_ranking_of_draws_is_the_average_precision_of_what_was_drawn() {
        let scores: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 11)).collect();
        let truths: Vec<bool> = (0..40).map(|i| i * 5 % 7 < 3).collect();
        let ranking = Ranking::new(&scores, &truths);
        for shift in 0..5 {
            let counts: Vec<u32> = (0..40).map(|i| (i * 3 + shift) % 4).collect();
            let drawn = || (0..40).flat_map(|i| std::iter::repeat_n(i, counts[i] as usize));
            let (s, t): (Vec<_>, Vec<_>) = drawn().map(|i| (scores[i], truths[i])).unzip();
            assert!((ranking.average_precision(&counts) - average_precision(&s, &t)).abs() < 1e-12);
        }
        assert_eq!(ranking.average_precision(&[0; 40]), 0.0);
    }

    #[test]
    fn without_examples_there_is_no_threshold() {
        assert_eq!(best_threshold(&[0.1, 0.2], &[false; 2]), None);
        assert_eq!((best_threshold(&[], &[]), average_precision(&[], &[])), (None, 0.0));
        assert_eq!(mean_average_precision(&[0.3, 0.4], &[false; 2], 2), 0.0);
    }

    #[test]
    fn what_is_not_a_number_comes_last() {
        let (scores, truths) = ([f64::NAN, 0.1, f64::NAN], [false, true, true]);
        assert!((average_precision(&scores, &truths) - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
        assert_eq!(best_threshold(&scores, &truths).unwrap().value, 0.1);
        assert_eq!(best_threshold(&[f64::NAN], &[true]), None);
    }

    #[test]
    fn a_threshold_separates_as_its_score_says() {
        let next = f64::from_bits(0.5f64.to_bits() + 1);
        for (scores, wanted) in
            [([next, 0.5], next), ([f64::INFINITY, 0.5], f64::INFINITY), ([1.0, f64::NEG_INFINITY], 1.0)]
        {
            let found = best_threshold(&scores, &[true, false]).unwrap();
            assert_eq!((found.value, found.f1), (wanted, 1.0));
            assert_eq!(Counts::at(&scores, &[true, false], found.value).f1(), 1.0);
        }
    }
}
