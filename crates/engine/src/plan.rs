//! A network compiled: made once, run often.

use std::collections::HashSet;

use residual_arch::{LayerPath, NetSpec};
use residual_kernels::{Algorithm, Buffer, Cpu, Isa, Pool};
use residual_weights::Model;

use crate::error::{Error, InLayer};
use crate::graph::{Graph, Node};
use crate::image_bytes::ImageBytes;
use crate::images::Images;
use crate::integers::with_integers;
use crate::lower::{lower, lower_until};
use crate::op::WeightPacker;
use crate::options::Options;
use crate::parameters::Parameters;
use crate::program::{CompiledNetwork, HeadOutputs, Program, ProgramDraft};
use crate::quantised::{require_scales, scales};
use crate::scratch::Scratch;
use crate::segments::weight_bytes;
use crate::steps::StepKind;
use crate::tune::choose;

/// Elements of the largest map of a part of a batch: 16 images of ResNet's stem at 224x224. Parts of that
/// size keep all threads busy in every layer, and their maps of the later stages stay in the last level cache;
/// larger ones only need more memory.
const PART: usize = 16 * 64 * 112 * 112;

/// The most images of a plan: what a caller could mean, far from sizes that overflow.
const MOST_IMAGES: usize = 1 << 16;

/// A network that is compiled: batch norms folded, weights packed, algorithms chosen, memory laid out.
///
/// Running it changes nothing in it: threads may share one plan, each with a [`Scratch`] of its own. An image
/// has the same logits, to the bit, in any batch, with any number of threads, in any call.
#[derive(Debug)]
pub struct Plan {
    pub(crate) cpu: Cpu,
    pub(crate) network: CompiledNetwork,
    /// Programs from the largest batch to single images: any number of images is a sum of theirs.
    pub(crate) programs: Vec<Program>,
    /// `[channels, height, width]` of an image.
    image: [usize; 3],
    max_batch: usize,
    allow_not_finite: bool,
}

impl Plan {
    /// Compiles a model.
    ///
    /// # Errors
    /// [`Error::Shape`] where the network does not take images of the size asked for, [`Error::Weights`] with every
    /// tensor that is not finite, [`Error::TooLittleMemory`] before any is taken, [`Error::Option`] and
    /// [`Error::Machine`] for options that no plan can have, [`Error::Cache`] for a tuning file that is something else,
    /// [`Error::NoScale`] for a network in 8 bits whose file lacks a scale.
    pub fn compile(model: &Model, options: &Options) -> Result<Self, Error> {
        let spec = model.spec();
        let [channels, height, width] = model.network().input();
        let size = options.size.unwrap_or([height, width]);
        let image = [channels, size[0], size[1]];
        let resized = if size == [height, width] { None } else { Some(spec.check(image)?) };
        let checked = resized.as_ref().unwrap_or(model.network());
        let max_batch = max_batch(options)?;
        let cpu = cpu(options)?;
        let parameters = Parameters::of(model);
        let graph = match options.until {
            Some(layer) => lower_until(checked, &parameters, layer)?,
            None => lower(checked, &parameters)?,
        };
        require_scales(&graph, model.quantised())?;
        let part = part(&graph, max_batch);
        let until_layer = options.until.is_some();
        let graph = match model.quantised().filter(|_| options.integers) {
            Some(quantised) => with_integers(&cpu, graph, quantised, part, until_layer),
            None => graph,
        };
        let algorithms = choose(&cpu, &graph, part, options.tune.as_ref())?;
        let draft = |batch| ProgramDraft::new(&cpu, &graph, &algorithms, batch);
        let drafts = batches(part).map(draft).collect::<Result<Vec<_>, _>>()?;
        require_memory(spec, size, memory_needed(&graph, &algorithms, &drafts, max_batch))?;
        if !options.allow_not_finite {
            let is_conv = |node: &&Node| matches!(node.op.step(), StepKind::Conv { .. });
            let convs: HashSet<LayerPath> =
                graph.nodes.iter().filter(is_conv).map(|node| node.path).collect();
            // Those of convolutions are checked one by one as they are packed, while they are in the cache.
            parameters.check(|path| !convs.contains(&path.layer))?;
        }
        let largest = graph.convs().map(|node| parameters.weight_count(node.path)).max().unwrap_or(0);
        let mut packer = WeightPacker::new(&cpu, &parameters, largest, options.allow_not_finite);
        let programs = drafts.into_iter().map(|draft| draft.load(&mut packer)).collect::<Result<_, _>>()?;
        drop(packer);
        let (mean, std) = (spec.preprocess.mean.clone(), spec.preprocess.std.clone());
        let scales = scales(&graph, model.quantised().filter(|_| !options.integers), until_layer);
        let image_bytes = ImageBytes::of(&cpu, &graph, &mean, &std).in_layer("input")?;
        let network = CompiledNetwork { graph, mean, std, image_bytes, scales };
        let allow_not_finite = options.allow_not_finite;
        Ok(Self { cpu, network, programs, image, max_batch, allow_not_finite })
    }

