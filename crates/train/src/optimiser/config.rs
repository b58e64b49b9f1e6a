//! Constants of an optimiser.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::file::OptimiserFile;
use crate::Error;

/// Optimiser of a recipe: its rule, and weight decay. In a recipe:
///
/// ```toml
/// [optimiser]
/// kind = "adamw"
/// betas = [0.9, 0.999]
/// weight_decay = 0.05
/// ```
///
/// Without `kind` it is `sgd`. A field that the rule does not have is an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OptimiserFile", into = "OptimiserFile")]
#[non_exhaustive]
pub struct OptimiserConfig {
    /// Rule and its constants.
    pub rule: Rule,
    /// Weight decay `lambda`: an L2 penalty `lambda/2 |p|^2` for [`Rule::Sgd`], [`Rule::Lars`] and [`Rule::RmsProp`]; decoupled from
    /// the gradient, `p - lr lambda p`, for the others (Loshchilov and Hutter 2019). Default 5e-4 for SGD and LARS, 0.05 for
    /// AdamW, 0.02 for LAMB, 1e-5 for RMSProp, 0.5 for Lion.
    pub weight_decay: f64,
    /// Decay of batch norms' parameters and biases too. Default false (He et al. 2019, section 3.1);
    /// PyTorch's optimisers over all parameters are true.
    pub decay_norm_and_bias: bool,
}

/// Rule of an optimiser. `p` is a parameter, `g` its gradient, `lr` the learning rate, `t` the number of the step from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Gradient descent with momentum, as `torch.optim.SGD` with dampening 0:
    ///
    /// ```text
    /// g <- g + lambda p,  v <- mu v + g
    /// p <- p - lr (g + mu v)    Nesterov
    /// p <- p - lr v             otherwise
    /// ```
    ///
    /// The velocity is scaled by the learning rate when it is used, not when it is gathered, so that it means
    /// the same while the rate moves.
    Sgd {
        /// Momentum `mu`, in `[0, 1)`. Default 0.9.
        momentum: f64,
        /// Nesterov's momentum in place of the plain one; needs `momentum` above zero. Default true.
        nesterov: bool,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as `torch.optim.AdamW`:
    ///
    /// ```text
    /// m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
    /// p <- p (1 - lr lambda) - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
    /// ```
    AdamW {
        /// Parts of the moments that are kept. Default 0.9 and 0.999.
        betas: [f64; 2],
        /// Added to the denominator. Default 1e-8.
        epsilon: f64,
    },
    /// LAMB (You et al. 2020, algorithm 2), as timm's `Lamb` but for its clipping, which is
    /// [`Clip::Norm`](crate::Clip::Norm) of 1: Adam's direction `u` plus `lambda p`, scaled by `|p| / |u|` for parameters that
    /// decay.
    Lamb {
        /// Parts of the moments that are kept. Default 0.9 and 0.999.
        betas: [f64; 2],
        /// Added to the denominator. Default 1e-6.
        epsilon: f64,
    },
    /// LARS (You, Gitman and Ginsburg 2017, algorithm 1), as timm's `Lars`: momentum of the gradient plus `lambda p`, scaled
    /// by `eta |p| / (|g| + lambda |p|)` for parameters that decay. For large batches.
    Lars {
        /// Momentum `mu`, in `[0, 1)`. Default 0.9.
        momentum: f64,
        /// Trust coefficient `eta`. Default 0.001.
        eta: f64,
        /// Added to the denominator. Default 1e-8.
        epsilon: f64,
    },
    /// RMSProp as TensorFlow and timm's `RMSpropTF` have it, with `epsilon` inside the root and a mean square that
    /// begins as ones:
    ///
    /// ```text
    /// g <- g + lambda p,  s <- alpha s + (1 - alpha) g^2
    /// v <- mu v + lr g / sqrt(s + epsilon),  p <- p - v
    /// ```
    RmsProp {
        /// Part of the mean square that is kept. Default 0.9.
        alpha: f64,
        /// Momentum `mu`, in `[0, 1)`. Default 0.9.
        momentum: f64,
        /// Added to the mean square. Default 1e-3.
        epsilon: f64,
    },
    /// Lion (Chen et al. 2023, algorithm 2): the sign of an interpolated momentum, with decoupled weight decay.
    ///
    /// ```text
    /// p <- p (1 - lr lambda) - lr sign(beta1 m + (1 - beta1) g)
    /// m <- beta2 m + (1 - beta2) g
    /// ```
    Lion {
        /// Part of the momentum in the direction, and the part that is kept. Default 0.9 and 0.99.
        betas: [f64; 2],
    },
}

/// Default learning rate of a rule for a full batch, and the power of the batch's share by which it falls for smaller
/// ones.
pub(crate) struct UsualRate {
    pub(crate) rate: f64,
    pub(crate) power: f64,
}

impl Default for OptimiserConfig {
    /// SGD.
    fn default() -> Self {
        Self::sgd()
    }
}

