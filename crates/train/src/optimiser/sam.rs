//! Sharpness-aware minimisation.

use std::collections::BTreeMap;

use residual_kernels::Cpu;
use residual_kernels::optim::sum_of_squares;
use residual_nn::ResNet;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::optimiser::Gathered;

/// Sharpness-aware minimisation (SAM: Foret et al. 2021, algorithm 1) around any optimiser: each step takes the
/// gradient at the worst weights nearby, so that the training ends where the loss is flat. With the gradient `g` at
/// the weights `w`:
///
/// ```text
/// e = rho g / |g|,                 the optimiser takes the gradient at w + e
/// e = rho w^2 g / | |w| g |        adaptive (ASAM: Kwon et al. 2021, equation 8)
/// ```
///
/// Two forward and two backward passes a step. Batch norms' running statistics are those of the first. In a recipe:
/// `sam = { rho = 0.05 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sam {
    /// Radius of the neighbourhood, above zero. Default 0.05; 0.5 to 2 where it is adaptive.
    #[serde(default = "usual_rho")]
    pub rho: f64,
    /// True where the neighbourhood is measured by the size of each weight. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adaptive: bool,
}

fn usual_rho() -> f64 {
    0.05
}

/// Added to a norm that is divided by.
const TINY: f64 = 1e-12;

/// Weights as they were before they were moved to the worst ones nearby.
pub(crate) struct Originals(BTreeMap<String, Vec<f32>>);

impl Sam {
    /// Sharpness-aware minimisation with this radius.
    pub fn new(rho: f64) -> Self {
        Self { rho, adaptive: false }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_train::Sam;
    /// let sam = Sam::new(0.5).with(|sam| sam.adaptive = true);
    /// assert_eq!(sam.rho, 0.5);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Checks the radius.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<(), Error> {
        match self.rho.is_finite() && self.rho > 0.0 {
            true => Ok(()),
            false => Err(Error::OutOfRange { field: "sam.rho", found: self.rho, expected: "above zero" }),
        }
    }

    /// Moves the weights to the worst ones nearby; gives them as they were.
    pub(crate) fn climb(&self, network: &mut ResNet, gathered: &Gathered) -> Originals {
        let context = network.context().clone();
        let mut originals = BTreeMap::new();
        network.change_parameters(|parameter, values| {
            if gathered.get(&parameter.path).is_some() {
                originals.insert(parameter.path.clone(), values.to_vec());
            }
        });
        let scale = self.scale(context.cpu(), gathered, &originals);
        network.change_parameters(|parameter, values| {
            if let Some(gradient) = gathered.get(&parameter.path) {
                self.climb_one(scale, values, gradient);
            }
        });
        Originals(originals)
    }

    /// `rho / |g|`, or `rho / | |w| g |`.
    fn scale(&self, cpu: &Cpu, gathered: &Gathered, weights: &BTreeMap<String, Vec<f32>>) -> f32 {
        let squares = gathered.iter().map(|(parameter, gradient)| match weights.get(&parameter.path) {
            Some(weights) if self.adaptive => {
                let products: Vec<f32> = weights.iter().zip(gradient).map(|(w, g)| w * g).collect();
                sum_of_squares(cpu, &products)
            }
            _ => sum_of_squares(cpu, gradient),
        });
        (self.rho / (squares.sum::<f64>().sqrt() + TINY)) as f32
    }

    fn climb_one(&self, scale: f32, values: &mut [f32], gradient: &[f32]) {
        for (value, gradient) in values.iter_mut().zip(gradient) {
            let by = if self.adaptive { *value * *value } else { 1.0 };
            *value += by * gradient * scale;
        }
    }
}

impl Originals {
    /// Puts the weights back.
    pub(crate) fn restore(self, network: &mut ResNet) {
        network.change_parameters(|parameter, values| {
            if let Some(original) = self.0.get(&parameter.path) {
                values.copy_from_slice(original);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights after the climb from `a = [1, -2]` and `b = [0.5]`, with gradients `[3, 0]` and `[-4]`.
    fn climbed(sam: Sam) -> [f32; 3] {
        let gathered = Gathered::of(&[("a", &[3.0, 0.0]), ("b", &[-4.0])]);
        let mut weights: BTreeMap<String, Vec<f32>> =
            [("a".to_owned(), vec![1.0, -2.0]), ("b".to_owned(), vec![0.5])].into();
        let scale = sam.scale(&Cpu::new(1).unwrap(), &gathered, &weights);
        for (path, values) in &mut weights {
            sam.climb_one(scale, values, gathered.get(path).unwrap());
        }
        [weights["a"][0], weights["a"][1], weights["b"][0]]
    }

    #[test]
    fn the_neighbour_is_a_radius_away_along_the_gradient() {
        // |g| = 5: e = 0.1 (3, 0, -4).
        let found = climbed(Sam::new(0.5));
        assert!(found.iter().zip([1.3, -2.0, 0.1]).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?}");
        // |w| g = (3, 0, -2), of norm sqrt(13); e = 0.5 (1 * 3, 0, 0.25 * -4) / sqrt(13).
        let found = climbed(Sam::new(0.5).with(|sam| sam.adaptive = true));
        let e = 0.5 / 13.0f32.sqrt();
        let expected = [1.0 + 3.0 * e, -2.0, 0.5 - e];
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn a_radius_is_above_zero() {
        for rho in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Sam::new(rho).validate(), Err(Error::OutOfRange { field: "sam.rho", .. })));
        }
        assert!(Sam::new(0.05).validate().is_ok());
    }
}