    /// Memory for one caller at a time.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            memory: Buffer::zeroed(self.memory()),
            pooled: vec![0.0; self.part() * self.network.graph.head.ins],
            logits: vec![0.0; self.max_batch * self.classes()],
        }
    }

    /// The logits of a batch of images, `[batch][classes]`, which lie in `scratch` until its next use.
    ///
    /// Allocates nothing. All threads of the plan work on the call; while another call has them, it runs on
    /// the calling thread alone.
    ///
    /// # Shapes
    /// [`Images`] says how the pixels lie.
    ///
    /// # Errors
    /// [`Error::Images`] for a length that is no whole number of images or none,
    /// [`Error::Batch`] for too many, [`Error::Scratch`] for memory made for another plan,
    /// [`Error::NotFinite`] with the first image whose logits are not finite ([`Options::allow_not_finite`]).
    pub fn run<'s>(&self, images: Images<'_>, scratch: &'s mut Scratch) -> Result<&'s [f32], Error> {
        let count = self.count(&images, scratch)?;
        self.run_timed(images, count, scratch, None)?;
        let logits = &scratch.logits[..count * self.classes()];
        self.check_finite(logits, self.classes())?;
        Ok(logits)
    }

    /// Checks results of which each image has `each`.
    ///
    /// # Errors
    /// [`Error::NotFinite`], where that is asked for.
    pub(crate) fn check_finite(&self, values: &[f32], each: usize) -> Result<(), Error> {
        let bad = || values.iter().position(|value| !value.is_finite());
        match if self.allow_not_finite { None } else { bad() } {
            Some(at) => Err(Error::NotFinite { image: at / each.max(1) }),
            None => Ok(()),
        }
    }

    /// Runs `count` images part by part, and adds the seconds of every layer to `clock`.
    pub(crate) fn run_timed(
        &self,
        images: Images<'_>,
        count: usize,
        scratch: &mut Scratch,
        mut clock: Option<&mut [f64]>,
    ) -> Result<(), Error> {
        let (classes, features) = (self.classes(), self.network.graph.head.ins);
        let Scratch { memory, pooled, logits } = scratch;
        self.each_part(images, count, |program, images, first| {
            let batch = program.batch();
            program.run(&self.cpu, &self.network, images, memory, None, clock.as_deref_mut())?;
            let logits = &mut logits[first * classes..(first + batch) * classes];
            let out = HeadOutputs { pooled: &mut pooled[..batch * features], logits };
            program.head(&self.cpu, &self.network, memory, out, clock.as_deref_mut())
        })
    }

    /// Calls `body(program, images, first)` for every part of a batch.
    pub(crate) fn each_part(
        &self,
        images: Images<'_>,
        count: usize,
        mut body: impl FnMut(&Program, Images<'_>, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut first = 0;
        for program in &self.programs {
            while count - first >= program.batch() {
                body(program, images.part(first, program.batch(), self.elements()), first)?;
                first += program.batch();
            }
        }
        Ok(())
    }

    /// Number of images of a batch, checked.
    ///
    /// # Errors
    /// Where they or the scratch memory do not fit the plan.
    pub(crate) fn count(&self, images: &Images<'_>, scratch: &Scratch) -> Result<usize, Error> {
        let ([channels, height, width], found, max_batch) = (self.image, images.len(), self.max_batch);
        if found == 0 || found % self.elements() != 0 {
            return Err(Error::Images { found, height, width, channels });
        }
        let count = found / self.elements();
        if count > max_batch {
            return Err(Error::Batch { found: count, max_batch });
        }
        let lengths = |s: &Scratch| [s.memory.len(), s.pooled.len(), s.logits.len()];
        let features = self.part() * self.network.graph.head.ins;
        if lengths(scratch) != [self.memory(), features, max_batch * self.classes()] {
            return Err(Error::Scratch);
        }
        Ok(count)
    }

    /// `[channels, height, width]` of an image.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }

    /// Classes: logits of an image.
    pub fn classes(&self) -> usize {
        self.network.graph.head.outs
    }

    /// Largest batch of one call.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Number of threads that work on a call.
    pub fn threads(&self) -> usize {
        self.cpu.pool().threads()
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.cpu.isa()
    }

    /// Elements of an image.
    fn elements(&self) -> usize {
        self.image.iter().product()
    }

    /// The most images that run at once.
    fn part(&self) -> usize {
        self.programs.first().map_or(1, Program::batch)
    }

    fn memory(&self) -> usize {
        self.programs.iter().map(Program::memory).max().unwrap_or(0)
    }
}

