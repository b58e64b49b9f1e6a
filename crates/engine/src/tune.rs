//! The algorithm of each convolution: estimated, or measured on this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use residual_kernels::{
    Algorithm, Buffer, Conv, ConvShape, Cpu, Epilogue, Error as KernelError, Layout, Pass, Weights, select,
    select_for,
};

use crate::arrangement::layout;
use crate::error::{Error, InLayer};
use crate::graph::{Graph, INPUT, Node};
use crate::op::conv_shape;
use crate::options::Tune;
use crate::segments::weight_bytes;

/// Runs of a candidate of which the fastest counts, after one that warms up.
const RUNS: usize = 5;

/// The most bytes of a file of measured choices: those of 100,000 layers.
const MAX_CACHE: u64 = 16 << 20;

/// Bytes of packed weights beyond which each of them comes from memory at every run: the level 3 cache of usual
/// processors of today.
const LEVEL3: usize = 32 << 20;

/// The algorithm of every node that is a convolution, for `batch` images at a time.
pub(crate) fn choose(
    cpu: &Cpu,
    graph: &Graph,
    batch: usize,
    tune: Option<&Tune>,
) -> Result<Vec<Option<Algorithm>>, Error> {
    let near = estimates(graph, batch, Weights::AtHand)?;
    let weights = graph.nodes.iter().zip(&near).map(|(node, &near)| weight_bytes(&*node.op, near));
    let from_memory = weights.sum::<usize>() > LEVEL3;
    let estimates = if from_memory { estimates(graph, batch, Weights::InMemory)? } else { near };
    let Some(tune) = tune else { return Ok(estimates) };
    let mut cache = tune.cache.as_deref().map_or_else(|| Ok(Cache::default()), Cache::read)?;
    let known = cache.clone();
    let mut algorithms = estimates;
    for (node, algorithm) in graph.nodes.iter().zip(&mut algorithms) {
        let Some((shape, input)) = convolution(graph, node, batch)? else { continue };
        let layer = Layer { shape, input, from_memory };
        if node.input != INPUT && layer.plans(cpu).in_layer(node.path)?.len() > 1 {
            *algorithm = Some(cache.fastest(cpu, &layer).in_layer(node.path)?);
        }
    }
    if let Some(path) = &tune.cache
        && cache != known
    {
        cache.write(path)?;
    }
    Ok(algorithms)
}

/// Choice of `select` for every convolution.
fn estimates(graph: &Graph, batch: usize, weights: Weights) -> Result<Vec<Option<Algorithm>>, Error> {
    let estimate = |node: &Node| {
        let Some((shape, input)) = convolution(graph, node, batch)? else { return Ok(None) };
        let choice = select_for(Pass::Forward, &shape, &input, weights).in_layer(node.path)?;
        Ok(Some(choice.algorithm))
    };
    graph.nodes.iter().map(estimate).collect()
}

/// The shape of a node that is a convolution, and how its input lies.
fn convolution(graph: &Graph, node: &Node, batch: usize) -> Result<Option<(ConvShape, Layout)>, Error> {
    let Some(conv) = node.op.convolution() else { return Ok(None) };
    let input = layout(graph, node.input, batch, conv.padding).in_layer(node.path)?;
    Ok(Some((conv_shape(conv, graph.maps[node.input].size, batch), input)))
}

/// A convolution that is measured.
struct Layer {
    shape: ConvShape,
    input: Layout,
    /// Weights that come from memory at every run.
    from_memory: bool,
}

impl Layer {
    /// The candidates that compute this layer; more than one where there is a choice.
    fn plans(&self, cpu: &Cpu) -> Result<Vec<Conv>, KernelError> {
        let Self { shape, input, .. } = *self;
        let output = output(&shape)?;
        let candidates = Algorithm::candidates(&shape, &input).into_iter();
        candidates.map(|algorithm| Conv::with_algorithm(cpu, shape, input, output, algorithm)).collect()
    }
}

/// Cache of measured choices: the key of the fastest by machine and shape.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cache(BTreeMap<String, String>);

impl Cache {
    /// The file's content; nothing where there is no file yet.
    fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Cache { path: path.to_owned(), reason };
        let text = match residual_files::read_text(path, MAX_CACHE) {
            Ok(text) => text,
            Err(residual_files::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(wrong(format!("cannot read: {error}"))),
        };
        let entries = serde_json::from_str(&text);
        entries.map(Self).map_err(|error| wrong(format!("not a file of measured choices: {error}")))
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let wrong = |reason: String| Error::Cache { path: path.to_owned(), reason };
        let mut text = serde_json::to_vec_pretty(&self.0).map_err(|error| wrong(error.to_string()))?;
        text.push(b'\n');
        Ok(residual_weights::write_atomically(path, |file| file.write_all(&text))?)
    }

