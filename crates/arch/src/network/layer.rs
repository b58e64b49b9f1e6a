//! One layer of a checked network.

use super::{LayerOp, LayerPath, LayerTensor};

/// A layer of a checked network: where it stands, what it computes, what it reads, and the shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub(super) path: LayerPath,
    pub(super) op: LayerOp,
    pub(super) reads: Reads,
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 3],
}

/// Number of a layer in the list of its network or block, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerId(pub(super) usize);

/// Map that a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The input of the network, or of the block that stands alone.
    Input,
    /// The output of an earlier layer.
    Layer(LayerId),
}

/// Maps that a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reads {
    /// One.
    One(Source),
    /// The terms of an addition: the branch's end, the shortcut's end.
    Two(Source, Source),
}

impl LayerId {
    /// The number, from 0: an index into the list of layers.
    pub fn index(self) -> usize {
        self.0
    }
}

impl Reads {
    /// The first map, or the only one.
    pub fn first(self) -> Source {
        match self {
            Self::One(source) | Self::Two(source, _) => source,
        }
    }

    /// The second map of an addition: the shortcut's end.
    pub fn second(self) -> Option<Source> {
        match self {
            Self::One(_) => None,
            Self::Two(_, source) => Some(source),
        }
    }

    /// Maps, one or two.
    pub fn sources(self) -> impl Iterator<Item = Source> {
        std::iter::once(self.first()).chain(self.second())
    }
}

impl Layer {
    /// Canonical path.
    pub fn path(&self) -> LayerPath {
        self.path
    }

    /// Operation.
    pub fn op(&self) -> &LayerOp {
        &self.op
    }

    /// Maps that it reads: the network's input or the outputs of layers before it in the list.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// Shape of each map that it reads, `[channels, height, width]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// Shape of its output, `[channels, height, width]`.
    pub fn output(&self) -> [usize; 3] {
        self.output
    }

    /// Parameters and buffers, in PyTorch's order.
    pub fn tensors(&self) -> Vec<LayerTensor> {
        self.op.tensors()
    }

    /// Number of parameters; running statistics are none.
    pub fn parameters(&self) -> u64 {
        self.op.parameters().unwrap_or(u64::MAX)
    }

    /// Multiply-accumulates for one image.
    pub fn macs(&self) -> u64 {
        self.op.macs(self.output).unwrap_or(u64::MAX)
    }
}
