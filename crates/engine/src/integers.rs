//! From a graph in float32 to one that computes with bytes where its network is in 8 bits.
//!
//! A convolution computes with bytes where it is in 8 bits, there is a kernel for it, and that is faster than float32's on
//! this instruction set; a max pool where what reads it does. A map lies in memory as bytes where one of these reads it.
//! Conversions are operations of their own, between a convolution of bytes and an operation in float32.

use std::sync::Arc;

use residual_kernels::{Cpu, int8};

use crate::arrangement::layout;
use crate::graph::{Elements, Graph, INPUT, Map, MapId, Node};
use crate::op::{Conversion, Int8Conv, Int8MaxPool, Operation, conv_shape};
use crate::quantised::{MapScale, QuantConv, Quantised, scales};
use crate::steps::StepKind;

/// The graph of a network in 8 bits, for `batch` images at a time.
pub(crate) fn with_integers(
    cpu: &Cpu,
    graph: Graph,
    quantised: &Quantised,
    batch: usize,
    until_layer: bool,
) -> Graph {
    let scales = scales(&graph, Some(quantised), until_layer);
    let convs = graph.nodes.iter().map(|node| chosen(cpu, &graph, node, quantised, &scales, batch)).collect();
    let choice = Choice { convs, bytes: vec![false; graph.maps.len()], scales };
    let choice = choice.with_maps(&graph);
    if choice.convs.iter().all(Option::is_none) {
        return graph;
    }
    let Graph { maps, nodes, named, last, head } = graph;
    let mut rewriting = Rewriting { choice, maps, nodes: Vec::new(), floats: Vec::new(), images: None };
    rewriting.floats = vec![None; rewriting.maps.len()];
    for (index, node) in nodes.into_iter().enumerate() {
        rewriting.node(index, node);
    }
    Graph { maps: rewriting.maps, nodes: rewriting.nodes, named, last, head }
}

/// The integer weights of a node that computes with bytes.
fn chosen(
    cpu: &Cpu,
    graph: &Graph,
    node: &Node,
    quantised: &Quantised,
    scales: &[Option<MapScale>],
    batch: usize,
) -> Option<Arc<QuantConv>> {
    let (conv, weights) = (node.op.convolution()?, quantised.conv(node.path)?);
    let images_fit = node.input != INPUT || graph.maps[INPUT].channels <= 4;
    let _scale = scales[node.input].filter(|_| images_fit)?;
    let shape = conv_shape(conv, graph.maps[node.input].size, batch);
    let input = layout(graph, node.input, batch, conv.padding).ok()?;
    let faster = int8::is_faster(cpu, &shape, &input, int8::is_narrow(&weights.weights));
    faster.then(|| Arc::clone(weights))
}

/// Operation that computes with bytes.
struct Choice {
    /// Weights of the nodes that are convolutions of bytes.
    convs: Vec<Option<Arc<QuantConv>>>,
    /// Maps that lie in memory as bytes.
    bytes: Vec<bool>,
    scales: Vec<Option<MapScale>>,
}

impl Choice {
    /// The maps that are bytes, from the last to the first: those that a convolution of bytes reads, those that it
    /// writes and another adds, and what such a map is the maximum of.
    fn with_maps(mut self, graph: &Graph) -> Self {
        for (index, node) in graph.nodes.iter().enumerate().rev() {
            if self.convs[index].is_some() {
                self.bytes[node.input] = true;
                if let Some(added) = node.residual {
                    let native = graph.producer(added).is_some_and(|producer| self.convs[producer].is_some());
                    self.bytes[added] |= native && self.scales[added].is_some() && added != graph.last;
                }
            } else if self.pool(node).is_some() {
                self.bytes[node.input] = true;
            }
        }
        self.bytes[graph.last] = false;
        self
    }

