//! Memory of a program: segments of the network, borders, layouts and places of the maps.

use std::ops::Range;

use residual_kernels::{Algorithm, Error as KernelError, Layout, int8};

use crate::arena::Arena;
use crate::error::{Error, InLayer};
use crate::graph::{Elements, Graph, INPUT, MapId};
use crate::segments::{Segment, local_to, segments};

/// Layout in memory of a graph's maps, for batches of one size.
#[derive(Clone, Debug)]
pub(crate) struct Arrangement {
    pub(crate) batch: usize,
    pub(crate) segments: Vec<Segment>,
    /// The border of each map.
    borders: Vec<usize>,
    /// Floats of each map of one image.
    each: Vec<usize>,
    /// The place of each map, of all images that are in memory at once.
    places: Vec<Range<usize>>,
    /// Images of each map that are in memory at once: the batch, or a segment's.
    held: Vec<usize>,
    /// End of the last place.
    end: usize,
}

impl Arrangement {
    /// # Errors
    /// [`Error::Kernel`] for maps of sizes that overflow.
    pub(crate) fn new(graph: &Graph, algorithms: &[Option<Algorithm>], batch: usize) -> Result<Self, Error> {
        let borders = borders(graph, algorithms);
        let each = |(map, &border): (MapId, &usize)| {
            Ok(graph.maps[map].elements.floats(layout(graph, map, 1, border)?.len()))
        };
        let each = borders.iter().enumerate().map(each).collect::<Result<Vec<_>, _>>().in_layer("maps")?;
        let segments = segments(graph, algorithms, batch);
        let local = local_to(graph, &segments);
        let held: Vec<usize> =
            local.iter().map(|local| local.map_or(batch, |segment| segments[segment].batch)).collect();
        let lengths: Vec<usize> = each.iter().zip(&held).map(|(each, held)| each * held).collect();
        let (places, end) = places(graph, &segments, &local, &lengths);
        Ok(Self { batch, segments, borders, each, places, held, end })
    }

    /// Floats of all maps together.
    pub(crate) fn len(&self) -> usize {
        self.end
    }

    /// The layout of `count` images of a map.
    pub(crate) fn layout(&self, graph: &Graph, map: MapId, count: usize) -> Result<Layout, KernelError> {
        layout(graph, map, count, self.borders[map])
    }

    /// The place of the images `now` of a map: in a map of all images their part of it, else all of it.
    pub(crate) fn place(&self, map: MapId, now: &Range<usize>) -> Range<usize> {
        let (place, image) = (&self.places[map], self.each[map]);
        let first = if self.held[map] == self.batch { now.start } else { 0 };
        place.start + first * image..place.start + (first + now.len()) * image
    }
}

/// The border that the readers of each map make use of.
///
/// A direct convolution reads its padding there, and copies its input where there is none. An algorithm that
/// does not [want a border](Algorithm::wants_border) goes without where the writer of its input has
/// [long strips](Algorithm::long_strips) to gain.
pub(crate) fn borders(graph: &Graph, algorithms: &[Option<Algorithm>]) -> Vec<usize> {
    let mut borders = vec![0; graph.maps.len()];
    for (node, algorithm) in graph.nodes.iter().zip(algorithms) {
        let producer = graph.producer(node.input).and_then(|index| algorithms[index]);
        let wanted = match (algorithm, producer) {
            (Some(reader), Some(writer)) if !reader.wants_border() && writer.long_strips() => 0,
            _ => node.op.padding(),
        };
        borders[node.input] = wanted.max(borders[node.input]);
    }
    borders
}

/// The layout of a map: the images planar, so that the stem reads three channels and not sixteen, as bytes interleaved; all
/// else blocked.
pub(crate) fn layout(graph: &Graph, map: MapId, batch: usize, border: usize) -> Result<Layout, KernelError> {
    let (channels, [height, width]) = (graph.maps[map].channels, graph.maps[map].size);
    if let Elements::ImageBytes(_) = graph.maps[map].elements {
        return int8::image_layout(batch, [height, width], border);
    }
    let layout = if map == INPUT { Layout::planar } else { Layout::blocked };
    layout(batch, channels, height, width)?.with_border(border)
}

