//! A graph compiled for one batch size: operations between places in memory, run one after the other.

use std::ops::Range;
use std::time::Instant;

use residual_kernels::{
    Algorithm, Cpu, Error as KernelError, Layout, MapsRef, convert, int8, normalise, pool,
};

use crate::arrangement::Arrangement;
use crate::error::{Error, InLayer};
use crate::graph::{Elements, Graph, INPUT, MapId, Node};
use crate::image_bytes::ImageBytes;
use crate::images::Images;
use crate::op::{Executable, MapLayouts, OperationMemory, Prepared, Site, WeightPacker, affine};
use crate::quantised::MapScale;

/// A program whose weights are not packed yet: it says how much memory a run needs.
pub(crate) struct ProgramDraft {
    arrangement: Arrangement,
    /// The operation of each node of the graph, for the images of its segment.
    operations: Vec<Prepared>,
    workspace: Range<usize>,
}

impl ProgramDraft {
    /// Plans `graph` for batches of `batch` images.
    ///
    /// # Errors
    /// [`Error::Kernel`] for a layer whose sizes its kernel does not take.
    pub(crate) fn new(
        cpu: &Cpu,
        graph: &Graph,
        algorithms: &[Option<Algorithm>],
        batch: usize,
    ) -> Result<Self, Error> {
        let arrangement = Arrangement::new(graph, algorithms, batch)?;
        let mut operations = Vec::with_capacity(graph.nodes.len());
        for segment in &arrangement.segments {
            for index in segment.nodes.clone() {
                let node = &graph.nodes[index];
                let prepare = || {
                    let layout = |map| arrangement.layout(graph, map, segment.batch);
                    let maps = MapLayouts {
                        input: layout(node.input)?,
                        output: layout(node.output)?,
                        residual: node.residual.map(layout).transpose()?,
                    };
                    node.op.prepare(&Site { cpu, path: node.path, maps, algorithm: algorithms[index] })
                };
                operations.push(prepare().in_layer(node.path)?);
            }
        }
        let workspace = operations.iter().map(Prepared::workspace).max().unwrap_or(0);
        let maps = arrangement.len();
        Ok(Self { arrangement, operations, workspace: maps..maps + workspace })
    }

    /// Floats that a run needs.
    pub(crate) fn memory(&self) -> usize {
        self.workspace.end
    }

    /// The program, its weights packed.
    ///
    /// # Errors
    /// Those of [`WeightPacker::packed`].
    pub(crate) fn load(self, packer: &mut WeightPacker<'_>) -> Result<Program, Error> {
        let operations = self.operations.into_iter().map(|operation| operation.load(packer));
        let operations = operations.collect::<Result<_, _>>()?;
        Ok(Program { arrangement: self.arrangement, operations, workspace: self.workspace })
    }
}

/// A graph compiled for batches of one size.
#[derive(Debug)]
pub(crate) struct Program {
    arrangement: Arrangement,
    /// The operation of each node of the graph, for the images of its segment.
    pub(crate) operations: Vec<Box<dyn Executable>>,
    workspace: Range<usize>,
}

/// A graph and the normalisation of its images, shared by the programs of a plan.
#[derive(Debug)]
pub(crate) struct CompiledNetwork {
    pub(crate) graph: Graph,
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
    /// Bytes of the images, where nothing reads their floats.
    pub(crate) image_bytes: Option<ImageBytes>,
    /// Scale of each map that is rounded to the values of bytes.
    pub(crate) scales: Vec<Option<MapScale>>,
}

/// Results of a head.
pub(crate) struct HeadOutputs<'a> {
    /// Averaged maps, `[batch][channels]`.
    pub(crate) pooled: &'a mut [f32],
    /// Logits, `[batch][classes]`.
    pub(crate) logits: &'a mut [f32],
}

/// Seconds that each part of a run took: the conversion, every node, the head.
pub(crate) type Clock<'a> = Option<&'a mut [f64]>;

/// Takes a map, a few images at a time: `take(map, images, values, layout)`.
type Take<'a> = dyn FnMut(MapId, Range<usize>, &[f32], Layout) -> Result<(), KernelError> + 'a;

