//! A plan seen from outside: its operations in order, the maps between them, and the values of those maps.

use std::fmt;
use std::ops::Range;

use residual_arch::{Convolution, LayerPath};
use residual_kernels::{Layout, convert};
use residual_weights::Model;

use crate::error::Error;
use crate::graph::{Graph, INPUT, MapId};
use crate::images::Images;
use crate::parameters::{ConvSource, Parameters};
use crate::plan::Plan;
use crate::program::Wanted;
use crate::scratch::Scratch;

/// Name of a feature map of a plan. Displays as `images`, or as the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MapName {
    /// The normalised images.
    Images,
    /// Map that the operation computes whose first layer has this path.
    Of(LayerPath),
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images => f.write_str("images"),
            Self::Of(path) => path.fmt(f),
        }
    }
}

/// Operation of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// Path of its first layer, which names the map that it computes.
    pub path: LayerPath,
    /// The operation.
    pub kind: StepKind,
    /// Map that it reads.
    pub input: MapName,
    /// Map that is added to the result.
    pub residual: Option<MapName>,
}

/// Kind of an operation, as far as a network in 8 bits is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum StepKind {
    /// Convolution with what is folded into it.
    Conv {
        /// The convolution.
        conv: Convolution,
        /// Batch norm that is folded in.
        norm: Option<LayerPath>,
        /// True where a ReLU ends it.
        relu: bool,
    },
    /// Operation whose values are those of its input, or zero: a max pool, a zero-padded shortcut.
    Copy,
    /// Operation that computes in float32 alone.
    Other,
}

/// Weights of a convolution with the batch norm behind it folded in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Folded {
    /// Weights, `[out_channels, in_channels / groups, kernel, kernel]`.
    pub weights: Vec<f32>,
    /// Bias of each output channel; zero where there is no norm.
    pub bias: Vec<f32>,
}

/// Map of some images, as a plan computes it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// Name of the map.
    pub map: MapName,
    /// `[images, channels, height, width]`
    pub shape: [usize; 4],
    /// The values, row-major.
    pub values: &'a [f32],
}

impl Plan {
    /// Operations in the order in which they run, without the head.
    ///
    /// ```
    /// # use residual_weights::{Model, Tensor};
    /// # let network = residual_arch::families::family("cifar_resnet8")?.check([3, 32, 32])?;
    /// # let tensors = network.tensors().map(|(path, tensor)| {
    /// #     let elements = tensor.shape.iter().product();
    /// #     Ok((path, Tensor::new(tensor.shape, vec![0.1; elements])?))
    /// # });
    /// # let tensors = tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?;
    /// # let model = Model::new(network, tensors)?;
    /// use residual_engine::{Options, Plan};
    /// let plan = Plan::compile(&model, &Options::default())?;
    /// assert_eq!(plan.steps()[0].path.to_string(), "stem.conv0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn steps(&self) -> Vec<Step> {
        let graph = &self.network.graph;
        let step = |node: &crate::graph::Node| Step {
            path: node.path,
            kind: node.op.step(),
            input: name(graph, node.input),
            residual: node.residual.map(|map| name(graph, map)),
        };
        graph.nodes.iter().filter(|node| !node.op.is_conversion()).map(step).collect()
    }

    /// Weights of the convolution at `path` of the model that the plan was compiled of, as the plan computes with them;
    /// `None` for what is no convolution of the plan.
    pub fn folded(&self, model: &Model, path: LayerPath) -> Option<Folded> {
        let node = self.network.graph.nodes.iter().find(|node| node.path == path)?;
        let StepKind::Conv { conv, norm, .. } = node.op.step() else { return None };
        let parameters = Parameters::of(model);
        let mut room = vec![0.0; parameters.weight_count(path)];
        let source = ConvSource { path, kind: conv.kind, norm };
        let (weights, bias) = parameters.folded(self.cpu.pool(), source, &mut room);
        let bias = bias.unwrap_or_else(|| vec![0.0; conv.out_channels]);
        Some(Folded { weights: weights.to_vec(), bias })
    }

    /// Runs a batch and shows every map to `see`, the images among them, a few images at a time and in order.
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    pub fn observe(
        &self,
        images: Images<'_>,
        scratch: &mut Scratch,
        see: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), Error> {
        let count = self.count(&images, scratch)?;
        let graph = &self.network.graph;
        let mut values = Vec::new();
        self.each_part(images, count, |program, images, _| {
            let mut take = |map: MapId, images: Range<usize>, maps: &[f32], from: Layout| {
                let (channels, [height, width]) = (graph.maps[map].channels, graph.maps[map].size);
                let shape = [images.len(), channels, height, width];
                values.resize(shape.iter().product(), 0.0);
                convert(
                    &self.cpu,
                    maps,
                    from,
                    &mut values,
                    Layout::planar(images.len(), channels, height, width)?,
                )?;
                see(Seen { map: name(graph, map), shape, values: &values });
                Ok(())
            };
            let wanted = Some(Wanted { map: None, take: &mut take });
            program.run(&self.cpu, &self.network, images, &mut scratch.memory, wanted, None)
        })
    }
}

/// Name of a map of a graph.
pub(crate) fn name(graph: &Graph, map: MapId) -> MapName {
    match graph.producer(map) {
        Some(node) if graph.nodes[node].op.is_conversion() => name(graph, graph.nodes[node].input),
        Some(node) if map != INPUT => MapName::Of(graph.nodes[node].path),
        _ => MapName::Images,
    }
}
