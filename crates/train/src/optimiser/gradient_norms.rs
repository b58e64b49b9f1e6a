//! Norms of the gradients of each part of a network.

use std::collections::BTreeMap;

use burn::tensor::Gradients;
use residual_arch::Place;
use residual_kernels::Cpu;
use residual_kernels::optim::sum_of_squares;
use residual_nn::{Parameter, ResNet};
use serde::{Deserialize, Serialize};

use crate::optimiser::Gathered;

/// Sums of squares of the gradients of a step: of the stem, each block and the head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GradientNorms {
    squares: BTreeMap<Place, f64>,
    /// The last parameter whose gradient is not finite: the first that the backward pass came to.
    not_finite: Option<String>,
}

impl GradientNorms {
    /// Norms of the gradients of a backward pass.
    pub(crate) fn of_graph(network: &ResNet, gradients: &Gradients) -> Self {
        let (mut norms, context) = (Self::default(), network.context().clone());
        network.visit_gradients(gradients, |parameter, values| norms.add(context.cpu(), parameter, values));
        norms
    }

    /// Norms of gradients that were gathered.
    pub(crate) fn of_gathered(cpu: &Cpu, gathered: &Gathered, order: &[Parameter]) -> Self {
        let mut norms = Self::default();
        for parameter in order {
            if let Some(values) = gathered.get(&parameter.path) {
                norms.add(cpu, parameter, values);
            }
        }
        norms
    }

    fn add(&mut self, cpu: &Cpu, parameter: &Parameter, values: &[f32]) {
        // Squares of f32 do not leave the range of f64: a sum is finite where all of them are.
        let squares = sum_of_squares(cpu, values);
        if !squares.is_finite() {
            self.not_finite = Some(parameter.path.clone());
        }
        *self.squares.entry(parameter.place).or_default() += squares;
    }

    /// Path of the parameter at which the backward pass left the finite numbers.
    pub(crate) fn not_finite(self) -> Result<Self, String> {
        match self.not_finite {
            Some(path) => Err(path),
            None => Ok(self),
        }
    }
}

/// Sums of the norms of the steps of an epoch, by part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NormSums {
    sums: BTreeMap<String, f64>,
    steps: u64,
}

impl NormSums {
    pub(crate) fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Adds those of a step.
    pub(crate) fn add(&mut self, norms: &GradientNorms) {
        for (place, squares) in &norms.squares {
            *self.sums.entry(place.to_string()).or_default() += squares.sqrt();
        }
        self.steps += 1;
    }

    /// Mean norm of a step, by part; `None` where there was no step.
    pub(crate) fn means(&self) -> Option<BTreeMap<String, f64>> {
        let mean = |sum: &f64| sum / self.steps as f64;
        (!self.is_empty()).then(|| self.sums.iter().map(|(place, sum)| (place.clone(), mean(sum))).collect())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use residual_nn::{Mode, SmallResNetConfig};

    use super::*;

    fn network() -> ResNet {
        SmallResNetConfig::new(3).init(&Device::flex().autodiff()).unwrap().net
    }

    fn gradients(network: &ResNet, scale: f32) -> Gradients {
        let x = Tensor::ones([2, 3, 8, 8], &network.device());
        (network.forward(x, Mode::train(0, 0)) * scale).sum().backward()
    }

    #[test]
    fn norms_are_those_of_each_parts_parameters_together() {
        let network = network();
        let found = gradients(&network, 1.0);
        let norms = GradientNorms::of_graph(&network, &found).not_finite().unwrap();
        assert_eq!(norms.squares.len(), 8);
        for (place, squares) in &norms.squares {
            let of_place = |path: &str| path.starts_with(&format!("{place}."));
            let tensors = network.gradients(&found);
            let values = tensors.iter().filter(|tensor| of_place(&tensor.path)).flat_map(|t| &t.values);
            let expected: f64 = values.map(|&value| f64::from(value).powi(2)).sum();
            assert!((squares / expected - 1.0).abs() < 1e-6, "{place}: {squares} instead of {expected}");
        }
        let mut gathered = Gathered::default();
        gathered.add(&network, &found);
        let again = GradientNorms::of_gathered(network.context().cpu(), &gathered, &network.parameters());
        assert_eq!(again, norms);

        let mut sums = NormSums::default();
        assert_eq!(sums.means(), None);
        sums.add(&norms);
        sums.add(&GradientNorms::default());
        let head = norms.squares[&Place::Head].sqrt() / 2.0;
        assert_eq!(sums.means().unwrap()["head"], head);
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_named_where_the_backward_pass_met_it_first() {
        let network = network();
        let norms = GradientNorms::of_graph(&network, &gradients(&network, f32::INFINITY));
        assert_eq!(norms.not_finite().unwrap_err(), "head.linear.bias");
    }
}