impl OptimiserConfig {
    /// Names of the rules in recipes.
    pub const NAMES: [&'static str; 6] = ["sgd", "adamw", "lamb", "lars", "rms_prop", "lion"];

    /// [`Rule::Sgd`] with its defaults.
    pub fn sgd() -> Self {
        Self::of(Rule::Sgd { momentum: 0.9, nesterov: true }, 5e-4)
    }

    /// [`Rule::AdamW`] with its defaults.
    pub fn adamw() -> Self {
        Self::of(Rule::AdamW { betas: [0.9, 0.999], epsilon: 1e-8 }, 0.05)
    }

    /// [`Rule::Lamb`] with its defaults.
    pub fn lamb() -> Self {
        Self::of(Rule::Lamb { betas: [0.9, 0.999], epsilon: 1e-6 }, 0.02)
    }

    /// [`Rule::Lars`] with its defaults.
    pub fn lars() -> Self {
        Self::of(Rule::Lars { momentum: 0.9, eta: 0.001, epsilon: 1e-8 }, 5e-4)
    }

    /// [`Rule::RmsProp`] with its defaults.
    pub fn rms_prop() -> Self {
        Self::of(Rule::RmsProp { alpha: 0.9, momentum: 0.9, epsilon: 1e-3 }, 1e-5)
    }

    /// [`Rule::Lion`] with its defaults.
    pub fn lion() -> Self {
        Self::of(Rule::Lion { betas: [0.9, 0.99] }, 0.5)
    }

    fn of(rule: Rule, weight_decay: f64) -> Self {
        Self { rule, weight_decay, decay_norm_and_bias: false }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_train::{OptimiserConfig, Rule};
    /// let plain = OptimiserConfig::sgd().with(|sgd| sgd.rule = Rule::Sgd { momentum: 0.9, nesterov: false });
    /// assert_eq!(plain.weight_decay, 5e-4);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Name of the rule, one of [`NAMES`](Self::NAMES).
    pub fn name(&self) -> &'static str {
        match self.rule {
            Rule::Sgd { .. } => "sgd",
            Rule::AdamW { .. } => "adamw",
            Rule::Lamb { .. } => "lamb",
            Rule::Lars { .. } => "lars",
            Rule::RmsProp { .. } => "rms_prop",
            Rule::Lion { .. } => "lion",
        }
    }

    /// Checks the constants.
    ///
    /// # Errors
    /// [`Error::Momentum`], [`Error::NesterovWithoutMomentum`], [`Error::OutOfRange`] for the others.
    pub fn validate(&self) -> Result<(), Error> {
        let out = |field, found, expected| Err(Error::OutOfRange { field, found, expected });
        let (momentum, betas, epsilon) = match self.rule {
            Rule::Sgd { momentum, nesterov } => {
                if nesterov && momentum == 0.0 {
                    return Err(Error::NesterovWithoutMomentum);
                }
                (momentum, [0.0; 2], 1.0)
            }
            Rule::AdamW { betas, epsilon } | Rule::Lamb { betas, epsilon } => (0.0, betas, epsilon),
            Rule::Lars { momentum, eta, epsilon } => {
                if !(eta.is_finite() && eta > 0.0) {
                    return out("optimiser.eta", eta, "above zero");
                }
                (momentum, [0.0; 2], epsilon)
            }
            Rule::RmsProp { alpha, momentum, epsilon } => (momentum, [alpha, 0.0], epsilon),
            Rule::Lion { betas } => (0.0, betas, 1.0),
        };
        if !(0.0..1.0).contains(&momentum) {
            return Err(Error::Momentum { found: momentum });
        }
        if let Some(found) = betas.into_iter().find(|beta| !(0.0..1.0).contains(beta)) {
            let field =
                if matches!(self.rule, Rule::RmsProp { .. }) { "optimiser.alpha" } else { "optimiser.betas" };
            return out(field, found, "0 or more and below 1");
        }
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return out("optimiser.epsilon", epsilon, "above zero");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return out("optimiser.weight_decay", self.weight_decay, "zero or more");
        }
        Ok(())
    }

    /// Default learning rate. Adaptive rules fall with the root of the batch (Malladi et al. 2022, definition 5.1), and
    /// gradient descent in proportion to it (Goyal et al. 2017, section 2.1).
    pub(crate) fn usual_rate(&self) -> UsualRate {
        match self.rule {
            Rule::Sgd { .. } => UsualRate { rate: 0.05, power: 1.0 },
            Rule::AdamW { .. } => UsualRate { rate: 1e-3, power: 0.5 },
            Rule::Lamb { .. } => UsualRate { rate: 5e-3, power: 0.5 },
            Rule::Lars { .. } => UsualRate { rate: 1.0, power: 0.5 },
            Rule::RmsProp { .. } => UsualRate { rate: 3e-3, power: 0.5 },
            Rule::Lion { .. } => UsualRate { rate: 1e-4, power: 0.5 },
        }
    }
}

/// The default constants of a rule, by its name.
impl FromStr for OptimiserConfig {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "sgd" => Ok(Self::sgd()),
            "adamw" => Ok(Self::adamw()),
            "lamb" => Ok(Self::lamb()),
            "lars" => Ok(Self::lars()),
            "rms_prop" | "rms-prop" | "rmsprop" => Ok(Self::rms_prop()),
            "lion" => Ok(Self::lion()),
            _ => Err(Error::UnknownOptimiser { found: name.to_owned() }),
        }
    }
}
