//! From a checked network to a graph: which layers become one operation.
//!
//! A layer is folded into the one before it where it is the only reader of its result: the batch norm behind a
//! convolution, the addition whose first term is the end of a branch, the activation behind any of them. What a
//! block gives is never folded away, since it can be asked for; what a stem gives is, where a pre-activation
//! block's norm is all that reads it. (A max pool between them is not a convolution, and nothing is folded into
//! it: a negative scale would turn it into a minimum.)

use std::sync::Arc;

use residual_arch::{Activation, Field, Layer, LayerOp, LayerPath, Network, Norm, Place, Source};

use crate::error::Error;
use crate::graph::{Elements, Graph, INPUT, Map, MapId, Node};
use crate::op::{
    AveragePool, BlurPool, ChannelAttention, Dense, EfficientAttention, FusedConv, GroupAffine, GroupNorm,
    MaxPool, Normalise, Operation, SqueezeExcite, ZeroPad,
};
use crate::parameters::Parameters;

/// Graph of a checked network.
///
/// # Errors
/// [`Error::Unsupported`] for a layer that no operation computes.
pub(crate) fn lower(network: &Network, parameters: &Parameters<'_>) -> Result<Graph, Error> {
    let wiring = Wiring::of(network, network.layers());
    let mut fusion = Fusion { wiring: &wiring, parameters, absorbed: vec![false; wiring.layers.len()] };
    let (mut drafts, mut head) = (Vec::new(), None);
    for index in 0..wiring.layers.len() {
        let layer = &wiring.layers[index];
        match layer.op() {
            _ if fusion.absorbed[index] || layer.op().is_identity_in_evaluation() => {}
            LayerOp::GlobalAverage => {}
            &LayerOp::Linear { inputs, outputs } => {
                let pooled = wiring.source(index).ok_or_else(|| unsupported(layer))?;
                let fields = [Field::Weight, Field::Bias];
                head = Some((pooled, fusion.dense(layer.path(), fields, [inputs, outputs])));
            }
            _ => drafts.push(fusion.draft(index)?),
        }
    }
    let (pooled, head) = head.ok_or_else(|| unsupported(&wiring.layers[wiring.layers.len() - 1]))?;
    if *wiring.layers[pooled].op() != LayerOp::GlobalAverage {
        return Err(unsupported(&wiring.layers[pooled]));
    }
    Ok(Schedule::of(network, &wiring, drafts).graph(wiring.source(pooled), head))
}

/// Graph of the layers of a checked network that lead to the result of `layer`, which nothing behind it is folded into.
/// Its head is without outputs.
///
/// # Errors
/// [`Error::NoLayer`] for a layer that the network does not have, and for those of the head's pool and behind it;
/// [`Error::Unsupported`] as for [`lower`].
pub(crate) fn lower_until(
    network: &Network,
    parameters: &Parameters<'_>,
    layer: LayerPath,
) -> Result<Graph, Error> {
    let found = network.layers().iter().position(|found| found.path() == layer);
    let is_map = |layer: &Layer| !matches!(layer.op(), LayerOp::GlobalAverage | LayerOp::Linear { .. });
    let end = found.filter(|&end| network.layers()[..=end].iter().all(is_map));
    let end = end.ok_or(Error::NoLayer { layer })?;
    let wiring = Wiring::of(network, &network.layers()[..=end]);
    let mut fusion = Fusion { wiring: &wiring, parameters, absorbed: vec![false; wiring.layers.len()] };
    let mut drafts = Vec::new();
    for index in 0..wiring.layers.len() {
        if !fusion.absorbed[index] && !wiring.layers[index].op().is_identity_in_evaluation() {
            drafts.push(fusion.draft(index)?);
        }
    }
    let ins = network.layers()[end].output()[0];
    let head = Dense { ins, outs: 0, weights: Vec::new(), bias: Vec::new() };
    Ok(Schedule::of(network, &wiring, drafts).graph(wiring.real(end), head))
}

fn unsupported(layer: &Layer) -> Error {
    Error::Unsupported { layer: layer.path(), op: format!("{:?}", layer.op()) }
}

/// Readers and sources of each layer, without those that evaluation leaves out. A layer is its place in the list.
struct Wiring<'a> {
    layers: &'a [Layer],
    /// The layers that read each.
    readers: Vec<Vec<usize>>,
    /// Layers whose result has to exist.
    kept: Vec<bool>,
}