/// Places of the maps, and the end of the last. A place is free again after its map's last reader; the
/// place of a map of the whole batch is taken before the segment that writes it and given back after the
/// segment that reads it last, since other images go through in between.
fn places(
    graph: &Graph,
    segments: &[Segment],
    local: &[Option<usize>],
    lengths: &[usize],
) -> (Vec<Range<usize>>, usize) {
    let (mut arena, last_reads) = (Arena::default(), graph.last_reads());
    let mut places = vec![0..0; graph.maps.len()];
    places[INPUT] = arena.take(lengths[INPUT]);
    for segment in segments {
        let nodes = &graph.nodes[segment.nodes.clone()];
        for map in nodes.iter().map(|node| node.output).filter(|&map| local[map].is_none()) {
            places[map] = arena.take(lengths[map]);
        }
        let mut whole: Vec<MapId> = Vec::new();
        for (index, node) in segment.nodes.clone().zip(nodes) {
            if local[node.output].is_some() {
                places[node.output] = arena.take(lengths[node.output]);
            }
            let mut done: Vec<MapId> =
                node.reads().chain([node.output]).filter(|&map| last_reads[map] == index).collect();
            done.sort_unstable();
            done.dedup();
            let (now, later): (Vec<MapId>, Vec<MapId>) =
                done.into_iter().partition(|&map| local[map].is_some());
            now.iter().for_each(|&map| arena.give(&places[map]));
            whole.extend(later);
        }
        whole.iter().for_each(|&map| arena.give(&places[map]));
    }
    (places, arena.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Map, Node};
    use crate::op::{Dense, FusedConv};
    use residual_arch::{BlockPart, Convolution, LayerPath};

    /// Four 3x3 convolutions in a row, the last with the first one's output as its residual.
    fn chain() -> Graph {
        let conv = Convolution::new(16, 16, 3);
        let node = |index: usize| {
            let residual = (index == 3).then_some(1);
            let op = Box::new(FusedConv { conv, norm: None, relu: true });
            let path = LayerPath::Alone(BlockPart::Conv(index + 1));
            Node { path, op, input: index, residual, output: index + 1 }
        };
        let head = Dense { ins: 16, outs: 1, weights: vec![0.0; 16], bias: vec![0.0] };
        Graph {
            maps: vec![Map { channels: 16, size: [8, 8], elements: Elements::Floats }; 5],
            nodes: (0..4).map(node).collect(),
            named: Vec::new(),
            last: 4,
            head,
        }
    }

    #[test]
    fn a_place_is_used_again_after_its_last_reader_and_not_before() {
        let graph = chain();
        assert_eq!(graph.last_reads(), [0, 3, 2, 3, 4]);
        let one = layout(&graph, 1, 1, 0).unwrap().len();
        let segments = segments(&graph, &[Algorithm::named("direct"); 4], 1);
        let local = local_to(&graph, &segments);
        let (places, end) = places(&graph, &segments, &local, &[one; 5]);
        // The images and one map, then at most three at a time (residual, input, output), and the head's.
        assert!(end <= 4 * one, "{end}");
        for (index, node) in graph.nodes.iter().enumerate() {
            let live = (0..=node.output).filter(|&map| graph.last_reads()[map] >= index);
            for map in live.filter(|&map| map != node.output) {
                let (a, b) = (&places[map], &places[node.output]);
                assert!(a.end <= b.start || b.end <= a.start, "node {index} overwrites map {map}");
            }
        }
    }

    #[test]
    fn maps_of_the_whole_batch_keep_their_place_while_others_go_through() {
        let graph = chain();
        let segments = [Segment { nodes: 0..2, batch: 1 }, Segment { nodes: 2..4, batch: 2 }];
        let local = local_to(&graph, &segments);
        assert_eq!(local, [Some(0), None, None, Some(1), None]);
        let (places, _) = places(&graph, &segments, &local, &[16, 32, 32, 32, 32]);
        // The images are local and read again for each group; what leaves the segment is not written over.
        for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3), (1, 3), (1, 4), (3, 4)] {
            let (a, b) = (&places[a], &places[b]);
            assert!(a.end <= b.start || b.end <= a.start, "{places:?}");
        }
    }

    #[test]
    fn borders_serve_those_who_read_them() {
        let mut graph = chain();
        let all = |key| vec![Algorithm::named(key); 4];
        assert_eq!(borders(&graph, &all("direct")), [1, 1, 1, 1, 0]);
        assert_eq!(borders(&graph, &all("winograd4")), [1, 1, 1, 1, 0]);
        let pointwise =
            (*graph.nodes[0].op.convolution().unwrap()).with(|conv| (conv.kernel, conv.padding) = (1, 0));
        graph.nodes[0].op = Box::new(FusedConv { conv: pointwise, norm: None, relu: true });
        let mut algorithms = all("winograd4");
        algorithms[0] = Algorithm::named("pointwise");
        assert_eq!(borders(&graph, &algorithms), [0, 0, 1, 1, 0]);
        algorithms[1] = Algorithm::named("direct");
        assert_eq!(borders(&graph, &algorithms), [0, 1, 1, 1, 0]);
    }
}