    /// The max pool of bytes that a node is: one of the zeros of the padding is no other than one without where 0 is the
    /// least byte.
    fn pool(&self, node: &Node) -> Option<Int8MaxPool> {
        let pool = node.op.max_pool()?;
        let scale = self.scales[node.output].filter(|_| self.bytes[node.output])?;
        let zero = scale.zero;
        let same = self.scales[node.input] == Some(scale) && (!pool.zeros || zero == 0);
        same.then_some(Int8MaxPool { pool, zero })
    }

    fn elements(&self, map: MapId) -> Elements {
        match self.scales[map] {
            Some(scale) if self.bytes[map] && map != INPUT => Elements::Bytes(scale),
            _ => Elements::Floats,
        }
    }
}

/// A graph in the making.
struct Rewriting {
    choice: Choice,
    maps: Vec<Map>,
    nodes: Vec<Node>,
    /// The floats of maps of bytes that are wanted as such.
    floats: Vec<Option<MapId>>,
    /// The bytes of the images.
    images: Option<MapId>,
}

impl Rewriting {
    /// Puts a node and the conversions around it in the list.
    fn node(&mut self, index: usize, mut node: Node) {
        let output = node.output;
        if let Some(op) = self.in_bytes(index, &node) {
            if node.input == INPUT {
                node.input = self.bytes_of_images(&node);
            }
            self.maps[output].elements = self.choice.elements(output);
            self.nodes.push(Node { op, ..node });
            return;
        }
        node.input = self.floats_of(node.input, &node);
        node.residual = node.residual.map(|map| self.floats_of(map, &node));
        match self.choice.elements(output) {
            Elements::Floats => self.nodes.push(node),
            elements => {
                let path = node.path;
                let raw = self.add(output, Elements::Floats);
                self.nodes.push(Node { output: raw, ..node });
                self.maps[output].elements = elements;
                let op = elements.scale().map(Conversion::ToBytes);
                self.nodes.extend(op.map(|op| Node {
                    path,
                    op: Box::new(op),
                    input: raw,
                    residual: None,
                    output,
                }));
            }
        }
    }

    /// The operation that computes a node with bytes.
    fn in_bytes(&self, index: usize, node: &Node) -> Option<Box<dyn Operation>> {
        if let Some(pool) = self.choice.pool(node).filter(|_| self.choice.bytes[node.input]) {
            return Some(Box::new(pool));
        }
        let weights = Arc::clone(self.choice.convs[index].as_ref()?);
        let StepKind::Conv { conv, norm, relu } = node.op.step() else { return None };
        let input = self.choice.scales[node.input]?;
        let residual = node.residual.map(|map| self.choice.elements(map));
        let output = self.choice.elements(node.output);
        Some(Box::new(Int8Conv { conv, norm, relu, weights, input, residual, output }))
    }

    /// A new map of the sizes of another.
    fn add(&mut self, like: MapId, elements: Elements) -> MapId {
        self.maps.push(Map { elements, ..self.maps[like] });
        self.maps.len() - 1
    }

    /// The images as bytes, for `reader`.
    fn bytes_of_images(&mut self, reader: &Node) -> MapId {
        if let (None, Some(scale)) = (self.images, self.choice.scales[INPUT]) {
            let output = self.add(INPUT, Elements::ImageBytes(scale));
            let op = Box::new(Conversion::ImagesToBytes(scale));
            self.nodes.push(Node { path: reader.path, op, input: INPUT, residual: None, output });
            self.images = Some(output);
        }
        self.images.unwrap_or(INPUT)
    }

    /// A map as floats, for `reader`.
    fn floats_of(&mut self, map: MapId, reader: &Node) -> MapId {
        let Elements::Bytes(scale) = self.choice.elements(map) else { return map };
        if let Some(floats) = self.floats[map] {
            return floats;
        }
        let output = self.add(map, Elements::Floats);
        let op = Box::new(Conversion::ToFloats(scale));
        self.nodes.push(Node { path: reader.path, op, input: map, residual: None, output });
        self.floats[map] = Some(output);
        output
    }
}
