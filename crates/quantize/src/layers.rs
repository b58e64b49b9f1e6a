//! A plan's convolutions, and the maps between them.

use std::collections::BTreeMap;

use residual_arch::{Convolution, LayerPath};
use residual_engine::{Folded, MapName, Plan, Step, StepKind};
use residual_weights::Model;

use crate::error::Error;

/// Convolution that can compute in 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct ConvLayer {
    pub(crate) path: LayerPath,
    pub(crate) conv: Convolution,
    pub(crate) norm: Option<LayerPath>,
    pub(crate) input: MapName,
    pub(crate) residual: Option<MapName>,
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl ConvLayer {
    /// Weights of a filter.
    pub(crate) fn filter(&self) -> usize {
        self.conv.in_channels / self.conv.groups * self.taps()
    }

    /// Weights of a filter for one channel.
    pub(crate) fn taps(&self) -> usize {
        self.conv.kernel * self.conv.kernel
    }

    /// The first input channel of the group that an output channel is in.
    pub(crate) fn first_input(&self, output: usize) -> usize {
        let each = (self.conv.out_channels / self.conv.groups).max(1);
        output / each * (self.conv.in_channels / self.conv.groups)
    }
}

/// Convolutions that can compute in 8 bits, in their order, and the operations of the whole network.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    steps: Vec<Step>,
    pub(crate) convs: Vec<ConvLayer>,
    /// Map that the values of each copied map come from.
    origins: BTreeMap<MapName, MapName>,
}

impl Layers {
    pub(crate) fn of(plan: &Plan, model: &Model) -> Result<Self, Error> {
        let steps = plan.steps();
        let mut layers = Self { steps: Vec::new(), convs: Vec::new(), origins: BTreeMap::new() };
        for step in &steps {
            match step.kind {
                StepKind::Conv { conv, norm, .. } if conv.kind.is_plain() => {
                    let Some(Folded { weights, bias, .. }) = plan.folded(model, step.path) else { continue };
                    let (path, input, residual) = (step.path, step.input, step.residual);
                    let layer = ConvLayer { path, conv, norm, input, residual, weights, bias };
                    let expected = layer.filter() * conv.out_channels;
                    if layer.weights.len() != expected {
                        return Err(Error::Folded { layer: path, found: layer.weights.len(), expected });
                    }
                    layers.convs.push(layer);
                }
                StepKind::Copy => {
                    let origin = layers.origin(step.input);
                    layers.origins.insert(MapName::Of(step.path), origin);
                }
                _ => {}
            }
        }
        layers.steps = steps;
        Ok(layers)
    }

    /// The map that the values of `map` come from: itself but for those of max pools and zero-padded shortcuts.
    pub(crate) fn origin(&self, map: MapName) -> MapName {
        self.origins.get(&map).copied().unwrap_or(map)
    }

    /// Maps whose values come from `origin`, which is the first of them.
    pub(crate) fn copies(&self, origin: MapName) -> impl Iterator<Item = MapName> {
        let copied = self.origins.iter().filter(move |(_, from)| **from == origin).map(|(map, _)| *map);
        std::iter::once(origin).chain(copied)
    }

    /// Pairs of convolutions, by their places, of which the second alone reads what the first gives through a ReLU.
    pub(crate) fn pairs(&self) -> Vec<[usize; 2]> {
        let place = |path: LayerPath| self.convs.iter().position(|conv| conv.path == path);
        let pair = |step: &Step| {
            let StepKind::Conv { conv, relu: true, .. } = step.kind else { return None };
            let map = MapName::Of(step.path);
            let mut readers =
                self.steps.iter().filter(|reader| reader.input == map || reader.residual == Some(map));
            let (reader, None) = (readers.next()?, readers.next()) else { return None };
            let StepKind::Conv { conv: next, .. } = reader.kind else { return None };
            let is_plain = conv.groups == 1 && next.groups == 1 && step.residual.is_none();
            (is_plain && reader.input == map).then_some([place(step.path)?, place(reader.path)?])
        };
        self.steps.iter().filter_map(pair).collect()
    }
}
