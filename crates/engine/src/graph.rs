//! A network as a list of operations on feature maps, in the order in which they run.

use residual_arch::{LayerPath, Place};
use residual_kernels::int8;

use crate::op::{Dense, Operation};
use crate::quantised::MapScale;

/// A feature map, by its place in [`Graph::maps`].
pub(crate) type MapId = usize;

/// The images.
pub(crate) const INPUT: MapId = 0;

/// Sizes of a feature map of one image, and what its elements are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Map {
    pub(crate) channels: usize,
    pub(crate) size: [usize; 2],
    pub(crate) elements: Elements,
}

/// Elements of a map in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Elements {
    Floats,
    /// Bytes, blocked as floats are.
    Bytes(MapScale),
    /// Bytes of an image, four a pixel.
    ImageBytes(MapScale),
}

impl Elements {
    /// Scale of bytes.
    pub(crate) fn scale(self) -> Option<MapScale> {
        match self {
            Self::Floats => None,
            Self::Bytes(scale) | Self::ImageBytes(scale) => Some(scale),
        }
    }

    /// Floats whose memory holds `count` elements.
    pub(crate) fn floats(self, count: usize) -> usize {
        match self {
            Self::Floats => count,
            Self::Bytes(_) | Self::ImageBytes(_) => int8::floats_for(count),
        }
    }
}

/// An operation between maps.
#[derive(Debug)]
pub(crate) struct Node {
    /// Path of its first layer.
    pub(crate) path: LayerPath,
    pub(crate) op: Box<dyn Operation>,
    pub(crate) input: MapId,
    /// The map that is added to the result.
    pub(crate) residual: Option<MapId>,
    pub(crate) output: MapId,
}

impl Node {
    /// The maps that it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = MapId> {
        [Some(self.input), self.residual].into_iter().flatten()
    }
}

/// A network on images of one size.
#[derive(Debug)]
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
        self.nodes.iter().filter(|node| node.op.convolution().is_some())
    }

    /// The node that computes `map`; `None` for the images.
    pub(crate) fn producer(&self, map: MapId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == map)
    }

    /// A map that stands for another: the floats of a map of bytes, or the bytes of the images.
    pub(crate) fn is_hidden(&self, map: MapId) -> bool {
        let converts = |node: &Node| node.op.is_conversion();
        let raw = self.nodes.iter().any(|node| {
            converts(node) && node.input == map && self.maps[map].elements == Elements::Floats && map != INPUT
        });
        let copy = self.nodes.iter().any(|node| {
            let to_floats = self.maps[map].elements == Elements::Floats || node.input == INPUT;
            converts(node) && node.output == map && to_floats
        });
        raw || copy
    }

    /// Elements of the largest map of one image.
    pub(crate) fn largest_map(&self) -> usize {
        self.maps.iter().map(|map| map.channels * map.size[0] * map.size[1]).max().unwrap_or(1)
    }

    /// Last node that reads each map; the head comes after all nodes.
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
