//! A network as a list of operations on feature maps, in the order in which they run.

use residual_arch::{Convolution, LayerPath, MaxPool, Place};

use crate::parameters::Affine;

/// A feature map, by its place in [`Graph::maps`].
pub(crate) type MapId = usize;

/// The images.
pub(crate) const INPUT: MapId = 0;

/// Sizes of a feature map of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) channels: usize,
    pub(crate) size: [usize; 2],
}

/// `y = x W^T + b`
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) ins: usize,
    pub(crate) outs: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// What is added to a result, and what is done to the sum: `y = act(z + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Join {
    pub(crate) residual: Option<MapId>,
    pub(crate) relu: bool,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A convolution with the batch norm at `norm` folded in, and a join.
    Conv { conv: Convolution, norm: Option<LayerPath>, join: Join },
    /// `y = relu(scale x + shift)`: the batch norm of a pre-activation block where it cannot be folded.
    Normalise(Affine),
    /// The stem's pooling.
    MaxPool(MaxPool),
    /// ResNet-D's pooling before a projection: 2x2, the last window may be cut off.
    AveragePool { stride: usize },
    /// Option A's shortcut: every `stride`-th pixel, after `before` channels of zeros.
    ZeroPad { stride: usize, before: usize },
    /// `y = act(x sigmoid(expand(relu(reduce(mean x)))) + residual)`, squeeze-and-excitation.
    Excite { reduce: Dense, expand: Dense, join: Join },
}

impl Op {
    /// What follows it in the same pass.
    pub(crate) fn join(&self) -> Option<Join> {
        match self {
            Self::Conv { join, .. } | Self::Excite { join, .. } => Some(*join),
            _ => None,
        }
    }

    /// The map that is added.
    pub(crate) fn residual(&self) -> Option<MapId> {
        self.join().and_then(|join| join.residual)
    }
}

/// An operation between maps.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its first layer.
    pub(crate) path: LayerPath,
    pub(crate) op: Op,
    pub(crate) input: MapId,
    pub(crate) output: MapId,
}

impl Node {
    /// The maps that it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = MapId> {
        [Some(self.input), self.op.residual()].into_iter().flatten()
    }
}

/// A network on images of one size.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// The images first.
    pub(crate) maps: Vec<Map>,
    pub(crate) nodes: Vec<Node>,
    /// Maps that can be asked for: the stem's and every block's, in order.
    pub(crate) named: Vec<(Place, MapId)>,
    /// The map that is averaged for the head.
    pub(crate) last: MapId,
    /// The head's linear layer.
    pub(crate) head: Dense,
}

impl Graph {
    /// The nodes that are convolutions.
    pub(crate) fn convs(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| matches!(node.op, Op::Conv { .. }))
    }

    /// The node that computes `map`; `None` for the images.
    pub(crate) fn producer(&self, map: MapId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == map)
    }

    /// Elements of the largest map of one image.
    pub(crate) fn largest_map(&self) -> usize {
        self.maps.iter().map(|map| map.channels * map.size[0] * map.size[1]).max().unwrap_or(1)
    }

    /// For every map, the last node that reads it; the head comes after all nodes.
    pub(crate) fn last_reads(&self) -> Vec<usize> {
        let mut last: Vec<usize> = vec![0; self.maps.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            // A map that nobody reads lives while it is written.
            last[node.output] = index;
            node.reads().for_each(|map| last[map] = index);
        }
        last[self.last] = self.nodes.len();
        last
    }
}
