//! Integers and scales put together, for some of the convolutions of a network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use residual_arch::{Field, HeadPart, LayerPath};
use residual_engine::MapName;
use residual_weights::{MOST_WEIGHT, MapScale, Model, QuantConv, Quantised, Tensor};

use crate::equalise::Factors;
use crate::filters::{Filters, integers};
use crate::layers::{ConvLayer, Layers};
use crate::observe::{Channels, Histograms};
use crate::options::{Settings, WeightBits};
use crate::range::scale;

/// All that is known of a network before anything is chosen.
pub(crate) struct Known {
    pub(crate) layers: Layers,
    pub(crate) channels: Channels,
    pub(crate) histograms: Histograms,
    pub(crate) factors: Factors,
    pub(crate) weight_bits: WeightBits,
}

impl Known {
    /// Integers of the convolutions whose places are `chosen`, and the scales of the maps that they read and add.
    pub(crate) fn assemble(&self, settings: Settings, chosen: &BTreeSet<usize>) -> Quantised {
        let factors = if settings.equalised { self.between(chosen) } else { Factors::new() };
        let mut quantised = Quantised::default();
        let mut scales: BTreeMap<MapName, MapScale> = BTreeMap::new();
        for &place in chosen {
            let layer = &self.layers.convs[place];
            for map in [Some(layer.input), layer.residual].into_iter().flatten() {
                let origin = self.layers.origin(map);
                let found = scales.entry(origin).or_insert_with(|| self.scale(origin, settings, &factors));
                let found = *found;
                self.layers.copies(origin).for_each(|map| put(&mut quantised, map, found));
            }
            let mut conv = self.conv(layer, settings, &factors);
            if let Some(input) = scales.get(&self.layers.origin(layer.input)) {
                to_steps(&mut conv, *input);
            }
            quantised.convs.insert(layer.path, Arc::new(conv));
        }
        quantised
    }

    /// Factors of the maps between two convolutions that are both chosen.
    fn between(&self, chosen: &BTreeSet<usize>) -> Factors {
        let pairs = self.layers.pairs();
        let both = pairs.iter().filter(|pair| pair.iter().all(|place| chosen.contains(place)));
        let map = |pair: &[usize; 2]| MapName::Of(self.layers.convs[pair[0]].path);
        both.map(map).filter_map(|map| Some((map, self.factors.get(&map)?.clone()))).collect()
    }

    fn scale(&self, map: MapName, settings: Settings, factors: &Factors) -> MapScale {
        let histograms = match factors.contains_key(&map) {
            true => &self.histograms.equalised,
            false => &self.histograms.plain,
        };
        let found = histograms.get(&map).map(|histogram| scale(histogram, settings.range));
        found.unwrap_or_else(|| MapScale::of_range(0.0, 0.0))
    }

    fn conv(&self, layer: &ConvLayer, settings: Settings, factors: &Factors) -> QuantConv {
        let (weights, mut bias) = equalised(layer, factors);
        let outs = layer.conv.out_channels;
        let Filters { weights: integers, scale } =
            integers(&weights, outs, self.weight_bits.largest(), settings.fitted_weights);
        let conv = QuantConv { weights: integers, scale, bias: Vec::new(), norm: layer.norm };
        if settings.corrected_biases {
            let means = self.means(layer, factors);
            let mut values = vec![0.0; weights.len()];
            conv.dequantise(&mut values);
            let filters = values.chunks_exact(layer.filter()).zip(weights.chunks_exact(layer.filter()));
            for ((output, bias), (integer, float)) in bias.iter_mut().enumerate().zip(filters) {
                let means = &means[layer.first_input(output)..];
                let taps = integer.chunks_exact(layer.taps()).zip(float.chunks_exact(layer.taps()));
                let error = |(integer, float): (&[f32], &[f32])| -> f64 {
                    integer.iter().zip(float).map(|(a, b)| f64::from(b - a)).sum()
                };
                let correction: f64 = taps.zip(means).map(|(taps, mean)| error(taps) * mean).sum();
                *bias += correction as f32;
            }
        }
        QuantConv { bias, ..conv }
    }

    /// Mean of each channel that a convolution reads.
    fn means(&self, layer: &ConvLayer, factors: &Factors) -> Vec<f64> {
        let channels = self.channels.get(&layer.input).map_or(&[][..], Vec::as_slice);
        let factors = factors.get(&layer.input);
        let factor = |number: usize| factors.map_or(1.0, |factors| f64::from(factors[number]));
        channels.iter().enumerate().map(|(number, channel)| channel.mean() / factor(number)).collect()
    }
}

/// Weights and biases with the factors of the maps before and behind them.
fn equalised(layer: &ConvLayer, factors: &Factors) -> (Vec<f32>, Vec<f32>) {
    let (mut weights, mut bias) = (layer.weights.clone(), layer.bias.clone());
    if let Some(factors) = factors.get(&MapName::Of(layer.path)) {
        let rows = weights.chunks_exact_mut(layer.filter()).zip(&mut bias).zip(factors);
        for ((row, bias), factor) in rows {
            row.iter_mut().for_each(|weight| *weight /= factor);
            *bias /= factor;
        }
    }
    if let Some(factors) = factors.get(&layer.input) {
        for row in weights.chunks_exact_mut(layer.filter()) {
            for (taps, factor) in row.chunks_exact_mut(layer.taps()).zip(factors) {
                taps.iter_mut().for_each(|weight| *weight *= factor);
            }
        }
    }
    (weights, bias)
}

/// Rounds biases to whole steps of the sums that they are added to, where those fit into 32 bits: runtimes that hold them as
/// integers then compute with the same.
fn to_steps(conv: &mut QuantConv, input: MapScale) {
    const MOST: f64 = (1 << 30) as f64;
    for (bias, scale) in conv.bias.iter_mut().zip(&conv.scale) {
        let step = f64::from(input.scale * scale);
        let steps = (f64::from(*bias) / step).round_ties_even();
        if step.is_normal() && steps.abs() < MOST {
            *bias = (steps * step) as f32;
        }
    }
}

fn put(quantised: &mut Quantised, map: MapName, scale: MapScale) {
    match map {
        MapName::Images => quantised.input = Some(scale),
        MapName::Of(path) => _ = quantised.maps.insert(path, scale),
    }
}

/// The head's linear layer with weights of 8 bits, which are multiplied as floats.
pub(crate) fn linear(model: &Model) -> Option<(LayerPath, QuantConv)> {
    let path = LayerPath::Head(HeadPart::Linear);
    let [weight, bias] = [Field::Weight, Field::Bias].map(|field| model.tensor(path.tensor(field)));
    let (weight, bias) = (weight?, bias.map(Tensor::data)?.to_vec());
    let Filters { weights, scale } = integers(weight.data(), bias.len(), MOST_WEIGHT, true);
    Some((path, QuantConv { weights, scale, bias, norm: None }))
}
