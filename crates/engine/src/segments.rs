//! How a batch goes through a network: layer by layer where all images together keep the processor busy, a few
//! images at a time where their maps would not stay in the cache.

use std::ops::Range;

use residual_arch::Place;
use residual_kernels::Algorithm;

use crate::graph::{Graph, INPUT, Map, MapId, Node};
use crate::op::Operation;

/// Bytes of maps that a layer of a segment may read and write. On two cores of a Zen 5 (1 MiB of level 2 cache
/// each, 32 MiB of level 3 together), of 1, 2.5, 5, 10, 15 and 20 MiB, this is the fastest for resnet18 at batch
/// 16 and small at 64, and within 2% of the fastest for resnet50, cifar_resnet20 and cifar_resnet56.
const MAPS: usize = 5 << 19;

/// Bytes of maps that a group of images moves for each byte of weights. As [`MAPS`], resnet50 at batch 16: with 3
/// 222 ms (medians of five in turns), with 2 229.
const WORTH: usize = 3;

/// The fewest images at a time, where the batch allows: one alone takes 1% to 2% longer (resnet18 at batch 16).
const LEAST: usize = 2;

/// Nodes that run one after the other on a few images, then on the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) nodes: Range<usize>,
    /// Images at a time, a divisor of the batch.
    pub(crate) batch: usize,
}

/// The segments of `graph` for `batch` images. A stage, or the stem, is in one segment as a whole.
pub(crate) fn segments(graph: &Graph, algorithms: &[Option<Algorithm>], batch: usize) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut start = 0;
    for stage in graph.nodes.chunk_by(|a, b| part_of(a) == part_of(b)) {
        let nodes = start..start + stage.len();
        start = nodes.end;
        let batch = images_at_a_time(graph, nodes.clone(), algorithms, batch);
        match segments.last_mut() {
            Some(last) if last.batch == batch => last.nodes.end = nodes.end,
            _ => segments.push(Segment { nodes, batch }),
        }
    }
    segments
}

/// The stage, the stem or the head that the node is in.
fn part_of(node: &Node) -> Option<Place> {
    node.path.place().map(Place::outermost)
}

/// Images at a time: as many as have their maps in the cache, but so many that a group moves [`WORTH`] times as many
/// bytes of maps as of weights, which are read again for each; two at least.
fn images_at_a_time(
    graph: &Graph,
    nodes: Range<usize>,
    algorithms: &[Option<Algorithm>],
    batch: usize,
) -> usize {
    let maps: Vec<_> = nodes.clone().map(|node| map_bytes(graph, &graph.nodes[node])).collect();
    let largest = maps.iter().copied().max().unwrap_or(1).max(1);
    let weights: usize = nodes.map(|node| weight_bytes(&*graph.nodes[node].op, algorithms[node])).sum();
    let worth = (WORTH * weights).div_ceil(maps.iter().sum::<usize>().max(1));
    let images = (MAPS / largest).max(worth).max(LEAST);
    (1..=batch).rev().find(|&group| group <= images && batch.is_multiple_of(group)).unwrap_or(1)
}

/// Bytes of the maps of an image that a node reads and writes.
fn map_bytes(graph: &Graph, node: &Node) -> usize {
    let bytes = |map: MapId| {
        let [height, width] = graph.maps[map].size;
        let Map { channels, elements, .. } = graph.maps[map];
        elements.floats(channels * height * width) * size_of::<f32>()
    };
    node.reads().chain([node.output]).map(bytes).sum()
}

/// Bytes of an operation's weights, packed.
pub(crate) fn weight_bytes(op: &dyn Operation, algorithm: Option<Algorithm>) -> usize {
    let Some(conv) = op.convolution() else { return op.weight_bytes() };
    let taps = conv.kernel * conv.kernel;
    let values = algorithm.filter(|_| conv.kernel == 3).map_or(taps, Algorithm::weights);
    conv.in_channels / conv.groups * conv.out_channels * values * size_of::<f32>()
}

/// Segment that each map is local to: whose nodes write it and alone read it. It lies in memory for
/// the images that the segment has in hand; all others, the head's among them, lie there for the whole batch.
pub(crate) fn local_to(graph: &Graph, segments: &[Segment]) -> Vec<Option<usize>> {
    let segment_of = |node: usize| segments.iter().position(|segment| segment.nodes.contains(&node));
    let mut local: Vec<Option<usize>> =
        (0..graph.maps.len()).map(|map| graph.producer(map).map_or(Some(0), segment_of)).collect();
    for (index, node) in graph.nodes.iter().enumerate() {
        for map in node.reads() {
            if local[map] != segment_of(index) {
                local[map] = None;
            }
        }
    }
    local[graph.last] = None;
    if segments.is_empty() {
        local[INPUT] = None;
    }
    local
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Elements;
    use crate::op::{Dense, FusedConv};
    use residual_arch::{BlockPart, BlockPath, Convolution, LayerPath};

    /// Two 3x3 convolutions in each of two stages, with 16 channels; the third adds the first one's output.
    fn graph(sizes: [usize; 5]) -> Graph {
        let conv = Convolution::new(16, 16, 3);
        let node = |index: usize| {
            let residual = (index == 2).then_some(1);
            let op = Box::new(FusedConv { conv, norm: None, relu: true });
            let block = BlockPath { stage: index / 2 + 1, block: 0 };
            let path = LayerPath::Block(block, BlockPart::Conv(index % 2 + 1));
            Node { path, op, input: index, residual, output: index + 1 }
        };
        let map = |index: usize| Map { channels: 16, size: [sizes[index]; 2], elements: Elements::Floats };
        Graph {
            maps: (0..5).map(map).collect(),
            nodes: (0..4).map(node).collect(),
            named: Vec::new(),
            last: 4,
            head: Dense { ins: 16, outs: 1, weights: vec![0.0; 16], bias: vec![0.0] },
        }
    }

    #[test]
    fn large_maps_run_a_few_at_a_time_and_small_ones_together() {
        let of = |sizes, batch| segments(&graph(sizes), &[Algorithm::named("direct"); 4], batch);
        // 64x64 with 16 channels is a quarter of a MiB. The first convolution has two such maps: 5 images have 2.5
        // MiB, and 4 divides 16. The third reads one: 9 images, and 8 divides 16.
        let large = [64, 64, 8, 8, 8];
        assert_eq!(of(large, 16), [Segment { nodes: 0..2, batch: 4 }, Segment { nodes: 2..4, batch: 8 }]);
        assert_eq!(of([8; 5], 16), [Segment { nodes: 0..4, batch: 16 }]);
        assert_eq!(of(large, 7), [Segment { nodes: 0..2, batch: 1 }, Segment { nodes: 2..4, batch: 7 }]);
        assert_eq!(of([1024; 5], 16), [Segment { nodes: 0..4, batch: 2 }]);
        assert_eq!(of([1024; 5], 3), [Segment { nodes: 0..4, batch: 1 }]);
    }

    #[test]
    fn maps_between_segments_are_whole() {
        let graph = graph([8; 5]);
        let two = [Segment { nodes: 0..2, batch: 2 }, Segment { nodes: 2..4, batch: 4 }];
        assert_eq!(local_to(&graph, &two), [Some(0), None, None, Some(1), None]);
        let one = [Segment { nodes: 0..4, batch: 4 }];
        assert_eq!(local_to(&graph, &one), [Some(0), Some(0), Some(0), Some(0), None]);
    }
}
