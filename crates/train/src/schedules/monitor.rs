//! Metrics of an evaluation that a training goes by, and its early end.

use serde::{Deserialize, Serialize};

use crate::{Error, Metrics};

/// Metric that a training watches: of the evaluated split, or of the average of the weights where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Monitor {
    /// Cross-entropy; less is better.
    #[default]
    Loss,
    /// Share of the images that are classified correctly, or the score of another task (`score`): the better one is better.
    #[serde(alias = "score")]
    Top1,
}

impl Monitor {
    /// Value of each epoch, in order: that of its last line, which is the average's where there is one.
    pub(crate) fn values(self, history: &[Metrics]) -> impl Iterator<Item = f64> {
        judged(history).into_iter().map(move |line| self.value(line))
    }

    fn value(self, line: &Metrics) -> f64 {
        match self {
            Self::Loss => line.loss,
            Self::Top1 => line.merit(),
        }
    }

    /// Improvement of a value on the best so far: positive where it is better.
    pub(crate) fn gain(self, value: f64, best: f64) -> f64 {
        match self {
            Self::Loss => best - value,
            Self::Top1 => value - best,
        }
    }
}

/// Line of each epoch by which it is judged: its last, which is the average's where there is one.
pub(crate) fn judged(history: &[Metrics]) -> Vec<&Metrics> {
    let lines: Vec<&Metrics> = history.iter().filter(|line| line.split != "train").collect();
    let is_last = |at: usize| lines.get(at + 1).is_none_or(|next| next.epoch != lines[at].epoch);
    (0..lines.len()).filter(|&at| is_last(at)).map(|at| lines[at]).collect()
}

/// Early stopping (Prechelt 1998): the end of a training whose metric has not improved for some epochs. The best
/// network is kept as ever. In a recipe: `early_stop = { patience = 5 }`.
///
/// ```
/// use residual_train::{EarlyStop, Metrics};
/// let epoch = |epoch, loss| Metrics::default().with(|line| {
///     (line.epoch, line.split, line.loss) = (epoch, "val".into(), loss);
/// });
/// let history = [epoch(1, 0.9), epoch(2, 0.5), epoch(3, 0.6), epoch(4, 0.7)];
/// assert!(EarlyStop::new(2).has_ended(&history));
/// assert!(!EarlyStop::new(3).has_ended(&history));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EarlyStop {
    /// Number of epochs in a row without an improvement after which the training ends, at least 1.
    pub patience: usize,
    /// Least difference to the best value so far that counts as an improvement: more than this. Default 0.
    #[serde(default)]
    pub min_delta: f64,
    /// Metric. Default `loss`.
    #[serde(default)]
    pub metric: Monitor,
}

impl EarlyStop {
    /// Early stopping after so many epochs without a lower loss.
    pub fn new(patience: usize) -> Self {
        Self { patience, min_delta: 0.0, metric: Monitor::Loss }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_train::{EarlyStop, Monitor};
    /// let stop = EarlyStop::new(3).with(|stop| stop.metric = Monitor::Top1);
    /// assert_eq!(stop.patience, 3);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// True where a training with these lines of `metrics.jsonl` has ended early: a function of its history alone.
    pub fn has_ended(&self, history: &[Metrics]) -> bool {
        let (mut best, mut waited) = (None, 0);
        for value in self.metric.values(history) {
            if best.is_none_or(|best| self.metric.gain(value, best) > self.min_delta) {
                (best, waited) = (Some(value), 0);
            } else {
                waited += 1;
            }
            if waited >= self.patience {
                return true;
            }
        }
        false
    }

    /// Checks the constants.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<(), Error> {
        let out = |field, found, expected| Err(Error::OutOfRange { field, found, expected });
        if self.patience == 0 {
            return out("early_stop.patience", 0.0, "1 or more");
        }
        match self.min_delta.is_finite() && self.min_delta >= 0.0 {
            true => Ok(()),
            false => out("early_stop.min_delta", self.min_delta, "zero or more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: usize, split: &str, loss: f64, top1: f64) -> Metrics {
        Metrics::default().with(|line| {
            (line.epoch, line.split, line.loss, line.top1) = (epoch, split.to_owned(), loss, top1);
        })
    }

    #[test]
    fn the_average_is_judged_where_there_is_one() {
        let history = [
            line(1, "train", 9.0, 0.0),
            line(1, "val", 3.0, 0.1),
            line(2, "train", 8.0, 0.0),
            line(2, "val", 2.0, 0.3),
            line(2, "ema", 1.0, 0.4),
        ];
        assert_eq!(Monitor::Loss.values(&history).collect::<Vec<_>>(), [3.0, 1.0]);
        assert_eq!(Monitor::Top1.values(&history).collect::<Vec<_>>(), [0.1, 0.4]);
    }

    #[test]
    fn epochs_without_an_improvement_are_counted_in_a_row() {
        let ends_after = |stop: EarlyStop, losses: &[f64]| {
            let history: Vec<_> =
                losses.iter().enumerate().map(|(at, &loss)| line(at + 1, "val", loss, 1.0 - loss)).collect();
            (1..=history.len()).find(|&epochs| stop.has_ended(&history[..epochs]))
        };
        let losses = [0.9, 0.8, 0.85, 0.79, 0.8, 0.79, 0.7];
        assert_eq!(ends_after(EarlyStop::new(1), &losses), Some(3));
        assert_eq!(ends_after(EarlyStop::new(2), &losses), Some(6));
        assert_eq!(ends_after(EarlyStop::new(3), &losses), None);
        let by_accuracy = EarlyStop::new(2).with(|stop| stop.metric = Monitor::Top1);
        assert_eq!(ends_after(by_accuracy, &losses), Some(6));
        // 0.79 is no improvement on 0.8 by more than 0.05, and 0.7 is one.
        let coarse = EarlyStop::new(4).with(|stop| stop.min_delta = 0.05);
        assert_eq!(ends_after(coarse, &losses), Some(6));
        assert_eq!(ends_after(EarlyStop { patience: 5, ..coarse }, &losses), None);
    }

    #[test]
    fn wrong_constants_are_refused() {
        assert!(EarlyStop::new(0).validate().is_err());
        assert!(EarlyStop::new(1).with(|stop| stop.min_delta = f64::NAN).validate().is_err());
        assert!(EarlyStop::new(1).validate().is_ok());
    }
}