impl<'a> Wiring<'a> {
    /// Wiring of the first layers of a network, or of all.
    fn of(network: &'a Network, layers: &'a [Layer]) -> Self {
        let none = vec![Vec::new(); layers.len()];
        let mut wiring = Self { layers, readers: none, kept: vec![false; layers.len()] };
        for (index, layer) in layers.iter().enumerate() {
            let reads = layer.reads().sources().filter(|_| !layer.op().is_identity_in_evaluation());
            for read in reads.filter_map(|source| wiring.resolve(source)).collect::<Vec<_>>() {
                wiring.readers[read].push(index);
            }
        }
        let mut end = network.layers_of(Place::Stem).len();
        for (_, _, layers) in network.blocks() {
            end += layers.len();
            if end > wiring.layers.len() {
                break;
            }
            if let Some(last) = wiring.real(end - 1) {
                wiring.kept[last] = true;
            }
        }
        wiring
    }

    /// The layer that computes what `source` is; `None` for the images.
    fn resolve(&self, source: Source) -> Option<usize> {
        match source {
            Source::Input => None,
            Source::Layer(id) => self.real(id.index()),
        }
    }

    /// The layer itself, or the one whose result it hands on.
    fn real(&self, mut index: usize) -> Option<usize> {
        while self.layers[index].op().is_identity_in_evaluation() {
            match self.layers[index].reads().first() {
                Source::Input => return None,
                Source::Layer(id) => index = id.index(),
            }
        }
        Some(index)
    }

    /// Source of a layer, of an addition the first term.
    fn source(&self, index: usize) -> Option<usize> {
        self.resolve(self.layers[index].reads().first())
    }

    /// The layer that alone reads `index`, where nobody else can ask for its result.
    fn only_reader(&self, index: usize) -> Option<usize> {
        match self.readers[index][..] {
            [reader] if !self.kept[index] => Some(reader),
            _ => None,
        }
    }
}

/// A node before its maps have numbers: maps are named by the layers that compute them.
struct Draft {
    path: LayerPath,
    op: Box<dyn Operation>,
    input: Option<usize>,
    /// Map that is added: nothing, or the images or a layer.
    residual: Option<Option<usize>>,
    /// The last layer that it computes.
    output: usize,
}

/// Layers taken together.
struct Fusion<'a> {
    wiring: &'a Wiring<'a>,
    parameters: &'a Parameters<'a>,
    absorbed: Vec<bool>,
}

impl Fusion<'_> {
    /// The node that begins with layer `index`.
    fn draft(&mut self, index: usize) -> Result<Draft, Error> {
        let (layer, mut end, mut residual) = (&self.wiring.layers[index], index, None);
        let path = layer.path();
        let op: Box<dyn Operation> = match *layer.op() {
            LayerOp::Conv(conv) => {
                let norm = self.absorb(&mut end, |op| matches!(op, LayerOp::Norm(Norm::Batch { .. })));
                let norm = norm.map(|norm| self.wiring.layers[norm].path());
                let relu = self.join(&mut end, &mut residual);
                Box::new(FusedConv { conv, norm, relu })
            }
            LayerOp::SqueezeExcite(squeeze) => {
                let (channels, reduced) = (squeeze.channels, squeeze.reduced);
                let fields = [Field::ReduceWeight, Field::ReduceBias];
                let reduce = self.dense(path, fields, [channels, reduced]);
                let fields = [Field::ExpandWeight, Field::ExpandBias];
                let expand = self.dense(path, fields, [reduced, channels]);
                let relu = self.join(&mut end, &mut residual);
                Box::new(ChannelAttention { gate: Arc::new(SqueezeExcite { reduce, expand }), relu })
            }
            LayerOp::EfficientAttention(attention) => {
                let weights = self.parameters.get(path.tensor(Field::Weight)).to_vec();
                let gate = Arc::new(EfficientAttention { weights, channels: attention.channels });
                let relu = self.join(&mut end, &mut residual);
                Box::new(ChannelAttention { gate, relu })
            }
            LayerOp::Norm(Norm::Batch { .. }) => {
                let relu = self.absorb(&mut end, is_relu).is_some();
                Box::new(Normalise { affine: Arc::new(self.parameters.norm(path)), relu })
            }
            LayerOp::Norm(Norm::Group { groups, .. }) => {
                let fields = [Field::Weight, Field::Bias];
                let [gamma, beta] = fields.map(|field| self.parameters.get(path.tensor(field)).to_vec());
                let affine = Arc::new(GroupAffine { gamma, beta, groups });
                let relu = self.join(&mut end, &mut residual);
                Box::new(GroupNorm { affine, relu })
            }
            LayerOp::MaxPool(pool) => Box::new(MaxPool { pool }),
            LayerOp::AveragePool(pool) => Box::new(AveragePool { pool }),
            LayerOp::BlurPool(pool) => Box::new(BlurPool { stride: pool.stride }),
            LayerOp::ZeroPad(pad) => Box::new(ZeroPad { stride: pad.stride, before: pad.before() }),
            _ => return Err(unsupported(layer)),
        };
        Ok(Draft { path, op, input: self.wiring.source(index), residual, output: end })
    }

    /// Takes the layer behind `end` with it, where that is the only reader and an operation that is wanted.
    fn absorb(&mut self, end: &mut usize, wanted: impl Fn(&LayerOp) -> bool) -> Option<usize> {
        let reader = self.wiring.only_reader(*end).filter(|&r| wanted(self.wiring.layers[r].op()))?;
        self.absorbed[reader] = true;
        *end = reader;
        Some(reader)
    }

    /// Takes the addition whose first term `end` is and the ReLU behind it, or the ReLU alone; and says whether there
    /// is one.
    fn join(&mut self, end: &mut usize, residual: &mut Option<Option<usize>>) -> bool {
        let reader = self.wiring.only_reader(*end);
        if reader.is_some_and(|reader| self.wiring.source(reader) == Some(*end))
            && let Some(add) = self.absorb(end, |op| *op == LayerOp::Add)
        {
            *residual = self.wiring.layers[add].reads().second().map(|second| self.wiring.resolve(second));
        }
        self.absorb(end, is_relu).is_some()
    }

    fn dense(&self, path: LayerPath, fields: [Field; 2], [ins, outs]: [usize; 2]) -> Dense {
        let [weights, bias] = fields.map(|field| self.parameters.get(path.tensor(field)).to_vec());
        Dense { ins, outs, weights, bias }
    }
}

