//! A graph made ready for one batch size: layouts, places in memory, steps.

use std::ops::Range;
use std::time::Instant;

use residual_kernels::{Algorithm, Cpu, Error as KernelError, Layout, convert, normalise, pool};

use crate::arena::Arena;
use crate::error::{Error, InLayer};
use crate::graph::{Graph, INPUT, MapId, Op};
use crate::images::Images;
use crate::segments::{Segment, local_to, segments};
use crate::step::{Memory, Packed, Step};

/// A graph for batches of one size.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) batch: usize,
    segments: Vec<Segment>,
    /// The border of each map.
    borders: Vec<usize>,
    /// Floats of each map of one image.
    each: Vec<usize>,
    /// Where each map lies, of all images that are in memory at once.
    places: Vec<Range<usize>>,
    /// How many those are: the batch, or a segment's.
    held: Vec<usize>,
    /// One for each of the graph's nodes, for the images of its segment.
    pub(crate) steps: Vec<Step>,
    workspace: Range<usize>,
}

/// What all programs of a plan share.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) graph: Graph,
    /// The weights of each node that is a convolution.
    pub(crate) packed: Vec<Option<Packed>>,
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
}

/// Where a run leaves the seconds that each part took: the conversion, every node, the head.
pub(crate) type Clock<'a> = Option<&'a mut [f64]>;

/// The border that the readers of each map make use of.
///
/// A direct convolution reads its padding there, and copies its input where there is none. An algorithm that
/// does not [want a border](Algorithm::wants_border) goes without where the writer of its input has
/// [long strips](Algorithm::long_strips) to gain.
pub(crate) fn borders(graph: &Graph, algorithms: &[Option<Algorithm>]) -> Vec<usize> {
    let mut borders = vec![0; graph.maps.len()];
    for (node, algorithm) in graph.nodes.iter().zip(algorithms) {
        let Op::Conv { conv, .. } = &node.op else { continue };
        let producer = graph.producer(node.input).and_then(|index| algorithms[index]);
        let wanted = match (algorithm, producer) {
            (Some(reader), Some(writer)) if !reader.wants_border() && writer.long_strips() => 0,
            _ => conv.padding,
        };
        borders[node.input] = wanted.max(borders[node.input]);
    }
    borders
}

/// How `map` lies: the images planar, so that the stem reads three channels and not sixteen; all else blocked.
pub(crate) fn layout(graph: &Graph, map: MapId, batch: usize, border: usize) -> Result<Layout, KernelError> {
    let (channels, [height, width]) = (graph.maps[map].channels, graph.maps[map].size);
    let layout = if map == INPUT { Layout::planar } else { Layout::blocked };
    layout(batch, channels, height, width)?.with_border(border)
}

/// Takes a map, a few images at a time: `take(images, values, layout)`.
type Take<'a> = dyn FnMut(Range<usize>, &[f32], Layout) -> Result<(), KernelError> + 'a;

/// A map that is asked for, and who takes it.
pub(crate) struct Wanted<'a> {
    pub(crate) map: MapId,
    pub(crate) take: &'a mut Take<'a>,
}

impl Program {
    pub(crate) fn new(
        cpu: &Cpu,
        graph: &Graph,
        algorithms: &[Option<Algorithm>],
        batch: usize,
    ) -> Result<Self, Error> {
        let borders = borders(graph, algorithms);
        let each = |(map, &border): (MapId, &usize)| Ok(layout(graph, map, 1, border)?.len());
        let each = borders.iter().enumerate().map(each).collect::<Result<Vec<_>, _>>().in_layer("maps")?;
        let segments = segments(graph, algorithms, batch);
        let mut steps = Vec::with_capacity(graph.nodes.len());
        for segment in &segments {
            for index in segment.nodes.clone() {
                let node = &graph.nodes[index];
                let lies = |map: MapId| layout(graph, map, segment.batch, borders[map]);
                steps.push(Step::new(cpu, node, algorithms[index], lies).in_layer(node.path)?);
            }
        }
        let local = local_to(graph, &segments);
        let held: Vec<usize> =
            local.iter().map(|local| local.map_or(batch, |segment| segments[segment].batch)).collect();
        let lengths: Vec<usize> = each.iter().zip(&held).map(|(each, held)| each * held).collect();
        let (places, end) = places(graph, &segments, &local, &lengths);
        let nodes = graph.nodes.iter().zip(&steps);
        let workspace = nodes.map(|(node, step)| step.workspace(cpu, &node.op)).max().unwrap_or(0);
        Ok(Self { batch, segments, borders, each, places, held, steps, workspace: end..end + workspace })
    }

    /// Floats that a run needs.
    pub(crate) fn memory(&self) -> usize {
        self.workspace.end
    }

