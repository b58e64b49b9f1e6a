//! Gradients and statistics of a shard, one after the other.

use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::Gradients;
use residual_nn::{Parameter, ResNet};

use crate::optimiser::Gathered;

/// Layout of what a shard gives: the gradients of all parameters that train, then the batch norms' statistics.
pub(crate) struct ShardLayout {
    parameters: Vec<Parameter>,
    places: HashMap<String, Range<usize>>,
    statistics: usize,
    len: usize,
}

impl ShardLayout {
    /// Layout of a network with so many moving statistics.
    pub(crate) fn new(network: &ResNet, statistics: usize) -> Self {
        let parameters: Vec<_> =
            network.parameters().into_iter().filter(|parameter| !parameter.frozen).collect();
        let (mut places, mut start) = (HashMap::new(), 0);
        for parameter in &parameters {
            let end = start + parameter.shape.iter().product::<usize>();
            places.insert(parameter.path.clone(), start..end);
            start = end;
        }
        Self { parameters, places, statistics: start, len: start + statistics }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Values of a shard without images.
    pub(crate) fn nothing(&self) -> Vec<f32> {
        vec![0.0; self.len]
    }

    /// Values of a shard of so many images, of gradients that its weight is in already.
    pub(crate) fn values(&self, network: &ResNet, gradients: &Gradients, images: usize) -> Vec<f32> {
        let mut values = self.nothing();
        network.visit_gradients(gradients, |parameter, gradient| {
            if let Some(place) = self.places.get(&parameter.path) {
                values[place.clone()].copy_from_slice(gradient);
            }
        });
        let own = network.moving_statistics();
        values[self.statistics..].iter_mut().zip(own).for_each(|(sum, own)| *sum = own * images as f32);
        values
    }

    /// Means over the images: the gradients, and the statistics.
    pub(crate) fn means(&self, mut sum: Vec<f32>, weight: f64, images: usize) -> (Gathered, Vec<f32>) {
        let mut statistics = sum.split_off(self.statistics);
        statistics.iter_mut().for_each(|value| *value /= images as f32);
        let factor = (1.0 / weight) as f32;
        sum.iter_mut().for_each(|value| *value *= factor);
        let of = |parameter: &Parameter| sum[self.places[&parameter.path].clone()].to_vec();
        let gradients = self.parameters.iter().map(|parameter| (parameter.clone(), of(parameter)));
        (Gathered::from_parameters(gradients), statistics)
    }
}
