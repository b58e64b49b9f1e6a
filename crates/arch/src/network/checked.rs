//! Networks and blocks that passed the check.

use std::ops::Range;

use super::{BlockPath, Layer, LayerId, LayerPath, LayerTensor, Place, TensorPath};
use crate::{BlockSpec, NetSpec};

/// A network that was checked for one size of input: its layers in the order in which they run, with their
/// shapes. [`NetSpec::check`] alone makes one.
///
/// The order of the layers is that of PyTorch's tensors as well: the stem, the blocks, the head; in a block the
/// branch, the shortcut, the addition, the activation. A plain block has no addition; an identity shortcut has
/// no layer, the addition reads what the block reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(super) spec: NetSpec,
    pub(super) input: [usize; 3],
    pub(super) layers: Vec<Layer>,
    /// The first layer of the stem, of every block and of the head, then the number of layers.
    pub(super) starts: Vec<usize>,
}

/// A block that was checked by itself for one size of input. [`BlockSpec::check`] alone makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedBlock {
    pub(super) spec: BlockSpec,
    pub(super) input: [usize; 3],
    pub(super) layers: Vec<Layer>,
}

impl Network {
    /// The specification.
    pub fn spec(&self) -> &NetSpec {
        &self.spec
    }

    /// Shape of an image, `[channels, height, width]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// Shape of the output, `[classes, 1, 1]`.
    pub fn output(&self) -> [usize; 3] {
        output(&self.layers, self.input)
    }

    /// The layers in the order in which they run: each reads only what stands before it.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layer of that number.
    ///
    /// # Panics
    /// For the number of a layer of another network that has more.
    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.index()]
    }

    /// The layers of a part of the network; none where it has no such part.
    pub fn layers_of(&self, place: Place) -> &[Layer] {
        self.range_of(place).and_then(|range| self.layers.get(range)).unwrap_or_default()
    }

    /// The layer at `path`.
    pub fn find(&self, path: LayerPath) -> Option<&Layer> {
        self.layers_of(path.place()?).iter().find(|layer| layer.path == path)
    }

    /// Blocks in order: its path, its specification and its layers.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockPath, &BlockSpec, &[Layer])> {
        let layers = self.starts.windows(2).skip(1).map(|range| &self.layers[range[0]..range[1]]);
        self.spec.blocks().zip(layers).map(|((path, block), layers)| (path, block, layers))
    }

    /// Parameters and buffers, in PyTorch's order.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorPath, LayerTensor)> {
        tensors(&self.layers)
    }

    /// Number of parameters; running statistics are none.
    pub fn parameters(&self) -> u64 {
        parameters(&self.layers)
    }

    /// Multiply-accumulates for one image.
    pub fn macs(&self) -> u64 {
        macs(&self.layers)
    }

    /// The numbers of the layers of a part.
    fn range_of(&self, place: Place) -> Option<Range<usize>> {
        let blocks = self.starts.len().checked_sub(3)?;
        let sections = match place {
            Place::Stem => 0..1,
            Place::Head => blocks + 1..blocks + 2,
            Place::Stage(stage) => {
                let before = self.blocks_before(stage)?;
                1 + before..1 + before + self.spec.stages[stage - 1].blocks.len()
            }
            Place::Block(BlockPath { stage, block }) => {
                let before = self.blocks_before(stage)?;
                self.spec.stages[stage - 1].blocks.get(block)?;
                1 + before + block..2 + before + block
            }
        };
        Some(self.starts[sections.start]..self.starts[sections.end])
    }

    /// Number of blocks before a stage; `None` where there is no such stage.
    fn blocks_before(&self, stage: usize) -> Option<usize> {
        let before = self.spec.stages.get(..stage.checked_sub(1)?)?;
        (stage <= self.spec.stages.len()).then(|| before.iter().map(|stage| stage.blocks.len()).sum())
    }
}

impl CheckedBlock {
    /// The specification.
    pub fn spec(&self) -> &BlockSpec {
        &self.spec
    }

    /// Shape of its input, `[channels, height, width]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// Shape of its output, `[channels, height, width]`.
    pub fn output(&self) -> [usize; 3] {
        output(&self.layers, self.input)
    }

    /// The layers in the order in which they run: each reads only what stands before it.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Parameters and buffers, in PyTorch's order.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorPath, LayerTensor)> {
        tensors(&self.layers)
    }

    /// Number of parameters; running statistics are none.
    pub fn parameters(&self) -> u64 {
        parameters(&self.layers)
    }

    /// Multiply-accumulates for one image.
    pub fn macs(&self) -> u64 {
        macs(&self.layers)
    }
}

/// The shape that the last layer gives.
pub(crate) fn output(layers: &[Layer], input: [usize; 3]) -> [usize; 3] {
    layers.last().map_or(input, |layer| layer.output)
}

fn tensors(layers: &[Layer]) -> impl Iterator<Item = (TensorPath, LayerTensor)> {
    let of = |layer: &Layer| {
        let path = layer.path;
        layer.tensors().into_iter().map(move |tensor| (path.tensor(tensor.field), tensor))
    };
    layers.iter().flat_map(of)
}

/// The check has seen that the sum fits.
pub(crate) fn parameters(layers: &[Layer]) -> u64 {
    layers.iter().map(Layer::parameters).sum()
}

/// The check has seen that the sum fits.
pub(crate) fn macs(layers: &[Layer]) -> u64 {
    layers.iter().map(Layer::macs).sum()
}