    /// Computes all maps in `memory` from a whole batch of images, or those that lead to one that is `wanted`.
    pub(crate) fn run(
        &self,
        cpu: &Cpu,
        network: &Network,
        images: Images<'_>,
        memory: &mut [f32],
        mut wanted: Option<Wanted<'_>>,
        mut clock: Clock<'_>,
    ) -> Result<(), Error> {
        let (graph, elements) = (&network.graph, images.len() / self.batch);
        let last = wanted.as_ref().and_then(|wanted| graph.producer(wanted.map));
        let nodes = last.map_or(self.steps.len(), |last| last + 1);
        for (number, segment) in self.segments.iter().enumerate() {
            if segment.nodes.start >= nodes {
                break;
            }
            for first in (0..self.batch).step_by(segment.batch) {
                let now = first..first + segment.batch;
                if number == 0 {
                    let images = images.part(first, segment.batch, elements);
                    timed(&mut clock, 0, || self.read(cpu, network, images, now.clone(), memory))
                        .in_layer("input")?;
                }
                for index in segment.nodes.start..segment.nodes.end.min(nodes) {
                    let step = || self.step(cpu, network, index, now.clone(), memory);
                    timed(&mut clock, index + 1, step).in_layer(graph.nodes[index].path)?;
                }
                if let Some(Wanted { map, take }) = &mut wanted
                    && segment.nodes.contains(&(nodes - 1))
                {
                    let values = &memory[self.place(*map, &now)];
                    let layout = self.layout(graph, *map, now.len()).in_layer("features")?;
                    take(now, values, layout).in_layer("features")?;
                }
            }
        }
        Ok(())
    }

    /// The head, after all nodes: `pooled` is `[batch][channels]`, `logits` `[batch][classes]`.
    pub(crate) fn head(
        &self,
        cpu: &Cpu,
        network: &Network,
        memory: &[f32],
        (pooled, logits): (&mut [f32], &mut [f32]),
        mut clock: Clock<'_>,
    ) -> Result<(), Error> {
        let graph = &network.graph;
        let head = || {
            let layout = self.layout(graph, graph.last, self.batch)?;
            pool::global_average(cpu, (&memory[self.places[graph.last].clone()], layout), pooled)?;
            graph.head.forward(cpu, self.batch, pooled, logits)
        };
        timed(&mut clock, graph.nodes.len() + 1, head).in_layer("head")
    }

    /// How `count` images of a map lie.
    fn layout(&self, graph: &Graph, map: MapId, count: usize) -> Result<Layout, KernelError> {
        layout(graph, map, count, self.borders[map])
    }

    /// Where the images `now` of a map lie: in a map of all images at their place, else in all of it.
    fn place(&self, map: MapId, now: &Range<usize>) -> Range<usize> {
        let (place, image) = (&self.places[map], self.each[map]);
        let first = if self.held[map] == self.batch { now.start } else { 0 };
        place.start + first * image..place.start + (first + now.len()) * image
    }

    /// The images as the stem reads them.
    fn read(
        &self,
        cpu: &Cpu,
        network: &Network,
        images: Images<'_>,
        now: Range<usize>,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let to = self.layout(&network.graph, INPUT, now.len())?;
        let y = &mut memory[self.place(INPUT, &now)];
        match images {
            Images::Bytes(bytes) => normalise(cpu, bytes, &network.mean, &network.std, y, to),
            Images::Planar(values) => convert(cpu, values, to.with_border(0)?, y, to),
        }
    }

    fn step(
        &self,
        cpu: &Cpu,
        network: &Network,
        index: usize,
        now: Range<usize>,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let node = &network.graph.nodes[index];
        let residual = node.op.residual();
        let place = |map: MapId| self.place(map, &now);
        let places =
            [place(node.input), residual.map_or(0..0, place), place(node.output), self.workspace.clone()];
        let apart = memory.get_disjoint_mut(places);
        let Ok([x, shortcut, y, workspace]) = apart else {
            let reason = "its maps do not lie apart from each other".into();
            return Err(KernelError::Shape { what: "the plan's memory".into(), reason });
        };
        let memory = Memory { x, residual: residual.map(|_| &*shortcut), y, workspace };
        self.steps[index].run(cpu, &node.op, network.packed[index].as_ref(), memory)
    }
}

/// Where each map lies, and where the last of them ends. A place is free again after its map's last reader; the
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

/// Runs `body`, and adds its seconds to the clock's entry `index`.
fn timed<T>(clock: &mut Clock<'_>, index: usize, body: impl FnOnce() -> T) -> T {
    let Some(seconds) = clock else { return body() };
    let start = Instant::now();
    let value = body();
    seconds[index] += start.elapsed().as_secs_f64();
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Dense, Join, Map, Node};
    use residual_arch::{BlockPart, Convolution, LayerPath};

    /// Four 3x3 convolutions in a row, the last with the first one's output as its residual.
    fn chain() -> Graph {
        let conv =
            Convolution { in_channels: 16, out_channels: 16, kernel: 3, stride: 1, padding: 1, groups: 1 };
        let node = |index: usize| {
            let residual = (index == 3).then_some(1);
            let op = Op::Conv { conv, norm: None, join: Join { residual, relu: true } };
            Node { path: LayerPath::Alone(BlockPart::Conv(index + 1)), op, input: index, output: index + 1 }
        };
        let head = Dense { ins: 16, outs: 1, weights: vec![0.0; 16], bias: vec![0.0] };
        Graph {
            maps: vec![Map { channels: 16, size: [8, 8] }; 5],
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
        let Op::Conv { conv, .. } = &mut graph.nodes[0].op else { unreachable!() };
        (conv.kernel, conv.padding) = (1, 0);
        let mut algorithms = all("winograd4");
        algorithms[0] = Algorithm::named("pointwise");
        assert_eq!(borders(&graph, &algorithms), [0, 0, 1, 1, 0]);
        algorithms[1] = Algorithm::named("direct");
        assert_eq!(borders(&graph, &algorithms), [0, 1, 1, 1, 0]);
    }
}
