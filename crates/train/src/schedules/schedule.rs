//! Schedules of the learning rate.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Monitor};

/// Schedule of the learning rate over a training of `T` steps, `t = 0 .. T - 1`, from the recipe's rate `lr`.
///
/// A [`Warmup`] of `W` steps comes first; the formulas below then hold with `t - W` for `t` and `T - W` for
/// `T`, except [`Schedule::Step`], whose milestones are epochs of the whole training.
///
/// In a recipe: `schedule = { kind = "cosine" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// Constant rate `lr`.
    Constant {},
    /// `floor + (lr - floor) (1 + cos(pi t / T)) / 2` (Loshchilov and Hutter 2017, equation 5, without
    /// restarts).
    Cosine {
        /// The rate that the curve runs towards.
        #[serde(default)]
        floor: f64,
    },
    /// Cosine with warm restarts (Loshchilov and Hutter 2017, section 3): [`Cosine`](Self::Cosine) over `epochs`
    /// epochs, then again from `lr` over `factor` times as many, and so on.
    CosineRestarts {
        /// Epochs of the first descent, at least 1.
        epochs: usize,
        /// Length of each descent as a multiple of the one before, 1 or more.
        #[serde(default = "twice")]
        factor: f64,
        /// The rate that each descent runs towards.
        #[serde(default)]
        floor: f64,
    },
    /// `floor + (lr - floor) (1 - t / T)^power`: linear with 1, as in detectors and transformers; DeepLab's "poly" with
    /// 0.9 (Chen et al. 2017, section 4.1).
    Polynomial {
        /// Power. Default 1.
        #[serde(default = "linear")]
        power: f64,
        /// The rate that the curve runs towards.
        #[serde(default)]
        floor: f64,
    },
    /// `lr gamma^(t / S)`, where `S` is the number of steps of an epoch: by `gamma` an epoch, a little every step.
    Exponential {
        /// Factor of an epoch, above 0 and at most 1.
        gamma: f64,
    },
    /// `lr gamma^m`, where `m` is the number of milestones that are not after the epoch, epochs counted from
    /// 0 (He et al. 2015, section 4.2).
    Step {
        /// Epochs at whose beginning the rate falls. Empty: a half and three quarters of the training.
        #[serde(default)]
        milestones: Vec<usize>,
        /// Factor at each milestone.
        #[serde(default = "tenth")]
        gamma: f64,
    },
    /// `lr`, by `factor` less whenever the metric has not improved for more than `patience` epochs, as PyTorch's
    /// `ReduceLROnPlateau` has it. The metric is that of each epoch's evaluation.
    Plateau {
        /// Factor of each fall, below 1.
        #[serde(default = "tenth")]
        factor: f64,
        /// Epochs in a row without an improvement that are borne.
        #[serde(default = "ten")]
        patience: usize,
        /// Least improvement, as a share of the best value.
        #[serde(default = "plateau_threshold")]
        threshold: f64,
        /// Epochs after a fall that are not counted.
        #[serde(default)]
        cooldown: usize,
        /// Least rate.
        #[serde(default)]
        min: f64,
        /// Metric. Default `loss`.
        #[serde(default)]
        metric: Monitor,
    },
    /// Smith's one-cycle rule (2018) as PyTorch's `OneCycleLR` has it, with cosine annealing: from
    /// `lr / div_factor` up to `lr` at step `pct_start T - 1`, then down to
    /// `lr / (div_factor final_div_factor)` at step `T - 1`. Between two rates `a` and `b`, at the fraction
    /// `p` of the way: `b + (a - b) (1 + cos(pi p)) / 2`. The momentum stays as it is.
    OneCycle {
        /// Fraction of the steps in which the rate rises.
        #[serde(default = "pct_start")]
        pct_start: f64,
        /// The first rate is `lr` divided by this.
        #[serde(default = "div_factor")]
        div_factor: f64,
        /// The last rate is the first one divided by this.
        #[serde(default = "final_div_factor")]
        final_div_factor: f64,
    },
}

fn tenth() -> f64 {
    0.1
}

fn ten() -> usize {
    10
}

fn plateau_threshold() -> f64 {
    1e-4
}

fn twice() -> f64 {
    2.0
}

fn linear() -> f64 {
    1.0
}

fn pct_start() -> f64 {
    0.3
}

fn div_factor() -> f64 {
    25.0
}

fn final_div_factor() -> f64 {
    1e4
}

