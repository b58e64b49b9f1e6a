//! Networks in 8 bits: integers and scales as `QuantizeLinear` and `DequantizeLinear`.
//!
//! A map of bytes is a pair of both behind the node that computes it, and all that read it read the pair's floats; weights
//! and biases are integers with a `DequantizeLinear` behind them. Runtimes join these with the convolutions between them.

use std::collections::HashMap;

use residual_arch::{Activation, Field, Layer, LayerOp, LayerPath, Network, Norm, Place, Source};
use residual_weights::{MapScale, QuantConv, Quantised};

use super::attribute::int;
use super::graph::GraphBuilder;

/// Numbers of the layers at whose ends there is a map of bytes, with its scale.
pub(super) fn ends(network: &Network, quantised: &Quantised) -> HashMap<usize, MapScale> {
    let readers = Readers::of(network);
    let place = |path: LayerPath| network.layers().iter().position(|layer| layer.path() == path);
    let ends = quantised.maps.iter().filter_map(|(path, scale)| Some((readers.end(place(*path)?), *scale)));
    ends.collect()
}

/// Number of the norm that is folded into each convolution in 8 bits, by the convolution's.
pub(super) fn folds(network: &Network, quantised: &Quantised) -> HashMap<usize, usize> {
    let place = |path: LayerPath| network.layers().iter().position(|layer| layer.path() == path);
    let fold = |(path, norm): (&LayerPath, LayerPath)| Some((place(*path)?, place(norm)?));
    quantised.convs.iter().filter_map(|(path, conv)| fold((path, conv.norm?))).collect()
}

/// Layers that read each layer, without those that do nothing outside training.
struct Readers<'a> {
    layers: &'a [Layer],
    readers: Vec<Vec<usize>>,
    /// Ends of blocks, which can be asked for.
    kept: Vec<bool>,
}

impl<'a> Readers<'a> {
    fn of(network: &'a Network) -> Self {
        let layers = network.layers();
        let mut found =
            Self { layers, readers: vec![Vec::new(); layers.len()], kept: vec![false; layers.len()] };
        for (at, layer) in
            layers.iter().enumerate().filter(|(_, layer)| !layer.op().is_identity_in_evaluation())
        {
            for read in layer.reads().sources().filter_map(|source| found.real(source)).collect::<Vec<_>>() {
                found.readers[read].push(at);
            }
        }
        let mut end = network.layers_of(Place::Stem).len();
        for (_, _, block) in network.blocks() {
            end += block.len();
            if let Some(last) = found.layer(end - 1) {
                found.kept[last] = true;
            }
        }
        found
    }

    fn real(&self, source: Source) -> Option<usize> {
        match source {
            Source::Input => None,
            Source::Layer(id) => self.layer(id.index()),
        }
    }

    /// The layer itself, or the one whose result it hands on.
    fn layer(&self, mut at: usize) -> Option<usize> {
        while self.layers[at].op().is_identity_in_evaluation() {
            match self.layers[at].reads().first() {
                Source::Input => return None,
                Source::Layer(id) => at = id.index(),
            }
        }
        Some(at)
    }

    /// The layer behind `at`, where that alone reads it and is wanted.
    fn next(&self, at: usize, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        match self.readers[at][..] {
            [reader] if !self.kept[at] && wanted(reader) => Some(reader),
            _ => None,
        }
    }

    /// The last layer that is computed in one pass with layer `start`: its norm, the addition whose first term it is, the
    /// ReLU.
    fn end(&self, start: usize) -> usize {
        let is = |wanted: fn(&LayerOp) -> bool| move |at: usize| wanted(self.layers[at].op());
        let is_norm = is(|op| matches!(op, LayerOp::Norm(Norm::Batch { .. })));
        let is_relu = is(|op| matches!(op, LayerOp::Activation(Activation::Relu)));
        let op = self.layers[start].op();
        if matches!(
            op,
            LayerOp::MaxPool(_) | LayerOp::AveragePool(_) | LayerOp::BlurPool(_) | LayerOp::ZeroPad(_)
        ) {
            return start;
        }
        let mut end = start;
        if matches!(op, LayerOp::Conv(_)) {
            end = self.next(end, is_norm).unwrap_or(end);
        }
        if !matches!(op, LayerOp::Norm(Norm::Batch { .. })) {
            let adds_to = |at: usize| {
                *self.layers[at].op() == LayerOp::Add
                    && self.real(self.layers[at].reads().first()) == Some(end)
            };
            end = self.next(end, adds_to).unwrap_or(end);
        }
        self.next(end, is_relu).unwrap_or(end)
    }
}

impl GraphBuilder {
    /// Rounds a value to that of its byte; gives the name of the floats.
    pub(super) fn rounded(&mut self, x: &str, MapScale { scale, zero }: MapScale) -> String {
        let scale = self.floats(format!("{x}.scale"), &[], &[scale]);
        let zero = self.bytes(format!("{x}.zero"), zero);
        let bytes = self.node("QuantizeLinear", format!("{x}.bytes"), &[x, &scale, &zero], vec![]);
        self.node("DequantizeLinear", format!("{x}.rounded"), &[&bytes, &scale, &zero], vec![])
    }

    /// Weights in 8 bits of this shape, with a scale an output; gives the name of the floats.
    pub(super) fn quantised_weight(&mut self, path: LayerPath, shape: &[usize], conv: &QuantConv) -> String {
        let name = path.tensor(Field::Weight).to_string();
        let integers = self.int8(format!("{name}.integers"), shape, &conv.weights);
        let outs = conv.scale.len();
        let scale = self.floats(format!("{name}.scale"), &[outs], &conv.scale);
        let zero = self.int8(format!("{name}.zero"), &[outs], &vec![0; outs]);
        self.node("DequantizeLinear", name, &[&integers, &scale, &zero], vec![int("axis", 0)])
    }

    /// Bias of a convolution that reads a map of bytes: in steps of its sums, as runtimes want it, where those fit into
    /// 32 bits; gives the name of the floats.
    pub(super) fn quantised_bias(
        &mut self,
        path: LayerPath,
        conv: &QuantConv,
        input: Option<MapScale>,
    ) -> String {
        let name = path.tensor(Field::Bias).to_string();
        let steps: Vec<f32> =
            conv.scale.iter().map(|scale| scale * input.map_or(0.0, |map| map.scale)).collect();
        let sums: Vec<f64> =
            conv.bias.iter().zip(&steps).map(|(bias, step)| f64::from(*bias) / f64::from(*step)).collect();
        let outs = conv.bias.len();
        // Also where a step is too small to be a number.
        if !sums.iter().all(|sum| sum.abs() < f64::from(1 << 30))
            || steps.iter().any(|step| !step.is_normal())
        {
            return self.floats(name, &[outs], &conv.bias);
        }
        let integers: Vec<i32> = sums.iter().map(|sum| sum.round_ties_even() as i32).collect();
        let integers = self.int32(format!("{name}.integers"), &integers);
        let scale = self.floats(format!("{name}.scale"), &[outs], &steps);
        let zero = self.int32(format!("{name}.zero"), &vec![0; outs]);
        self.node("DequantizeLinear", name, &[&integers, &scale, &zero], vec![int("axis", 0)])
    }
}