/// A map that is asked for, or all of them, and who takes it.
pub(crate) struct Wanted<'a> {
    /// The map; `None` for all, as they are computed.
    pub(crate) map: Option<MapId>,
    pub(crate) take: &'a mut Take<'a>,
}

impl Program {
    /// Images that run at once.
    pub(crate) fn batch(&self) -> usize {
        self.arrangement.batch
    }

    /// Floats that a run needs.
    pub(crate) fn memory(&self) -> usize {
        self.workspace.end
    }

    /// Computes all maps in `memory` from a whole batch of images, or those that lead to one that is `wanted`.
    pub(crate) fn run(
        &self,
        cpu: &Cpu,
        network: &CompiledNetwork,
        images: Images<'_>,
        memory: &mut [f32],
        mut wanted: Option<Wanted<'_>>,
        mut clock: Clock<'_>,
    ) -> Result<(), Error> {
        let (graph, elements) = (&network.graph, images.len() / self.batch());
        let last = wanted.as_ref().and_then(|wanted| graph.producer(wanted.map?));
        let nodes = last.map_or(self.operations.len(), |last| last + 1);
        for (number, segment) in self.arrangement.segments.iter().enumerate() {
            if segment.nodes.start >= nodes {
                break;
            }
            for first in (0..self.batch()).step_by(segment.batch) {
                let now = first..first + segment.batch;
                if number == 0 {
                    let images = images.part(first, segment.batch, elements);
                    let direct = network.image_bytes.as_ref().filter(|_| wanted.is_none());
                    timed(&mut clock, 0, || match direct {
                        Some(direct) => self.read_bytes(cpu, network, direct, images, now.clone(), memory),
                        None => self.read(cpu, network, images, now.clone(), memory),
                    })
                    .in_layer("input")?;
                    self.round(network, INPUT, &now, memory);
                    self.give_one_of_all(cpu, network, INPUT, &now, memory, &mut wanted)?;
                }
                for index in segment.nodes.start..segment.nodes.end.min(nodes) {
                    let node = &graph.nodes[index];
                    let is_read = |direct: &ImageBytes| direct.map == node.output;
                    if wanted.is_none() && network.image_bytes.as_ref().is_some_and(is_read) {
                        continue;
                    }
                    let operation = || self.compute(cpu, node, &*self.operations[index], &now, memory);
                    timed(&mut clock, index + 1, operation).in_layer(node.path)?;
                    self.round(network, node.output, &now, memory);
                    self.give_one_of_all(cpu, network, node.output, &now, memory, &mut wanted)?;
                }
                if let Some(Wanted { map: Some(map), take }) = &mut wanted
                    && segment.nodes.contains(&(nodes - 1))
                {
                    self.give(cpu, network, *map, &now, memory, take)?;
                }
            }
        }
        Ok(())
    }

    /// Computes the head, after all nodes.
    pub(crate) fn head(
        &self,
        cpu: &Cpu,
        network: &CompiledNetwork,
        memory: &[f32],
        out: HeadOutputs<'_>,
        mut clock: Clock<'_>,
    ) -> Result<(), Error> {
        let (graph, HeadOutputs { pooled, logits }) = (&network.graph, out);
        let head = || {
            let layout = self.arrangement.layout(graph, graph.last, self.batch())?;
            let maps = &memory[self.arrangement.place(graph.last, &(0..self.batch()))];
            pool::global_average(cpu, MapsRef::new(maps, layout), pooled)?;
            graph.head.forward(cpu, self.batch(), pooled, logits)
        };
        timed(&mut clock, graph.nodes.len() + 1, head).in_layer("head")
    }

    /// The images as the stem reads them.
    fn read(
        &self,
        cpu: &Cpu,
        network: &CompiledNetwork,
        images: Images<'_>,
        now: Range<usize>,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let to = self.arrangement.layout(&network.graph, INPUT, now.len())?;
        let y = &mut memory[self.arrangement.place(INPUT, &now)];
        match images {
            Images::Interleaved(bytes) => normalise(cpu, bytes, &network.mean, &network.std, y, to),
            Images::Planar(values) => convert(cpu, values, to.with_border(0)?, y, to),
        }
    }

