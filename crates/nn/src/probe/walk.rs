//! A forward pass through the stock operations, layer by layer, with somebody who looks at every output.

use std::fmt::Display;
use std::ops::Range;

use burn::tensor::Tensor;
use residual_arch::{BlockPart, BlockPath, HeadPart, Place};

use crate::head::average;
use crate::{Activation, Block, LayerModule, Layers, Mode, ResNet, ShortcutPath};

/// Somebody who looks at the outputs of a forward pass, and may end it.
pub(super) trait Visitor {
    /// Why the pass ended.
    type End;

    /// Looks at the output of the layer at a path.
    fn output<const D: usize>(
        &mut self,
        x: &Tensor<D>,
        path: impl FnOnce() -> String,
    ) -> Result<(), Self::End>;

    /// Looks at what a ReLU gets, behind the norm at a path where there is one before it.
    fn before_relu(&mut self, _x: &Tensor<4>, _norm: Option<&str>) {}
}

/// Runs the network's layers one by one. A forward pass in training moves running statistics: those of a copy.
pub(super) fn walk<V: Visitor>(
    network: &ResNet,
    x: Tensor<4>,
    mode: Mode,
    visitor: &mut V,
) -> Result<(), V::End> {
    let network = network.clone();
    visitor.output(&x, || "input".to_owned())?;
    let mut steps =
        Steps { place: Place::Stem, mode: mode.within(&network.stem.training), norm: None, visitor };
    let stem = &network.stem.layers;
    let mut h = steps.through(stem, 0..stem.len(), x)?;
    for (s, stage) in network.stages.iter().enumerate() {
        for (b, block) in stage.blocks.iter().enumerate() {
            steps.place = Place::Block(BlockPath { stage: s + 1, block: b });
            steps.mode = mode.within(&block.training);
            h = steps.block(block, h)?;
        }
    }
    (steps.place, steps.mode) = (Place::Head, mode.within(&network.head.training));
    let h = steps.through(&network.head.layers, 0..network.head.layers.len(), h)?;
    let pooled = average(h);
    steps.output(&pooled, HeadPart::Pool)?;
    let logits = network.head.logits(pooled, steps.mode);
    steps.output(&logits, HeadPart::Linear)
}

/// The part of the network that a walk has come to.
struct Steps<'v, V> {
    place: Place,
    mode: Mode,
    /// Path of the last norm.
    norm: Option<String>,
    visitor: &'v mut V,
}

impl<V: Visitor> Steps<'_, V> {
    fn path(&self, layer: impl Display) -> String {
        format!("{}.{layer}", self.place)
    }

    fn output<const D: usize>(&mut self, x: &Tensor<D>, layer: impl Display) -> Result<(), V::End> {
        let place = self.place;
        self.visitor.output(x, || format!("{place}.{layer}"))
    }

    /// Output of a range of layers.
    fn through(&mut self, layers: &Layers, range: Range<usize>, x: Tensor<4>) -> Result<Tensor<4>, V::End> {
        let mut layers = layers.iter().skip(range.start).take(range.len());
        layers.try_fold(x, |x, (name, layer)| {
            if layer.is_relu() {
                self.visitor.before_relu(&x, self.norm.as_deref());
            }
            if matches!(layer, LayerModule::Norm(_) | LayerModule::GroupNorm(_)) {
                self.norm = Some(self.path(name));
            }
            let y = layer.forward(x, self.mode);
            self.output(&y, name)?;
            Ok(y)
        })
    }

    fn block(&mut self, block: &Block, x: Tensor<4>) -> Result<Tensor<4>, V::End> {
        let residual = &block.residual;
        let (branch, shortcut) = (&residual.branch, &residual.shortcut);
        let h = self.through(branch, 0..block.fork(), x)?;
        let beside = self.through(&shortcut.layers, 0..shortcut.layers.len(), h.clone())?;
        // A plain block has no shortcut.
        let beside = ShortcutPath::forward(shortcut, h.clone(), Mode::Eval).map(|_| beside);
        let h = self.through(branch, block.fork()..branch.len(), h)?;
        let sum = match beside {
            Some(beside) => residual.scaled(h, self.mode) + beside,
            None => h,
        };
        if residual.activation() == Activation::Relu {
            self.visitor.before_relu(&sum, self.norm.as_deref());
        }
        let y = residual.activation().forward(sum);
        self.output(&y, BlockPart::Add)?;
        Ok(y)
    }
}

/// Elements of a tensor, row-major; none where they are no numbers.
pub(super) fn elements<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().inner().into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default()
}
