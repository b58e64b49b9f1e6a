//! A graph made ready for one batch size: layouts, places in memory, steps.

use std::ops::Range;
use std::time::Instant;

use residual_kernels::{Algorithm, Cpu, KernelError, Layout, convert, normalise, pool};

use crate::arena::Arena;
use crate::error::{EngineError, InLayer};
use crate::graph::{Graph, INPUT, MapId, Op};
use crate::images::Images;
use crate::step::{Memory, Packed, Step};

/// A graph for batches of one size.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) batch: usize,
    /// How each map lies, and where.
    layouts: Vec<Layout>,
    places: Vec<Range<usize>>,
    /// One for each of the graph's nodes.
    pub(crate) steps: Vec<Step>,
    workspace: Range<usize>,
    /// Without a border, `[batch][channels][height][width]`.
    images: Layout,
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
/// A direct convolution reads its padding there, and copies its input where there is none. Winograd's
/// transforms check the edges of the map themselves; a border spares them that, but a pointwise convolution
/// writes maps without one in longer strips, and that is worth more.
pub(crate) fn borders(graph: &Graph, algorithms: &[Option<Algorithm>]) -> Vec<usize> {
    let mut borders = vec![0; graph.maps.len()];
    for (node, algorithm) in graph.nodes.iter().zip(algorithms) {
        let Op::Conv { conv, .. } = &node.op else { continue };
        let producer = graph.producer(node.input).and_then(|index| algorithms[index]);
        let wanted = match (algorithm, producer) {
            (Some(Algorithm::Winograd2 | Algorithm::Winograd4), Some(Algorithm::Pointwise)) => 0,
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

impl Program {
    pub(crate) fn new(
        cpu: &Cpu,
        graph: &Graph,
        algorithms: &[Option<Algorithm>],
        batch: usize,
    ) -> Result<Self, EngineError> {
        let borders = borders(graph, algorithms);
        let lay = |(map, &border): (MapId, &usize)| layout(graph, map, batch, border);
        let layouts = borders.iter().enumerate().map(lay).collect::<Result<Vec<_>, _>>().in_layer("maps")?;
        let step = |(node, &algorithm): (&crate::graph::Node, &Option<Algorithm>)| {
            Step::new(cpu, node, algorithm, |map| layouts[map]).in_layer(&node.name)
        };
        let steps: Vec<Step> = graph.nodes.iter().zip(algorithms).map(step).collect::<Result<_, _>>()?;
        let (places, end) = places(graph, &layouts);
        let nodes = graph.nodes.iter().zip(&steps);
        let workspace = nodes.map(|(node, step)| step.workspace(cpu, &node.op)).max().unwrap_or(0);
        let images = layout(graph, INPUT, batch, 0).in_layer("images")?;
        Ok(Self { batch, layouts, places, steps, workspace: end..end + workspace, images })
    }

    /// Floats that a run needs.
    pub(crate) fn memory(&self) -> usize {
        self.workspace.end
    }

    /// How `map` lies, and where.
    pub(crate) fn map(&self, map: MapId) -> (Layout, Range<usize>) {
        (self.layouts[map], self.places[map].clone())
    }

    /// Computes the maps of the first `nodes` nodes in `memory` from a whole batch of images.
    pub(crate) fn run(
        &self,
        cpu: &Cpu,
        network: &Network,
        images: Images<'_>,
        nodes: usize,
        memory: &mut [f32],
        mut clock: Clock<'_>,
    ) -> Result<(), EngineError> {
        timed(&mut clock, 0, || self.read(cpu, network, images, memory)).in_layer("input")?;
        for index in 0..nodes.min(self.steps.len()) {
            let name = &network.graph.nodes[index].name;
            timed(&mut clock, index + 1, || self.step(cpu, network, index, memory)).in_layer(name)?;
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
    ) -> Result<(), EngineError> {
        let graph = &network.graph;
        let (layout, place) = self.map(graph.last);
        let head = || {
            pool::global_average(cpu, (&memory[place], layout), pooled)?;
            graph.head.forward(cpu, self.batch, pooled, logits)
        };
        timed(&mut clock, graph.nodes.len() + 1, head).in_layer("head")
    }

    /// The images as the stem reads them.
    fn read(
        &self,
        cpu: &Cpu,
        network: &Network,
        images: Images<'_>,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let (to, place) = self.map(INPUT);
        let y = &mut memory[place];
        match images {
            Images::Bytes(bytes) => normalise(cpu, bytes, &network.mean, &network.std, y, to),
            Images::Planar(values) => convert(cpu, values, self.images, y, to),
        }
    }

    fn step(
        &self,
        cpu: &Cpu,
        network: &Network,
        index: usize,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let node = &network.graph.nodes[index];
        let residual = node.op.residual();
        let place = |map: MapId| self.places[map].clone();
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

/// Where each map lies, and where the last of them ends: a place is free again after its map's last reader.
fn places(graph: &Graph, layouts: &[Layout]) -> (Vec<Range<usize>>, usize) {
    let (mut arena, last_reads) = (Arena::default(), graph.last_reads());
    let mut places = vec![0..0; graph.maps.len()];
    places[INPUT] = arena.take(layouts[INPUT].len());
    for (index, node) in graph.nodes.iter().enumerate() {
        places[node.output] = arena.take(layouts[node.output].len());
        let mut done: Vec<MapId> =
            node.reads().chain([node.output]).filter(|&map| last_reads[map] == index).collect();
        done.sort_unstable();
        done.dedup();
        done.iter().for_each(|&map| arena.give(&places[map]));
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
    use residual_arch::Convolution;

    /// Four 3x3 convolutions in a row, the last with the first one's output as its residual.
    fn chain() -> Graph {
        let conv =
            Convolution { in_channels: 16, out_channels: 16, kernel: 3, stride: 1, padding: 1, groups: 1 };
        let node = |index: usize| {
            let residual = (index == 3).then_some(1);
            let op = Op::Conv { conv, norm: None, join: Join { residual, relu: true } };
            Node { name: format!("conv{index}"), op, input: index, output: index + 1 }
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
        let layouts: Vec<_> = (0..5).map(|map| layout(&graph, map, 1, 0).unwrap()).collect();
        let (places, end) = places(&graph, &layouts);
        let one = layouts[1].len();
        // The images and one map, then at most three at a time: residual, input, output.
        assert!(end <= 3 * one.max(layouts[0].len()), "{end}");
        for (index, node) in graph.nodes.iter().enumerate() {
            let live = (0..=node.output).filter(|&map| graph.last_reads()[map] >= index);
            for map in live.filter(|&map| map != node.output) {
                let (a, b) = (&places[map], &places[node.output]);
                assert!(a.end <= b.start || b.end <= a.start, "node {index} overwrites map {map}");
            }
        }
    }

    #[test]
    fn borders_serve_those_who_read_them() {
        let mut graph = chain();
        let all = |algorithm| vec![Some(algorithm); 4];
        assert_eq!(borders(&graph, &all(Algorithm::Direct)), [1, 1, 1, 1, 0]);
        assert_eq!(borders(&graph, &all(Algorithm::Winograd4)), [1, 1, 1, 1, 0]);
        let Op::Conv { conv, .. } = &mut graph.nodes[0].op else { unreachable!() };
        (conv.kernel, conv.padding) = (1, 0);
        let mut algorithms = all(Algorithm::Winograd4);
        algorithms[0] = Some(Algorithm::Pointwise);
        assert_eq!(borders(&graph, &algorithms), [0, 0, 1, 1, 0]);
    }
}
