//! Learning rate of every step.

use std::f64::consts::PI;

use crate::schedules::plateau::Plateau;
use crate::{Error, Metrics, Schedule, Warmup};

/// A schedule laid over a training of known length.
///
/// ```
/// use residual_train::{LearningRate, Schedule, Warmup};
///
/// let rate = LearningRate::new(0.1, Schedule::cosine(), Warmup::Steps(2), 10, 2)?;
/// assert_eq!(rate.total_steps(), 20);
/// assert_eq!(rate.at(0), 0.05);
/// assert_eq!(rate.at(2), 0.1);
/// # Ok::<(), residual_train::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRate {
    lr: f64,
    schedule: Schedule,
    warmup_steps: u64,
    steps_per_epoch: u64,
    total_steps: u64,
    /// Rate of a plateau's schedule after the epochs that were followed.
    reached: f64,
}

impl LearningRate {
    /// A schedule over `epochs` epochs of `steps_per_epoch` steps.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for constants out of range, [`Error::LearningRate`], and
    /// [`Error::WarmupTooLong`] where no step remains after the warm-up; [`Error::TooManySteps`].
    pub fn new(
        lr: f64,
        schedule: Schedule,
        warmup: Warmup,
        epochs: usize,
        steps_per_epoch: u64,
    ) -> Result<Self, Error> {
        if !(lr.is_finite() && lr > 0.0) {
            return Err(Error::LearningRate { found: lr });
        }
        schedule.validate()?;
        let too_many = || Error::TooManySteps { epochs, steps: steps_per_epoch };
        // The default milestones are three quarters of the way.
        let total_steps = (epochs as u64).checked_mul(steps_per_epoch.max(4)).ok_or_else(too_many)?;
        let total_steps = total_steps.min(epochs as u64 * steps_per_epoch);
        // A training of no step, which is evaluated alone, has no warm-up either.
        let warmup_steps = if total_steps == 0 { 0 } else { warmup.steps(steps_per_epoch)? };
        if warmup_steps > 0 && warmup_steps >= total_steps {
            return Err(Error::WarmupTooLong { warmup: warmup_steps, total: total_steps });
        }
        let schedule = match schedule {
            Schedule::Step { milestones, gamma } if milestones.is_empty() => {
                Schedule::Step { milestones: vec![epochs.div_ceil(2), (3 * epochs).div_ceil(4)], gamma }
            }
            given => given,
        };
        Ok(Self { lr, schedule, warmup_steps, steps_per_epoch, total_steps, reached: lr })
    }

    /// Schedule of as many steps, all of them at a rate.
    ///
    /// # Errors
    /// [`Error::LearningRate`].
    pub(crate) fn at_constant(&self, lr: f64) -> Result<Self, Error> {
        let epochs = (self.total_steps / self.steps_per_epoch.max(1)) as usize;
        Self::new(lr, Schedule::Constant {}, Warmup::Steps(0), epochs, self.steps_per_epoch)
    }

    /// Steps of the whole training.
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// Takes the lines of `metrics.jsonl` so far, on which the rates of [`Schedule::Plateau`] depend from now on; the
    /// other schedules need none.
    pub fn follow(&mut self, history: &[Metrics]) {
        if let Schedule::Plateau { factor, patience, threshold, cooldown, min, metric } = self.schedule {
            let plateau = Plateau { factor, patience, threshold, cooldown, min, metric };
            self.reached = plateau.rate(self.lr, metric.values(history));
        }
    }

    /// The rate of step `t`, counted from 0. Steps past the end have the last step's rate.
    pub fn at(&self, t: u64) -> f64 {
        if self.total_steps == 0 {
            return self.lr;
        }
        let t = t.min(self.total_steps.saturating_sub(1));
        if t < self.warmup_steps {
            return self.after_warmup(self.warmup_steps) * (t + 1) as f64 / self.warmup_steps as f64;
        }
        self.after_warmup(t)
    }

    fn after_warmup(&self, t: u64) -> f64 {
        let step = (t - self.warmup_steps) as f64;
        let total = (self.total_steps - self.warmup_steps) as f64;
        match self.schedule {
            Schedule::Constant {} => self.lr,
            Schedule::Plateau { .. } => self.reached,
            Schedule::Cosine { floor } => anneal(self.lr, floor, step / total),
            Schedule::CosineRestarts { epochs, factor, floor } => {
                let first = (epochs as u64).saturating_mul(self.steps_per_epoch.max(1)) as f64;
                anneal(self.lr, floor, share_of_descent(step, first, factor))
            }
            Schedule::Polynomial { power, floor } => {
                floor + (self.lr - floor) * (1.0 - step / total).powf(power)
            }
            Schedule::Exponential { gamma } => {
                self.lr * gamma.powf(step / self.steps_per_epoch.max(1) as f64)
            }
            Schedule::Step { ref milestones, gamma } => {
                let epoch = t / self.steps_per_epoch.max(1);
                let passed = milestones.iter().filter(|&&milestone| milestone as u64 <= epoch).count();
                self.lr * gamma.powi(passed as i32)
            }
            Schedule::OneCycle { pct_start, div_factor, final_div_factor } => {
                let first = self.lr / div_factor;
                let last = first / final_div_factor;
                let peak = pct_start * total - 1.0;
                match step <= peak {
                    true => anneal(first, self.lr, share(step, 0.0, peak)),
                    false => anneal(self.lr, last, share(step, peak, total - 1.0)),
                }
            }
        }
    }
}

