//! Gradients that are gathered before the weights move.

use std::collections::BTreeMap;

use residual_nn::NamedTensor;

/// Gradients by the parameters' paths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gathered {
    gradients: BTreeMap<String, Vec<f32>>,
}

impl Gathered {
    pub(super) fn new(gradients: Vec<NamedTensor>) -> Self {
        Self { gradients: gradients.into_iter().map(|tensor| (tensor.path, tensor.values)).collect() }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &[f32]> {
        self.gradients.values().map(Vec::as_slice)
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut [f32]> {
        self.gradients.get_mut(path).map(Vec::as_mut_slice)
    }
}
