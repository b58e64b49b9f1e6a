//! Layer at which a forward pass leaves the finite numbers.

use std::fmt::Display;
use std::ops::Range;

use burn::tensor::Tensor;
use residual_arch::{BlockPart, BlockPath, HeadPart, Place};

use crate::head::average;
use crate::{Block, Layers, Mode, ResNet, ShortcutPath};

/// Output of a layer, or the path of the first layer whose output is not finite.
type Finite<const D: usize> = Result<Tensor<D>, String>;

impl ResNet {
    /// Path of the first layer whose output is not finite, such as `stage2.block0.conv1`, or `input`; `None` where
    /// every output is finite, the logits' included. Runs the layers' stock operations one by one, and leaves the
    /// running statistics alone.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let mut net = SmallResNetConfig::new(10).init(&Device::flex())?.net;
    /// let x = Tensor::ones([2, 3, 8, 8], &Device::flex());
    /// assert_eq!(net.first_not_finite(x.clone(), Mode::train(0, 0)), None);
    /// let broken = net.state().into_iter().map(|mut tensor| {
    ///     if tensor.path == "stage2.block1.conv2.weight" {
    ///         tensor.values[0] = f32::NAN;
    ///     }
    ///     tensor
    /// });
    /// net.load(broken.collect::<Vec<_>>())?;
    /// let found = net.first_not_finite(x, Mode::train(0, 0));
    /// assert_eq!(found.as_deref(), Some("stage2.block1.conv2"));
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn first_not_finite(&self, x: Tensor<4>, mode: Mode) -> Option<String> {
        // A forward pass in training moves running statistics: those of a copy.
        self.clone().walk(x, mode).err()
    }

    fn walk(&self, x: Tensor<4>, mode: Mode) -> Finite<2> {
        let x = checked(x, || "input".to_owned())?;
        let stem = mode.within(&self.stem.training);
        let mut h =
            through(&self.stem.layers, 0..self.stem.layers.len(), x, At { place: Place::Stem, mode: stem })?;
        for (s, stage) in self.stages.iter().enumerate() {
            for (b, block) in stage.blocks.iter().enumerate() {
                let place = Place::Block(BlockPath { stage: s + 1, block: b });
                h = block.walk(h, At { place, mode: mode.within(&block.training) })?;
            }
        }
        let at = At { place: Place::Head, mode: mode.within(&self.head.training) };
        let h = through(&self.head.layers, 0..self.head.layers.len(), h, at)?;
        let pooled = checked(average(h), || at.path(HeadPart::Pool))?;
        checked(self.head.logits(pooled, at.mode), || at.path(HeadPart::Linear))
    }
}

impl Block {
    fn walk(&self, x: Tensor<4>, at: At) -> Finite<4> {
        let (branch, shortcut) = (&self.residual.branch, &self.residual.shortcut);
        let h = through(branch, 0..self.fork(), x, at)?;
        let beside = through(&shortcut.layers, 0..shortcut.layers.len(), h.clone(), at)?;
        // A plain block has no shortcut.
        let beside = ShortcutPath::forward(shortcut, h.clone(), Mode::Eval).map(|_| beside);
        let h = through(branch, self.fork()..branch.len(), h, at)?;
        checked(self.residual.join(h, beside, at.mode), || at.path(BlockPart::Add))
    }
}

/// Part of the network that a walk has come to, and its mode.
#[derive(Clone, Copy)]
struct At {
    place: Place,
    mode: Mode,
}

impl At {
    fn path(self, layer: impl Display) -> String {
        format!("{}.{layer}", self.place)
    }
}

/// Output of a range of layers, each of which is finite.
fn through(layers: &Layers, range: Range<usize>, x: Tensor<4>, at: At) -> Finite<4> {
    let mut layers = layers.iter().skip(range.start).take(range.len());
    layers.try_fold(x, |x, (name, layer)| checked(layer.forward(x, at.mode), || at.path(name)))
}

/// The tensor, where all of it is finite.
fn checked<const D: usize>(x: Tensor<D>, path: impl FnOnce() -> String) -> Finite<D> {
    let values = x.clone().inner().into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
    if values.iter().all(|value| value.is_finite()) { Ok(x) } else { Err(path()) }
}