/// Interpolation from `a` to `b` along half a cosine.
fn anneal(a: f64, b: f64, p: f64) -> f64 {
    b + (a - b) / 2.0 * (1.0 + (PI * p).cos())
}

/// Fraction of `x` on the way from `a` to `b`; a way of no length is over at once.
fn share(x: f64, a: f64, b: f64) -> f64 {
    if b > a { (x - a) / (b - a) } else { 1.0 }
}

/// Share of the descent that step `t` lies in, where the first has `length` steps and each has `factor` times as many
/// as the one before.
fn share_of_descent(t: f64, length: f64, factor: f64) -> f64 {
    if factor == 1.0 {
        return t % length / length;
    }
    // The descents before the n-th have `length (factor^n - 1) / (factor - 1)` steps together.
    let before = |n: f64| length * (factor.powf(n) - 1.0) / (factor - 1.0);
    let mut number = (t / length * (factor - 1.0) + 1.0).log(factor).floor().max(0.0);
    // The logarithm may be a rounding error off at a restart.
    number += f64::from(before(number + 1.0) <= t);
    number -= f64::from(before(number) > t);
    (t - before(number)) / (length * factor.powf(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, warmup: Warmup, epochs: usize, steps: u64) -> Vec<f64> {
        let rate = LearningRate::new(0.1, schedule, warmup, epochs, steps).unwrap();
        (0..rate.total_steps()).map(|t| rate.at(t)).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn constant_stays() {
        close(&rates(Schedule::Constant {}, Warmup::Steps(0), 3, 1), &[0.1; 3]);
    }

    #[test]
    fn cosine_falls_from_the_rate_towards_the_floor() {
        // cos(0), cos(pi/4), cos(pi/2), cos(3 pi/4)
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let expected = [0.1, 0.05 * (1.0 + half), 0.05, 0.05 * (1.0 - half)];
        close(&rates(Schedule::cosine(), Warmup::Steps(0), 4, 1), &expected);
        let expected = [0.1, 0.02 + 0.04 * (1.0 + half), 0.06, 0.02 + 0.04 * (1.0 - half)];
        close(&rates(Schedule::Cosine { floor: 0.02 }, Warmup::Steps(0), 2, 2), &expected);
    }

    #[test]
    fn step_falls_at_milestones() {
        let schedule = Schedule::Step { milestones: vec![1, 3], gamma: 0.5 };
        let expected = [0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025];
        close(&rates(schedule, Warmup::Steps(0), 4, 2), &expected);
        close(&rates(Schedule::step(), Warmup::Steps(0), 4, 1), &[0.1, 0.1, 0.01, 0.001]);
    }

    #[test]
    fn restarts_begin_again_from_the_rate() {
        let schedule = |epochs, factor| Schedule::CosineRestarts { epochs, factor, floor: 0.0 };
        // Descents of 2, 4 and 8 steps.
        let found = rates(schedule(1, 2.0), Warmup::Steps(0), 7, 2);
        let down =
            |steps: usize| (0..steps).map(move |t| 0.05 * (1.0 + (PI * t as f64 / steps as f64).cos()));
        close(&found, &[2, 4, 8].into_iter().flat_map(down).collect::<Vec<_>>());
        let found = rates(schedule(3, 1.0), Warmup::Steps(0), 6, 1);
        close(&found, &down(3).chain(down(3)).collect::<Vec<_>>());
        // Every restart of a long training is one to the step.
        let rate = LearningRate::new(0.1, schedule(1, 3.0), Warmup::Steps(0), 3280, 7).unwrap();
        let restarts = [0, 7, 28, 91, 280, 847, 2548, 7651];
        let found: Vec<u64> = (0..rate.total_steps()).filter(|&t| rate.at(t) == 0.1).collect();
        assert_eq!(found, restarts);
    }

    #[test]
    fn polynomial_and_exponential_by_hand() {
        close(
            &rates(Schedule::Polynomial { power: 1.0, floor: 0.0 }, Warmup::Steps(0), 4, 1),
            &[0.1, 0.075, 0.05, 0.025],
        );
        close(
            &rates(Schedule::Polynomial { power: 2.0, floor: 0.02 }, Warmup::Steps(0), 2, 1),
            &[0.1, 0.02 + 0.08 * 0.25],
        );
        close(
            &rates(Schedule::Exponential { gamma: 0.25 }, Warmup::Steps(0), 2, 2),
            &[0.1, 0.05, 0.025, 0.0125],
        );
    }

    #[test]
    fn one_cycle_is_pytorchs() {
        // torch.optim.lr_scheduler.OneCycleLR(SGD(lr=1), max_lr=0.1, total_steps=10): the peak is at step
        // 0.3 * 10 - 1 = 2, reached through half a cosine, and 7 steps lead down.
        let (first, last) = (0.1 / 25.0, 0.1 / 25.0 / 1e4);
        let down = |step: f64| last + (0.1 - last) / 2.0 * (1.0 + (PI * step / 7.0).cos());
        let mut expected = vec![0.004, 0.1 + (first - 0.1) / 2.0, 0.1];
        expected.extend((1..=7).map(|step| down(step as f64)));
        let found = rates(Schedule::one_cycle(), Warmup::Steps(0), 5, 2);
        close(&found, &expected);
        // The same in decimals, worked out apart from this code.
        let decimals = [0.004, 0.052, 0.1, 0.0950484632, 0.0811745654, 0.0611262022, 0.0388741978];
        for (f, d) in found.iter().zip(decimals) {
            assert!((f - d).abs() < 1e-10, "{f} instead of {d}");
        }
        assert!((found[9] - 4e-7).abs() < 1e-15);
    }

    #[test]
    fn one_cycle_of_few_steps_is_finite() {
        for steps in 1..5 {
            let found = rates(Schedule::one_cycle(), Warmup::Steps(0), 1, steps);
            assert!(found.iter().all(|lr| lr.is_finite() && *lr > 0.0), "{found:?}");
        }
    }

    #[test]
    fn warmup_rises_linearly_and_the_schedule_has_the_rest() {
        let found = rates(Schedule::cosine(), Warmup::Epochs(1.0), 2, 4);
        close(&found[..4], &[0.025, 0.05, 0.075, 0.1]);
        close(&found[4..], &rates(Schedule::cosine(), Warmup::Steps(0), 1, 4));
        let halves = rates(Schedule::Constant {}, Warmup::Epochs(0.5), 1, 4);
        close(&halves, &[0.05, 0.1, 0.1, 0.1]);
    }

    #[test]
    fn wrong_values_are_refused() {
        let new = |lr, schedule, warmup| LearningRate::new(lr, schedule, warmup, 2, 3);
        for lr in [0.0, -0.1, f64::NAN, f64::INFINITY] {
            let error = new(lr, Schedule::Constant {}, Warmup::Steps(0)).unwrap_err();
            assert!(matches!(error, Error::LearningRate { .. }), "{error}");
        }
        for epochs in [usize::MAX, usize::MAX / 3 + 1] {
            let error = LearningRate::new(0.1, Schedule::step(), Warmup::Steps(0), epochs, 3).unwrap_err();
            assert!(matches!(error, Error::TooManySteps { .. }), "{error}");
        }
        let error = new(0.1, Schedule::cosine(), Warmup::Steps(6)).unwrap_err();
        assert!(matches!(error, Error::WarmupTooLong { warmup: 6, total: 6 }), "{error}");
        let error = new(0.1, Schedule::cosine(), Warmup::Epochs(-1.0)).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { field: "warmup.epochs", .. }), "{error}");
        let wrong = [
            Schedule::Cosine { floor: -1.0 },
            Schedule::CosineRestarts { epochs: 0, factor: 2.0, floor: 0.0 },
            Schedule::CosineRestarts { epochs: 1, factor: 0.5, floor: 0.0 },
            Schedule::Polynomial { power: 0.0, floor: 0.0 },
            Schedule::Exponential { gamma: 1.5 },
            Schedule::Step { milestones: vec![1], gamma: 0.0 },
            toml::from_str("kind = \"plateau\"\nfactor = 1.0").unwrap(),
            toml::from_str("kind = \"plateau\"\nmin = -1.0").unwrap(),
            Schedule::OneCycle { pct_start: 1.0, div_factor: 25.0, final_div_factor: 1e4 },
            Schedule::OneCycle { pct_start: 0.3, div_factor: 0.5, final_div_factor: 1e4 },
            Schedule::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: f64::NAN },
        ];
        for schedule in wrong {
            let error = new(0.1, schedule, Warmup::Steps(0)).unwrap_err();
            assert!(matches!(error, Error::OutOfRange { .. }), "{error}");
        }
        assert!(matches!("linear".parse::<Schedule>(), Err(Error::UnknownSchedule { .. })));
        assert_eq!("one-cycle".parse::<Schedule>().unwrap(), Schedule::one_cycle());
    }
}