/// Warm-up: steps at the beginning in which the rate rises linearly: step `t` of `W` takes `lr (t + 1) / W`, where
/// `lr` is the rate that the schedule begins with (Goyal et al. 2017, section 2.2).
///
/// In a recipe: `warmup = { epochs = 5 }` or `warmup = { steps = 500 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warmup {
    /// Length in epochs; parts of one are allowed.
    Epochs(f64),
    /// Length in steps.
    Steps(u64),
}

impl Schedule {
    /// [`Schedule::OneCycle`] with PyTorch's constants: 0.3, 25, 10,000.
    pub fn one_cycle() -> Self {
        Self::OneCycle {
            pct_start: pct_start(),
            div_factor: div_factor(),
            final_div_factor: final_div_factor(),
        }
    }

    /// [`Schedule::Cosine`] down to zero.
    pub fn cosine() -> Self {
        Self::Cosine { floor: 0.0 }
    }

    /// [`Schedule::Step`] by a tenth at a half and three quarters of the training.
    pub fn step() -> Self {
        Self::Step { milestones: Vec::new(), gamma: tenth() }
    }

    /// [`Schedule::Plateau`] with PyTorch's constants: a tenth after more than ten epochs without a lower loss.
    pub fn plateau() -> Self {
        Self::Plateau {
            factor: tenth(),
            patience: ten(),
            threshold: plateau_threshold(),
            cooldown: 0,
            min: 0.0,
            metric: Monitor::Loss,
        }
    }

    /// Checks the constants.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |field, found: f64, ok: bool, expected| match ok && found.is_finite() {
            true => Ok(()),
            false => Err(Error::OutOfRange { field, found, expected }),
        };
        match *self {
            Self::Constant {} => Ok(()),
            Self::Cosine { floor } => check("schedule.floor", floor, floor >= 0.0, "zero or more"),
            Self::CosineRestarts { epochs, factor, floor } => {
                check("schedule.epochs", epochs as f64, epochs > 0, "1 or more")?;
                check("schedule.factor", factor, factor >= 1.0, "1 or more")?;
                check("schedule.floor", floor, floor >= 0.0, "zero or more")
            }
            Self::Polynomial { power, floor } => {
                check("schedule.power", power, power > 0.0, "above zero")?;
                check("schedule.floor", floor, floor >= 0.0, "zero or more")
            }
            Self::Exponential { gamma } => {
                check("schedule.gamma", gamma, gamma > 0.0 && gamma <= 1.0, "above 0 and at most 1")
            }
            Self::Step { gamma, .. } => check("schedule.gamma", gamma, gamma > 0.0, "above zero"),
            Self::Plateau { factor, threshold, min, .. } => {
                check("schedule.factor", factor, factor > 0.0 && factor < 1.0, "between 0 and 1")?;
                check(
                    "schedule.threshold",
                    threshold,
                    (0.0..1.0).contains(&threshold),
                    "0 or more and below 1",
                )?;
                check("schedule.min", min, min >= 0.0, "zero or more")
            }
            Self::OneCycle { pct_start, div_factor, final_div_factor } => {
                let share = pct_start > 0.0 && pct_start < 1.0;
                check("schedule.pct_start", pct_start, share, "between 0 and 1")?;
                check("schedule.div_factor", div_factor, div_factor >= 1.0, "1 or more")?;
                let last = final_div_factor;
                check("schedule.final_div_factor", last, last >= 1.0, "1 or more")
            }
        }
    }
}

/// The default constants of a kind, by its name: `constant`, `cosine`, `polynomial`, `step`, `plateau`, `one_cycle` or
/// `one-cycle`.
impl FromStr for Schedule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "constant" => Ok(Self::Constant {}),
            "cosine" => Ok(Self::cosine()),
            "polynomial" => Ok(Self::Polynomial { power: linear(), floor: 0.0 }),
            "step" => Ok(Self::step()),
            "plateau" => Ok(Self::plateau()),
            "one_cycle" | "one-cycle" => Ok(Self::one_cycle()),
            _ => Err(Error::UnknownSchedule { found: name.to_owned() }),
        }
    }
}

impl Warmup {
    pub(crate) fn steps(self, steps_per_epoch: u64) -> Result<u64, Error> {
        match self {
            Self::Steps(steps) => Ok(steps),
            Self::Epochs(epochs) if epochs.is_finite() && epochs >= 0.0 => {
                Ok((epochs * steps_per_epoch as f64).round() as u64)
            }
            Self::Epochs(found) => {
                Err(Error::OutOfRange { field: "warmup.epochs", found, expected: "zero or more" })
            }
        }
    }
}
