//! Learning rate range test (Smith 2017, section 3.3).

use serde::{Deserialize, Serialize};

use crate::{Error, Schedule, Trainer, Training, Warmup};

/// Share of the past in the smoothed loss.
const SMOOTHING: f64 = 0.95;

/// Multiple of the least smoothed loss at which the test ends: the training has diverged.
const DIVERGED: f64 = 4.0;

/// Factor from the rate of the least smoothed loss down to the one that is suggested.
const SUGGESTED: f64 = 0.1;

/// Learning rate range test: steps with a rate that rises exponentially, and the loss before each (Smith 2017, "Cyclical
/// Learning Rates for Training Neural Networks", section 3.3).
///
/// The recipe is followed but for its schedule: network, weights to begin with, optimiser, batches, augmentation, frozen
/// layers and rate multipliers are its own. Nothing is kept: the folder that the steps need is a temporary one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RangeTest {
    /// Rate of the first step. Default 1e-7.
    pub from: f64,
    /// Rate of the last step. Default 10.
    pub to: f64,
    /// Number of steps, if the loss does not diverge before. Default 100.
    pub steps: u64,
}

/// A step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RangePoint {
    /// Learning rate of the step.
    pub lr: f64,
    /// Loss of its batch, before it.
    pub loss: f64,
    /// Exponential mean of the losses up to it, without the bias of the beginning.
    pub smoothed: f64,
}

/// Result of a range test.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Range {
    /// Steps, in order.
    pub points: Vec<RangePoint>,
    /// Rate that is suggested: a tenth of the one with the least smoothed loss. `None` where the loss never fell.
    pub suggestion: Option<f64>,
    /// True where the loss diverged before the last step.
    pub diverged: bool,
}

impl Default for RangeTest {
    fn default() -> Self {
        Self { from: 1e-7, to: 10.0, steps: 100 }
    }
}

impl RangeTest {
    /// Changes fields.
    ///
    /// ```
    /// use residual_train::RangeTest;
    /// assert_eq!(RangeTest::default().with(|test| test.steps = 50).steps, 50);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<(), Error> {
        let out = |field, found, expected| Err(Error::OutOfRange { field, found, expected });
        let is_rate = |rate: f64| rate.is_finite() && rate > 0.0;
        if !is_rate(self.from) {
            return out("from", self.from, "a finite rate above zero");
        }
        if !(is_rate(self.to) && self.to > self.from) {
            return out("to", self.to, "a finite rate above the first");
        }
        match self.steps {
            10..=100_000 => Ok(()),
            found => out("steps", found as f64, "10 to 100000"),
        }
    }

    /// Rate of step `t`, counted from 0.
    fn rate(&self, t: u64) -> f64 {
        self.from * (self.to / self.from).powf(t as f64 / (self.steps - 1) as f64)
    }

    /// Takes the steps of a training that has not begun; `None` where it was stopped. The result does not depend on the
    /// number of threads.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate) and [`Training::begin`]; [`Error::Data`] for an image that cannot be
    /// decoded.
    pub fn run(&self, training: Training<'_>) -> Result<Option<Range>, Error> {
        self.validate()?;
        let training = training.with(|recipe| {
            // The network is judged by the loss in training alone.
            recipe.checkpoint_every_steps = None;
            recipe.early_stop = None;
            // An epoch has a step or more.
            recipe.epochs = self.steps as usize;
            (recipe.schedule, recipe.warmup) = (Schedule::Constant {}, Warmup::Steps(0));
            recipe.ema = None;
        });
        let mut trainer = training.begin_tentative()?;
        let mut points: Vec<RangePoint> = Vec::new();
        let mut mean = 0.0;
        for t in 0..self.steps {
            let lr = self.rate(t);
            let loss = match trainer.step_at(lr) {
                Ok(Some(loss)) => loss,
                Ok(None) => return Ok(None),
                Err(Error::Diverged { .. } | Error::GradientNotFinite { .. } | Error::NotFinite { .. }) => {
                    break;
                }
                Err(error) => return Err(error),
            };
            mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss;
            let smoothed = mean / (1.0 - SMOOTHING.powf(t as f64 + 1.0));
            points.push(RangePoint { lr, loss, smoothed });
            if smoothed > DIVERGED * least(&points).map_or(f64::INFINITY, |point| point.smoothed) {
                break;
            }
        }
        let diverged = (points.len() as u64) < self.steps;
        Ok(Some(Range { suggestion: suggestion(&points), points, diverged }))
    }
}

/// Point of the least smoothed loss.
fn least(points: &[RangePoint]) -> Option<&RangePoint> {
    points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed))
}

/// A tenth of the rate with the least smoothed loss, where that is not the first.
fn suggestion(points: &[RangePoint]) -> Option<f64> {
    let (first, least) = (points.first()?, least(points)?);
    (least.smoothed < first.smoothed).then_some(SUGGESTED * least.lr)
}

impl Trainer<'_> {
    /// Takes a step at a rate, whatever the schedule says, and begins the next epoch where one is over; gives the loss
    /// before the step. `None` where it was stopped.
    fn step_at(&mut self, lr: f64) -> Result<Option<f64>, Error> {
        loop {
            if self.session.stops() {
                return Ok(None);
            }
            if let Some(batch) = self.next_batch()? {
                self.rate = self.rate.at_constant(lr)?;
                return self.train_batch(batch).map(|report| Some(report.batch_loss));
            }
            self.loader = None;
            self.progress.epoch += 1;
            self.progress.batch = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_by_the_same_factor() {
        let test = RangeTest::default().with(|test| (test.from, test.to, test.steps) = (1e-4, 1.0, 11));
        assert!((test.rate(0) - 1e-4).abs() < 1e-18 && (test.rate(10) - 1.0).abs() < 1e-12);
        let factor = test.rate(1) / test.rate(0);
        (1..10).for_each(|t| assert!((test.rate(t + 1) / test.rate(t) - factor).abs() < 1e-9));
    }

    #[test]
    fn the_suggestion_is_a_tenth_of_the_rate_of_the_least_loss() {
        let point =
            |(t, &smoothed): (usize, &f64)| RangePoint { lr: 10f64.powi(t as i32), loss: 0.0, smoothed };
        let points: Vec<_> = [2.0, 1.5, 0.5, 3.0].iter().enumerate().map(point).collect();
        assert_eq!(suggestion(&points), Some(10.0));
        assert_eq!(suggestion(&points[..1]), None);
        let rising: Vec<_> = [1.0, 1.5].iter().enumerate().map(point).collect();
        assert_eq!(suggestion(&rising), None);
    }

    #[test]
    fn what_is_no_test_is_refused() {
        for (change, field) in [
            ((|test| test.from = 0.0) as fn(&mut RangeTest), "from"),
            (|test| test.to = 1e-9, "to"),
            (|test| test.to = f64::NAN, "to"),
            (|test| test.steps = 1, "steps"),
        ] {
            let error = RangeTest::default().with(change).validate().unwrap_err();
            assert!(matches!(&error, Error::OutOfRange { field: found, .. } if *found == field), "{error}");
        }
    }
}
