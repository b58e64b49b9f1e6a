//! Layers one behind the other.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};
use residual_arch::Layer;

use crate::{BatchNorm, Branch, Conv2d, Error, Init, LayerModule, Mode};

/// Layers of a stem, a branch or a shortcut, each of which reads the one before it. The fields of the module are
/// called as the layers are in the specification's list: `conv1`, `norm1`, `se`, `shortcut.conv`.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    layers: Vec<Named>,
}

/// A layer and its name in its stem, branch or shortcut.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    layer: LayerModule,
}

impl Layers {
    /// Builds the layers, with the values that `init` has for their names.
    pub(crate) fn new<'a>(layers: impl IntoIterator<Item = &'a Layer>, init: &Init) -> Result<Self, Error> {
        let named = |layer: &Layer| {
            let name = layer.path().name();
            Ok(Named { layer: LayerModule::new(layer, init.at(&name))?, name })
        };
        Ok(Self { layers: layers.into_iter().map(named).collect::<Result<_, Error>>()? })
    }

    /// Layers in order, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LayerModule)> {
        self.layers.iter().map(|named| (named.name.as_str(), &named.layer))
    }

    /// The layer called `name`.
    pub fn get(&self, name: &str) -> Option<&LayerModule> {
        self.iter().find(|&(found, _)| found == name).map(|(_, layer)| layer)
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// True where there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Convolutions in order.
    pub fn convs(&self) -> impl Iterator<Item = &Conv2d> {
        self.iter().filter_map(|(_, layer)| layer.as_conv())
    }

    /// Batch norms in order.
    pub fn norms(&self) -> impl Iterator<Item = &BatchNorm> {
        self.iter().filter_map(|(_, layer)| layer.as_norm())
    }

    /// Takes every norm, of whatever kind, out of the computation.
    pub(crate) fn bypass_norms(&mut self) {
        for named in &mut self.layers {
            match &mut named.layer {
                LayerModule::Norm(norm) => norm.bypassed = true,
                LayerModule::GroupNorm(norm) => norm.bypassed = true,
                _ => {}
            }
        }
    }

    /// True where a norm is out of the computation.
    pub(crate) fn norms_are_bypassed(&self) -> bool {
        self.iter().any(|(_, layer)| match layer {
            LayerModule::Norm(norm) => norm.bypassed,
            LayerModule::GroupNorm(norm) => norm.bypassed,
            _ => false,
        })
    }

    pub(crate) fn norms_mut(&mut self) -> impl Iterator<Item = &mut BatchNorm> {
        self.layers.iter_mut().filter_map(|named| match &mut named.layer {
            LayerModule::Norm(norm) => Some(norm),
            _ => None,
        })
    }

    /// # Shapes
    /// `[batch, c, h, w]` of the first layer's input to that of the last one's output.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.run(0..self.len(), x, mode)
    }

    /// The layers of a range alone.
    pub(crate) fn run(&self, range: std::ops::Range<usize>, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.layers[range].iter().fold(x, |x, named| named.layer.forward(x, mode))
    }

    fn map_each(self, mut f: impl FnMut(&str, LayerModule) -> LayerModule) -> Self {
        let mapped = |Named { name, layer }| Named { layer: f(&name, layer), name };
        Self { layers: self.layers.into_iter().map(mapped).collect() }
    }
}

impl Branch<4> for Layers {
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.forward(x, mode)
    }
}

const CONTAINER: &str = "Layers";

impl Module for Layers {
    fn num_params(&self) -> usize {
        self.iter().map(|(_, layer)| Module::num_params(layer)).sum()
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, layer) in self.iter() {
            visitor.enter_module(name, CONTAINER);
            layer.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.map_each(|name, layer| {
            mapper.enter_module(name, CONTAINER);
            let layer = layer.map(mapper);
            mapper.exit_module(name, CONTAINER);
            layer
        })
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_each(|_, layer| layer.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_each(|_, layer| layer.fork(device))
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        self.iter().fold(devices, |devices, (_, layer)| layer.collect_devices(devices))
    }

    fn materialize(self) -> Self {
        self.map_each(|_, layer| layer.materialize())
    }

    fn valid(&self) -> Self {
        self.clone().map_each(|_, layer| layer.valid())
    }

    fn train(self) -> Self {
        self.map_each(|_, layer| layer.train())
    }
}

impl ModuleDisplayDefault for Layers {
    fn content(&self, content: Content) -> Option<Content> {
        self.iter().fold(content, |content, (name, layer)| content.add(name, layer)).optional()
    }
}

impl ModuleDisplay for Layers {}
