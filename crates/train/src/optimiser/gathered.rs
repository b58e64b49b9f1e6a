//! Gradients that are gathered before the weights move.

use std::collections::BTreeMap;

use burn::tensor::Gradients;
use residual_nn::{Parameter, ResNet};

/// Gradients by the parameters' paths: of one backward pass, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gathered {
    gradients: BTreeMap<String, (Parameter, Vec<f32>)>,
}

impl Gathered {
    /// Adds the gradients of a backward pass.
    pub(crate) fn add(&mut self, network: &ResNet, gradients: &Gradients) {
        network.visit_gradients(gradients, |parameter, values| self.add_one(parameter, values));
    }

    /// Gradients that were added up elsewhere.
    pub(crate) fn from_parameters(gradients: impl Iterator<Item = (Parameter, Vec<f32>)>) -> Self {
        let gradients = gradients.map(|(parameter, values)| (parameter.path.clone(), (parameter, values)));
        Self { gradients: gradients.collect() }
    }

    fn add_one(&mut self, parameter: &Parameter, values: &[f32]) {
        match self.gradients.get_mut(&parameter.path) {
            Some((_, sum)) => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            None => {
                let path = parameter.path.clone();
                self.gradients.insert(path, (parameter.clone(), values.to_vec()));
            }
        }
    }

    /// Gradients with their parameters, in the order of the paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Parameter, &[f32])> {
        self.gradients.values().map(|(parameter, values)| (parameter, values.as_slice()))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&[f32]> {
        self.gradients.get(path).map(|(_, values)| values.as_slice())
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut [f32]> {
        self.gradients.get_mut(path).map(|(_, values)| values.as_mut_slice())
    }

    #[cfg(test)]
    pub(crate) fn of(gradients: &[(&str, &[f32])]) -> Self {
        let mut gathered = Self::default();
        for (path, values) in gradients {
            let parameter = Parameter {
                path: (*path).to_owned(),
                place: residual_arch::Place::Stem,
                shape: vec![values.len()],
                role: residual_arch::Role::ConvWeight,
                frozen: false,
            };
            gathered.add_one(&parameter, values);
        }
        gathered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_several_passes_are_added() {
        let gathered = Gathered::of(&[("b", &[1.0, 2.0]), ("a", &[5.0]), ("b", &[0.5, -2.0])]);
        let found: Vec<_> = gathered.iter().map(|(parameter, values)| (&*parameter.path, values)).collect();
        assert_eq!(found, [("a", &[5.0][..]), ("b", &[1.5, 0.0])]);
    }
}