    /// The images as the bytes that the stem reads.
    fn read_bytes(
        &self,
        cpu: &Cpu,
        network: &CompiledNetwork,
        direct: &ImageBytes,
        images: Images<'_>,
        now: Range<usize>,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let (graph, scale) = (&network.graph, direct.scale);
        let to = self.arrangement.layout(graph, direct.map, now.len())?;
        let y = &mut memory[self.arrangement.place(direct.map, &now)];
        match images {
            Images::Interleaved(bytes) => {
                int8::translate_images(cpu, (bytes, &direct.tables), to, y, scale.zero)
            }
            Images::Planar(values) => {
                let from = Layout::planar(now.len(), graph.maps[INPUT].channels, to.height(), to.width())?;
                int8::quantise_images(cpu, (values, from), to, y, affine(scale))
            }
        }
    }

    /// Gives the images `now` of a map to who asked for all maps.
    fn give_one_of_all(
        &self,
        cpu: &Cpu,
        network: &CompiledNetwork,
        map: MapId,
        now: &Range<usize>,
        memory: &[f32],
        wanted: &mut Option<Wanted<'_>>,
    ) -> Result<(), Error> {
        match wanted {
            Some(Wanted { map: None, take }) if !network.graph.is_hidden(map) => {
                self.give(cpu, network, map, now, memory, take)
            }
            _ => Ok(()),
        }
    }

    /// Gives the images `now` of a map away.
    fn give(
        &self,
        cpu: &Cpu,
        network: &CompiledNetwork,
        map: MapId,
        now: &Range<usize>,
        memory: &[f32],
        take: &mut Take<'_>,
    ) -> Result<(), Error> {
        let values = &memory[self.arrangement.place(map, now)];
        let layout = self.arrangement.layout(&network.graph, map, now.len()).in_layer("features")?;
        let Elements::Bytes(scale) = network.graph.maps[map].elements else {
            return take(map, now.clone(), values, layout).in_layer("features");
        };
        let mut floats = vec![0.0; layout.len()];
        int8::dequantise(cpu, (int8::bytes(values), layout), layout, &mut floats, affine(scale))
            .in_layer("features")?;
        take(map, now.clone(), &floats, layout).in_layer("features")
    }

    /// Rounds the images `now` of a map to the values of its bytes, where it has a scale. What lies around the pixels
    /// is zero and stays so.
    fn round(&self, network: &CompiledNetwork, map: MapId, now: &Range<usize>, memory: &mut [f32]) {
        if let Some(scale) = network.scales[map] {
            scale.round(&mut memory[self.arrangement.place(map, now)]);
        }
    }

    /// Runs the operation of `node` on the images `now`.
    fn compute(
        &self,
        cpu: &Cpu,
        node: &Node,
        operation: &dyn Executable,
        now: &Range<usize>,
        memory: &mut [f32],
    ) -> Result<(), KernelError> {
        let place = |map: MapId| self.arrangement.place(map, now);
        let residual = node.residual.map_or(0..0, place);
        let places = [place(node.input), residual, place(node.output), self.workspace.clone()];
        let Ok([x, residual, y, workspace]) = memory.get_disjoint_mut(places) else {
            let reason = "its maps do not lie apart from each other".into();
            return Err(KernelError::Shape { what: "the plan's memory".into(), reason });
        };
        let residual = node.residual.map(|_| &*residual);
        operation.run(cpu, OperationMemory { x, residual, y, workspace })
    }
}

/// Runs `body`, and adds its seconds to the clock's entry `index`.
fn timed<T>(clock: &mut Clock<'_>, index: usize, body: impl FnOnce() -> T) -> T {
    let Some(seconds) = clock else { return body() };
    let start = Instant::now();
    let value = body();
    seconds[index] += start.elapsed().as_secs_f64();
    value
}
