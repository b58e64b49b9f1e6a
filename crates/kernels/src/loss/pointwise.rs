//! Losses of one output against its target, with their derivatives.

/// Smallest probability whose logarithm timm's asymmetric loss takes.
const LEAST: f64 = 1e-8;

/// Loss of one output and its target.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pointwise {
    Binary,
    Focal { gamma: f64, alpha: Option<f64> },
    Asymmetric { gamma_negative: f64, gamma_positive: f64, clip: f64 },
    Squared,
    Absolute,
    Huber { delta: f64, scale: f64 },
}

/// `ln(1 + exp(x))`, without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    let power = (-x.abs()).exp();
    if x < 0.0 { power / (1.0 + power) } else { 1.0 / (1.0 + power) }
}

/// Power `base^exponent` of a base of 0 or more, and its derivative; of a base of 0 the derivative is none where it would
/// be infinite.
fn power(base: f64, exponent: f64) -> [f64; 2] {
    let slope = if exponent == 0.0 || (base == 0.0 && exponent < 1.0) {
        0.0
    } else {
        exponent * base.powf(exponent - 1.0)
    };
    [base.powf(exponent), slope]
}

impl Pointwise {
    /// Loss and its derivative with respect to the output `z`, for the target `t`; `positive` weighs positive labels.
    pub(super) fn of(self, z: f64, t: f64, positive: f64) -> [f64; 2] {
        match self {
            Self::Binary => {
                let loss = positive * t * softplus(-z) + (1.0 - t) * softplus(z);
                [loss, (1.0 - t) * sigmoid(z) - positive * t * sigmoid(-z)]
            }
            Self::Focal { gamma, alpha } => focal(z, t, gamma, alpha),
            Self::Asymmetric { gamma_negative, gamma_positive, clip } => {
                let gamma = gamma_positive * t + gamma_negative * (1.0 - t);
                asymmetric(z, t, gamma, clip)
            }
            Self::Squared => [(z - t) * (z - t), 2.0 * (z - t)],
            Self::Absolute => {
                let d = z - t;
                [d.abs(), if d == 0.0 { 0.0 } else { d.signum() }]
            }
            Self::Huber { delta, scale } => {
                let d = z - t;
                match d.abs() > delta {
                    true => [scale * delta * (d.abs() - delta / 2.0), scale * delta * d.signum()],
                    false => [scale * d * d / 2.0, scale * d],
                }
            }
        }
    }
}

fn focal(z: f64, t: f64, gamma: f64, alpha: Option<f64>) -> [f64; 2] {
    let (p, q) = (sigmoid(z), sigmoid(-z));
    let cross = t * softplus(-z) + (1.0 - t) * softplus(z);
    // 1 - p_t, without the rounding of the difference.
    let [focus, slope] = power(q * t + p * (1.0 - t), gamma);
    let weight = alpha.map_or(1.0, |alpha| alpha * t + (1.0 - alpha) * (1.0 - t));
    let derivative = (p - t) * focus + cross * slope * p * q * (1.0 - 2.0 * t);
    [weight * cross * focus, weight * derivative]
}

fn asymmetric(z: f64, t: f64, gamma: f64, clip: f64) -> [f64; 2] {
    let (p, q) = (sigmoid(z), sigmoid(-z));
    let negative = (q + clip).min(1.0);
    let negative_slope = if q + clip < 1.0 { -p * q } else { 0.0 };
    let log = |value: f64| value.max(LEAST).ln();
    let likelihood = t * log(p) + (1.0 - t) * log(negative);
    let by_positive = if p > LEAST { t * q } else { 0.0 };
    let by_negative = if negative > LEAST { (1.0 - t) * negative_slope / negative } else { 0.0 };
    // 1 - p_t of the shifted probabilities.
    let [focus, slope] = power(t * q + (1.0 - t) * (1.0 - negative), gamma);
    let focus_slope = slope * (-t * p * q - (1.0 - t) * negative_slope);
    [-likelihood * focus, -(by_positive + by_negative) * focus - likelihood * focus_slope]
}