    /// The fastest algorithm for `shape`, measured where it is not known.
    fn fastest(&mut self, cpu: &Cpu, layer: &Layer) -> Result<Algorithm, KernelError> {
        let key = key(cpu, layer);
        let plans = layer.plans(cpu)?;
        let known = self.0.get(&key);
        if let Some(plan) =
            plans.iter().find(|plan| known.is_some_and(|known| known == plan.algorithm().key()))
        {
            return Ok(plan.algorithm());
        }
        let mut best = (f64::INFINITY, select(Pass::Forward, &layer.shape, &layer.input)?.algorithm);
        for plan in plans {
            let seconds = measure(cpu, layer, &plan)?;
            if seconds < best.0 {
                best = (seconds, plan.algorithm());
            }
        }
        self.0.insert(key, best.1.key().to_owned());
        Ok(best.1)
    }
}

/// `PROCESSOR, avx512, 2 threads: 16x64x56x56 to 128, 3x3/2, padding 1`
fn key(cpu: &Cpu, layer: &Layer) -> String {
    let ConvShape { batch, in_channels, out_channels, size: [h, w], .. } = layer.shape;
    let ConvShape { kernel: [kh, kw], stride: [stride, _], padding: [padding, _], .. } = layer.shape;
    let weights = if layer.from_memory { ", weights from memory" } else { "" };
    let (processor, isa, threads) = (processor(), cpu.isa(), cpu.pool().threads());
    format!(
        "{processor}, {isa}, {threads} threads: {batch}x{in_channels}x{h}x{w} to {out_channels}, \
         {kh}x{kw}/{stride}, padding {padding}{weights}"
    )
}

/// Name of the processor; where the system has none, the architecture.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn output(shape: &ConvShape) -> Result<Layout, KernelError> {
    let [height, width] = shape.output()?;
    Layout::blocked(shape.batch, shape.out_channels, height, width)
}

/// Seconds of the fastest run on zeros: what a kernel takes does not depend on the values. Where the weights come
/// from memory in the network, they do so here.
fn measure(cpu: &Cpu, layer: &Layer, conv: &Conv) -> Result<f64, KernelError> {
    let Layer { shape, input, from_memory } = *layer;
    let mut others = Buffer::zeroed(if from_memory { 2 * LEVEL3 / size_of::<f32>() } else { 0 });
    let weights = conv.pack_on(cpu, &vec![0.0; shape.weights()])?;
    let x = Buffer::zeroed(input.len());
    let (mut y, mut workspace) = (Buffer::zeroed(output(&shape)?.len()), Buffer::zeroed(conv.workspace(cpu)));
    let mut best = f64::INFINITY;
    for run in 0..=RUNS {
        others.fill(run as f32);
        let start = Instant::now();
        conv.forward(cpu, &x, &weights, &Epilogue::default(), None, &mut y, &mut workspace)?;
        if run > 0 {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_read_and_not_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tuned.json");
        let cpu = Cpu::new(1).unwrap();
        let shape = ConvShape::square(1, [16, 16], 8, 3, 1);
        let input = Layout::blocked(1, 16, 8, 8).unwrap().with_border(1).unwrap();
        let mut cache = Cache::read(&path).unwrap();
        let layer = Layer { shape, input, from_memory: false };
        let measured = cache.fastest(&cpu, &layer).unwrap();
        assert!(Algorithm::candidates(&shape, &input).contains(&measured));
        cache.write(&path).unwrap();
        assert_eq!(Cache::read(&path).unwrap(), cache);

        // Whatever the file says is taken, so nothing was measured.
        for algorithm in Algorithm::candidates(&shape, &input) {
            cache.0.insert(key(&cpu, &layer), algorithm.key().to_owned());
            assert_eq!(cache.fastest(&cpu, &layer).unwrap(), algorithm);
        }
        cache.0.insert(key(&cpu, &layer), "another release's".to_owned());
        cache.fastest(&cpu, &layer).unwrap();
        assert!(Algorithm::named(&cache.0[&key(&cpu, &layer)]).is_some());

        // At stride 2 it is another layer, with other candidates.
        let known = cache.0.len();
        let shape = ConvShape { stride: [2, 2], ..shape };
        let strided = Layer { shape, ..layer };
        let mut keys: Vec<_> =
            strided.plans(&cpu).unwrap().iter().map(|plan| plan.algorithm().key()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["direct", "strided2", "strided4"]);
        cache.fastest(&cpu, &strided).unwrap();
        assert_eq!(cache.0.len(), known + 1);

        // With other weights around it, it is another layer.
        let (known, layer) = (cache.0.len(), Layer { from_memory: true, ..layer });
        cache.fastest(&cpu, &layer).unwrap();
        assert_eq!(cache.0.len(), known + 1);
    }

    #[test]
    fn a_file_that_is_something_else_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "milk, eggs").unwrap();
        assert!(matches!(Cache::read(&path), Err(Error::Cache { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "milk, eggs");
        assert!(matches!(Cache::read(folder.path()), Err(Error::Cache { .. })));
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = Cache::read(&path).unwrap_err().to_string();
        assert!(error.contains("16777216 is the most"), "{error}");
    }
}
