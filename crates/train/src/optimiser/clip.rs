//! Limits on gradients.

use residual_kernels::Cpu;
use residual_kernels::optim::sum_of_squares;
use residual_nn::Parameter;
use serde::{Deserialize, Serialize};

use super::gathered::Gathered;
use crate::Error;

/// Gradient clipping: what is done to a gradient before the optimiser takes it. In a recipe: `clip = { norm = 1.0 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Clip {
    /// Greatest Euclidean norm over all parameters; a gradient beyond it is scaled down to it (Pascanu et al. 2013,
    /// algorithm 1), as `torch.nn.utils.clip_grad_norm_` does.
    Norm(f64),
    /// Greatest absolute value of an element.
    Value(f64),
    /// Greatest norm of the gradient of one output (a row of a weight, a whole bias) as a share of that output's own
    /// weights, which count as 1e-3 at least (Brock et al. 2021, equation 3). The head is left alone, as in timm's
    /// `agc`.
    Adaptive(f64),
}

/// Least norm of weights, so that those that begin as zero can move (Brock et al. 2021, section 4.1).
const LEAST_NORM: f64 = 1e-3;

/// Added to a norm that is divided by, as PyTorch does.
const TINY: f64 = 1e-6;

impl Clip {
    /// Checks the limit.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless it is finite and above zero.
    pub fn validate(&self) -> Result<(), Error> {
        let (field, found) = match *self {
            Self::Norm(limit) => ("clip.norm", limit),
            Self::Value(limit) => ("clip.value", limit),
            Self::Adaptive(limit) => ("clip.adaptive", limit),
        };
        match found.is_finite() && found > 0.0 {
            true => Ok(()),
            false => Err(Error::OutOfRange { field, found, expected: "above zero" }),
        }
    }

    /// Factor of all gradients together.
    pub(super) fn factor(&self, cpu: &Cpu, gathered: &Gathered) -> f32 {
        match *self {
            Self::Norm(limit) => {
                let norm =
                    gathered.iter().map(|(_, gradient)| sum_of_squares(cpu, gradient)).sum::<f64>().sqrt();
                (limit / (norm + TINY)).min(1.0) as f32
            }
            Self::Value(_) | Self::Adaptive(_) => 1.0,
        }
    }

    /// Clips the gradient of one parameter by itself.
    pub(super) fn apply(&self, cpu: &Cpu, parameter: &Parameter, values: &[f32], gradient: &mut [f32]) {
        match *self {
            Self::Norm(_) => {}
            Self::Value(limit) => {
                let limit = limit as f32;
                gradient.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
            }
            Self::Adaptive(limit) if !parameter.path.starts_with("head.") => {
                let rows = if parameter.shape.len() > 1 { parameter.shape[0].max(1) } else { 1 };
                let row = (gradient.len() / rows).max(1);
                for (gradient, weights) in gradient.chunks_mut(row).zip(values.chunks(row)) {
                    let norm = |values: &[f32]| sum_of_squares(cpu, values).sqrt();
                    let (most, found) = (limit * norm(weights).max(LEAST_NORM), norm(gradient));
                    if found > most {
                        let factor = (most / found.max(TINY)) as f32;
                        gradient.iter_mut().for_each(|g| *g *= factor);
                    }
                }
            }
            Self::Adaptive(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residual_arch::{Place, Role};

    fn parameter(path: &str, shape: &[usize]) -> Parameter {
        let (path, shape) = (path.to_owned(), shape.to_vec());
        Parameter { path, place: Place::Stem, shape, role: Role::ConvWeight, frozen: false }
    }

    fn clipped(clip: Clip, path: &str, shape: &[usize], weights: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut gradient = gradient.to_vec();
        clip.apply(&Cpu::new(1).unwrap(), &parameter(path, shape), weights, &mut gradient);
        gradient
    }

    #[test]
    fn a_norm_is_that_of_all_parameters() {
        let cpu = Cpu::new(1).unwrap();
        let gathered = Gathered::of(&[("a", &[3.0]), ("b", &[0.0, 4.0])]);
        assert!((Clip::Norm(1.0).factor(&cpu, &gathered) - 0.2).abs() < 1e-6);
        assert_eq!(Clip::Norm(5.1).factor(&cpu, &gathered), 1.0);
        assert_eq!(Clip::Value(1.0).factor(&cpu, &gathered), 1.0);
    }

    #[test]
    fn values_are_cut_at_both_ends() {
        assert_eq!(clipped(Clip::Value(0.5), "a", &[3], &[0.0; 3], &[-2.0, 0.25, 0.75]), [-0.5, 0.25, 0.5]);
    }

    #[test]
    fn rows_are_clipped_by_their_own_weights() {
        let clip = Clip::Adaptive(0.1);
        // Norms of the rows: weights 5 and 0, gradients 1 and 1.
        let found = clipped(clip, "stem.conv0.weight", &[2, 2], &[3.0, 4.0, 0.0, 0.0], &[0.6, 0.8, 1.0, 0.0]);
        let wanted = [0.3, 0.4, 1e-4, 0.0];
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{found:?}");
        // A vector counts as one row, and the head is left alone.
        let vector = clipped(clip, "stem.norm0.bias", &[2], &[3.0, 4.0], &[0.6, 0.8]);
        assert!((vector[0] - 0.3).abs() < 1e-6);
        assert_eq!(clipped(clip, "head.linear.weight", &[1, 1], &[1.0], &[9.0]), [9.0]);
    }

    #[test]
    fn limits_are_above_zero() {
        for clip in [Clip::Norm(0.0), Clip::Value(-1.0), Clip::Adaptive(f64::NAN)] {
            assert!(matches!(clip.validate(), Err(Error::OutOfRange { .. })), "{clip:?}");
        }
        assert!(Clip::Norm(1.0).validate().is_ok());
    }
}