fn max_batch(options: &Options) -> Result<usize, Error> {
    if (1..=MOST_IMAGES).contains(&options.max_batch) {
        return Ok(options.max_batch);
    }
    let found = options.max_batch.to_string();
    Err(Error::Option { option: "max_batch", found, expected: "from 1 to 65536" })
}

fn cpu(options: &Options) -> Result<Cpu, Error> {
    let threads = options.threads.unwrap_or_else(Pool::machine_threads);
    if threads == 0 {
        return Err(Error::Option { option: "threads", found: "0".into(), expected: "1 or more" });
    }
    let cpu = match options.isa {
        Some(isa) => Cpu::with_isa(isa, threads),
        None => Cpu::new(threads),
    };
    cpu.map_err(Error::Machine)
}

/// The most images that run at once.
fn part(graph: &Graph, max_batch: usize) -> usize {
    max_batch.min((PART / graph.largest_map()).max(1))
}

/// Batch sizes of which any up to `part` is a sum of few: `part` and the powers of two below.
fn batches(part: usize) -> impl Iterator<Item = usize> {
    let powers = (0..usize::BITS).rev().map(|bit| 1 << bit);
    std::iter::once(part).chain(powers.filter(move |&power| power < part))
}

/// Bytes of a plan's packed weights, maps and results, and of the largest layer's weights before they are packed.
fn memory_needed(
    graph: &Graph,
    algorithms: &[Option<Algorithm>],
    drafts: &[ProgramDraft],
    max_batch: usize,
) -> usize {
    let layers = graph.nodes.iter().zip(algorithms);
    let packed: usize = layers.map(|(node, algorithm)| weight_bytes(&*node.op, *algorithm)).sum();
    let unpacked = graph.convs().map(|node| weight_bytes(&*node.op, None)).max().unwrap_or(0);
    let maps = drafts.iter().map(ProgramDraft::memory).max().unwrap_or(0);
    let results = max_batch.saturating_mul(graph.head.outs);
    let values = maps.saturating_add(results).saturating_mul(size_of::<f32>());
    packed.saturating_add(unpacked).saturating_add(values)
}

/// Refuses a plan for images of `[height, width]` that needs more memory than there is.
fn require_memory(spec: &NetSpec, [height, width]: [usize; 2], bytes: usize) -> Result<(), Error> {
    residual_files::require_memory(bytes as u64).map_err(|cause| Error::TooLittleMemory {
        model: spec.name.clone(),
        height,
        width,
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_images_is_a_sum_of_batches() {
        for part in 1..70 {
            let sizes: Vec<usize> = batches(part).collect();
            assert_eq!((sizes[0], sizes.last()), (part, Some(&1)));
            for count in 1..200 {
                let left = sizes.iter().fold(count, |left, size| left % size);
                assert_eq!(left, 0, "{count} of {part}");
            }
        }
    }
}