fn is_relu(op: &LayerOp) -> bool {
    *op == LayerOp::Activation(Activation::Relu)
}

/// The nodes in the order in which they run. A shortcut runs before its branch: the last convolution of the
/// branch adds what it gave.
struct Schedule<'a> {
    network: &'a Network,
    drafts: Vec<Option<Draft>>,
    /// The draft that computes each layer's result, where one does.
    by_layer: Vec<Option<usize>>,
    /// The map of each layer's result, once its node is in the list.
    map_of: Vec<Option<MapId>>,
    maps: Vec<Map>,
    nodes: Vec<Node>,
}

impl<'a> Schedule<'a> {
    fn of(network: &'a Network, wiring: &Wiring<'_>, drafts: Vec<Draft>) -> Self {
        let mut by_layer = vec![None; wiring.layers.len()];
        drafts.iter().enumerate().for_each(|(number, draft)| by_layer[draft.output] = Some(number));
        Self {
            network,
            drafts: drafts.into_iter().map(Some).collect(),
            map_of: vec![None; by_layer.len()],
            by_layer,
            maps: vec![map(network.input())],
            nodes: Vec::new(),
        }
    }

    /// The graph whose head reads the result of layer `last`.
    fn graph(mut self, last: Option<usize>, head: Dense) -> Graph {
        let last = last.map_or(INPUT, |last| self.demand(last));
        let mut named = Vec::new();
        let mut end = self.network.layers_of(Place::Stem).len();
        let map_of = |end: usize| self.map_of.get(end - 1).copied().flatten();
        named.extend(map_of(end).map(|map| (Place::Stem, map)));
        for (path, _, layers) in self.network.blocks() {
            end += layers.len();
            named.extend(map_of(end).map(|map| (Place::Block(path), map)));
        }
        Graph { maps: self.maps, nodes: self.nodes, named, last, head }
    }

    /// Puts the nodes that lead to the result of `layer` in the list, and gives its map.
    fn demand(&mut self, layer: usize) -> MapId {
        let mut waiting: Vec<usize> = self.by_layer[layer].into_iter().collect();
        while let Some(&next) = waiting.last() {
            let needs = self.drafts[next].iter().flat_map(|draft| [draft.residual.flatten(), draft.input]);
            let missing = needs.flatten().find(|&layer| self.map_of[layer].is_none());
            match missing.and_then(|layer| self.by_layer[layer]) {
                Some(first) => waiting.push(first),
                None => {
                    waiting.pop();
                    self.emit(next);
                }
            }
        }
        self.map(Some(layer))
    }

    /// Puts a node in the list, whose maps are there.
    fn emit(&mut self, number: usize) {
        let Some(Draft { path, op, input, residual, output }) = self.drafts[number].take() else {
            return;
        };
        let residual = residual.map(|residual| self.map(residual));
        let input = self.map(input);
        self.map_of[output] = Some(self.maps.len());
        self.nodes.push(Node { path, op, input, residual, output: self.maps.len() });
        self.maps.push(map(self.network.layers()[output].output()));
    }

    fn map(&self, layer: Option<usize>) -> MapId {
        layer.and_then(|layer| self.map_of[layer]).unwrap_or(INPUT)
    }
}

fn map([channels, height, width]: [usize; 3]) -> Map {
    Map { channels, size: [height, width], elements: Elements::Floats }
}
