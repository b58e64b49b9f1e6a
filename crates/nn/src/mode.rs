//! Training or evaluation, said at every forward pass.

use burn::module::{Flag, Param};
use burn::tensor::Tensor;

/// How a module runs. Every `forward` takes one, so that a network cannot be left in the wrong mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm with its running statistics; no dropout, no dropped branches. Parameters are
    /// constants: no graph is recorded, unless the input itself asks for a gradient.
    Eval,
    /// Batch norm with the batch's statistics, which move the running ones; dropout and stochastic
    /// depth drawn from the given randomness; parameters take part in the graph.
    Train(Randomness),
}

impl Mode {
    /// Training, with the randomness of one step.
    pub fn train(seed: u64, step: u64) -> Self {
        Self::Train(Randomness { seed, step })
    }

    /// Whether this is training.
    pub fn is_training(self) -> bool {
        matches!(self, Self::Train(_))
    }

    /// This mode, or evaluation where the flag of a frozen layer is disabled.
    pub fn within(self, training: &Param<Flag>) -> Self {
        if training.is_enabled() { self } else { Self::Eval }
    }

    /// A parameter's value as this mode sees it: tracked in training, a constant in evaluation.
    pub fn value<const D: usize>(self, parameter: &Param<Tensor<D>>) -> Tensor<D> {
        match self {
            Self::Train(_) => parameter.val(),
            Self::Eval => parameter.val().inner(),
        }
    }
}

/// The randomness of one training step. Counter-based: a draw depends on `(seed, step, use, sample)`
/// alone, never on the draws before it, so it is the same for any number of threads and after a resume.
///
/// ```
/// use residual_nn::Randomness;
/// let step = Randomness { seed: 1, step: 7 };
/// assert_eq!(step.uniform("dropout", 3), step.uniform("dropout", 3));
/// assert_ne!(step.uniform("dropout", 3), step.uniform("dropout", 4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the step.
    pub step: u64,
}

impl Randomness {
    /// A draw from `[0, 1)` for the `index`-th element of what `usage` names.
    pub fn uniform(&self, usage: &str, index: u64) -> f64 {
        let key = combine(combine(hash(usage), self.seed), self.step);
        unit(combine(key, index))
    }

    /// A draw from the standard normal distribution (Box and Muller 1958).
    pub fn normal(&self, usage: &str, index: u64) -> f64 {
        let [u, v] = [2 * index, 2 * index + 1].map(|i| self.uniform(usage, i));
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's output function: a bijection of 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A key from a key and a number.
pub(crate) fn combine(key: u64, number: u64) -> u64 {
    mix(mix(key).wrapping_add(number.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// FNV-1a of a name.
pub(crate) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The top 53 bits as a number in `[0, 1)`.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_depend_on_everything() {
        let step = Randomness { seed: 3, step: 5 };
        let draws: Vec<f64> = (0..20_000).map(|i| step.uniform("use", i)).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.003, "{variance}");
        let here = step.uniform("use", 0);
        assert_ne!(here, Randomness { seed: 4, step: 5 }.uniform("use", 0));
        assert_ne!(here, Randomness { seed: 3, step: 6 }.uniform("use", 0));
        assert_ne!(here, step.uniform("other", 0));
    }

    #[test]
    fn normal_draws_have_unit_variance() {
        let step = Randomness { seed: 3, step: 5 };
        let draws: Vec<f64> = (0..20_000).map(|i| step.normal("use", i)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.04, "{variance}");
    }
}
