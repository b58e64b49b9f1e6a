//! Learning rate that falls where a metric stays.

use crate::Monitor;

/// Constants of [`Schedule::Plateau`](crate::Schedule::Plateau), and the rate that follows from the metric of each
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plateau {
    pub(crate) factor: f64,
    pub(crate) patience: usize,
    pub(crate) threshold: f64,
    pub(crate) cooldown: usize,
    pub(crate) min: f64,
    pub(crate) metric: Monitor,
}

impl Plateau {
    /// Rate after epochs with these values of the metric, from `lr`, as `torch.optim.lr_scheduler.ReduceLROnPlateau`
    /// has it with a relative threshold. A function of the history, so that a checkpoint holds no state of it.
    pub(crate) fn rate(&self, lr: f64, values: impl Iterator<Item = f64>) -> f64 {
        let (mut rate, mut best, mut bad, mut cooling) = (lr, None, 0, 0);
        for value in values {
            match best {
                Some(best) if !self.is_better(value, best) => bad += 1,
                _ => (best, bad) = (Some(value), 0),
            }
            if cooling > 0 {
                (cooling, bad) = (cooling - 1, 0);
            }
            if bad > self.patience {
                rate = (rate * self.factor).max(self.min);
                (cooling, bad) = (self.cooldown, 0);
            }
        }
        rate
    }

    fn is_better(&self, value: f64, best: f64) -> bool {
        match self.metric {
            Monitor::Loss => value < best * (1.0 - self.threshold),
            // A merit may be negative, as that of an error is.
            Monitor::Top1 => value > best * (1.0 + self.threshold.copysign(best)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [f64; 21] = [
        1.0, 0.8, 0.79995, 0.81, 0.7, 0.71, 0.72, 0.7, 0.69996, 0.65, 0.66, 0.67, 0.68, 0.69, 0.7, 0.71, 0.5,
        0.5, 0.5, 0.5, 0.5,
    ];

    fn rates(plateau: Plateau) -> Vec<f64> {
        let value = |loss: &f64| if plateau.metric == Monitor::Loss { *loss } else { 1.0 - loss };
        (1..=LOSSES.len()).map(|epochs| plateau.rate(0.1, LOSSES[..epochs].iter().map(value))).collect()
    }

    fn close(found: Vec<f64>, expected: [f64; 21]) {
        let same = found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-11);
        assert!(same, "{found:?} instead of {expected:?}");
    }

    /// Expected rates of bench/peers/plateau.py.
    #[test]
    fn the_rates_are_pytorchs() {
        let loss = Plateau {
            factor: 0.1,
            patience: 2,
            threshold: 1e-4,
            cooldown: 0,
            min: 0.0,
            metric: Monitor::Loss,
        };
        let expected = [
            0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 1e-4, 1e-4,
            1e-4, 1e-4, 1e-5, 1e-5,
        ];
        close(rates(loss), expected);
        let top1 = Plateau {
            factor: 0.5,
            patience: 1,
            threshold: 1e-2,
            cooldown: 2,
            min: 0.02,
            metric: Monitor::Top1,
        };
        let expected = [
            0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.02, 0.02, 0.02, 0.02, 0.02,
            0.02, 0.02, 0.02, 0.02, 0.02,
        ];
        close(rates(top1), expected);
        // An error of 1 that falls by a tenth is better, and one that stays is not.
        assert!(top1.is_better(-0.9, -1.0) && !top1.is_better(-1.0, -1.0) && !top1.is_better(-1.1, -1.0));
    }
}
