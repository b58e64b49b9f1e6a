//! The nodes that lead to the output, in the order in which they run.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use residual_files::{Budget, available_memory};

use super::node::{Attributes, Fault, label};
use crate::element::INT8;
use crate::error::Error;
use crate::import::array::{Array, Constants, Elements, MAX_CONSTANTS};
use crate::import::piece::{Op, Piece};
use crate::import::value::{Axes, Numbers, Value, View};
use crate::proto::tensor_shape_proto::dimension;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

/// The most whole numbers of a constant that describes a shape.
const MAX_NUMBERS: usize = 4096;

/// The most channels that images usually have.
const USUAL_CHANNELS: i64 = 4;

/// The most channels of an input.
const MAX_CHANNELS: i64 = 32;

/// The most rows and columns of an input.
const MAX_SIDE: i64 = 1 << 14;

/// The most channels of a map.
const MAX_MAP_CHANNELS: usize = 1 << 20;

/// The most rows and columns of a map.
const MAX_MAP_SIDE: usize = 1 << 16;

/// Bytes that constants may take that are made of others, and more by so many times those that they are made of:
/// weights that are standardised in the graph.
const MAX_MADE: u64 = 1 << 30;
const MADE_OF_EACH: u64 = 8;

/// A graph in its normal form.
#[derive(Debug)]
pub(in crate::import) struct Graph {
    pub(in crate::import) pieces: Vec<Piece>,
    /// The piece that is the graph's output.
    pub(in crate::import) output: usize,
    /// Bytes of the constants that were read.
    pub(in crate::import) bytes: u64,
    /// Roundings of maps that are left out.
    pub(in crate::import) rounded: usize,
}

/// State with which nodes are followed.
pub(super) struct Interpreter<'a> {
    initial: HashMap<&'a str, &'a TensorProto>,
    constants: Constants<'a>,
    values: HashMap<&'a str, Value>,
    pub(super) pieces: Vec<Piece>,
    /// Bytes of constants that are made of others.
    made: u64,
    /// Version of the operators.
    pub(super) opset: i64,
    /// Roundings of maps that are left out.
    pub(super) rounded: usize,
}

/// Brings a graph to its normal form, for an input whose free sides are `size`.
///
/// # Errors
/// [`Error::NotSaid`] with every node that is not understood; [`Error::NotOnnx`] for a cycle and for values that
/// nothing gives; [`Error::Constant`].
pub(in crate::import) fn interpret(
    graph: &GraphProto,
    opset: i64,
    size: usize,
    folder: Option<&Path>,
) -> Result<Graph, Error> {
    let initial: HashMap<_, _> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let inputs = graph.input.iter().filter(|input| !initial.contains_key(input.name.as_str()));
    let [input] = inputs.collect::<Vec<_>>()[..] else {
        return Err(not_said("a graph of several inputs, or of none"));
    };
    let output = graph.output.first().ok_or_else(|| not_said("a graph without an output"))?;
    let limit = available_memory().map_or(MAX_CONSTANTS, |available| available.min(MAX_CONSTANTS));
    let constants = Constants { folder, budget: Budget::new(limit) };
    let mut interpreter = Interpreter {
        initial,
        constants,
        values: HashMap::new(),
        pieces: Vec::new(),
        made: 0,
        opset,
        rounded: 0,
    };
    interpreter.input(input, size)?;
    let mut reasons = Vec::new();
    for node in order(graph, &output.name)? {
        interpreter.follow(node, &mut reasons)?;
    }
    match interpreter.values.get(output.name.as_str()) {
        Some(Value::Map(view)) if reasons.is_empty() => {
            let bytes = interpreter.constants.bytes();
            let rounded = interpreter.rounded;
            Ok(Graph { output: view.map, pieces: interpreter.pieces, bytes, rounded })
        }
        _ if reasons.is_empty() => Err(not_said("an output that is not made of the input")),
        _ => Err(Error::NotSaid { reasons }),
    }
}

fn not_said(reason: &str) -> Error {
    Error::NotSaid { reasons: vec![reason.to_owned()] }
}

/// The nodes that `output` is made by, each behind those that it reads.
fn order<'a>(graph: &'a GraphProto, output: &str) -> Result<Vec<&'a NodeProto>, Error> {
    let broken = |reason: String| Error::NotOnnx { reason };
    let mut givers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if givers.insert(name, at).is_some() {
                return Err(broken(format!("two nodes give `{name}`")));
            }
        }
    }
    let (mut order, mut done, mut open) = (Vec::new(), HashSet::new(), HashSet::new());
    let mut stack: Vec<(usize, usize)> = givers.get(output).map(|&at| (at, 0)).into_iter().collect();
    open.extend(stack.first().map(|&(at, _)| at));
    while let Some((at, next)) = stack.pop() {
        let node = &graph.node[at];
        let Some(name) = node.input.get(next) else {
            open.remove(&at);
            done.insert(at);
            order.push(node);
            continue;
        };
        stack.push((at, next + 1));
        match givers.get(name.as_str()) {
            Some(giver) if open.contains(giver) => {
                return Err(broken(format!("{} is made of itself", label(node))));
            }
            Some(&giver) if !done.contains(&giver) => {
                open.insert(giver);
                stack.push((giver, 0));
            }
            _ => {}
        }
    }
    Ok(order)
}

impl<'a> Interpreter<'a> {
    /// Puts the graph's input down: normalised images, channels first or last.
    fn input(&mut self, input: &'a ValueInfoProto, size: usize) -> Result<(), Error> {
        let of = input.r#type.as_ref().and_then(|of| of.value.as_ref());
        let shape = of.and_then(|type_proto::Value::TensorType(tensor)| tensor.shape.as_ref());
        let known = |extent: &crate::proto::tensor_shape_proto::Dimension| match &extent.value {
            Some(dimension::Value::DimValue(extent)) if *extent > 0 => Some(*extent),
            _ => None,
        };
        let extents: Vec<Option<i64>> =
            shape.map(|shape| shape.dim.iter().map(known).collect()).unwrap_or_default();
        let wrong =
            || not_said("an input that is no image: [batch, channels, height, width] or channels last");
        let [_, one, two, three] = extents[..] else { return Err(wrong()) };
        // Images of 32 pixels have as many rows as others have channels: three are sooner channels than 32.
        let by = |most: i64| {
            let is_channels = |extent: Option<i64>| extent.is_some_and(|extent| extent <= most);
            match (is_channels(one), is_channels(three)) {
                (true, _) => Some((Axes::First, one, [two, three])),
                (false, true) => Some((Axes::Last, three, [one, two])),
                _ => None,
            }
        };
        let (axes, channels, sides) = by(USUAL_CHANNELS).or_else(|| by(MAX_CHANNELS)).ok_or_else(wrong)?;
        let sides = sides.map(|side| side.unwrap_or(size as i64));
        if sides.iter().any(|&side| side > MAX_SIDE) {
            return Err(wrong());
        }
        let shape = [channels.unwrap_or(1), sides[0], sides[1]].map(|extent| extent as usize);
        self.pieces.push(Piece { op: Op::Input, reads: vec![], shape, node: "the input".to_owned() });
        self.values.insert(&input.name, Value::Map(View { map: 0, axes }));
        Ok(())
    }

    /// Follows a node; where it is not understood, the reason is put down.
    fn follow(&mut self, node: &'a NodeProto, reasons: &mut Vec<String>) -> Result<(), Error> {
        let value = match self.value_of(node) {
            Ok(value) => value,
            Err(Fault::Damaged(error)) => return Err(error),
            Err(Fault::NotUnderstood(reason)) => {
                reasons.push(format!("{}: {reason}", label(node)));
                Value::Unknown
            }
        };
        for (at, name) in node.output.iter().enumerate() {
            let value = if at == 0 { value.clone() } else { Value::Unknown };
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// Value of a node.
    fn value_of(&mut self, node: &'a NodeProto) -> Result<Value, Fault> {
        let inputs = node.input.iter().map(|name| self.value(name)).collect::<Result<Vec<_>, _>>()?;
        if inputs.iter().any(|input| matches!(input, Some(Value::Unknown))) {
            // The reason is known.
            return Ok(Value::Unknown);
        }
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(format!("an operator of `{}`", node.domain).into());
        }
        if node.op_type == "Constant" {
            return self.constant(Attributes(node));
        }
        let inputs: Vec<Option<&Value>> = inputs.iter().map(Option::as_ref).collect();
        self.operation(node, &inputs)
    }

    /// Value that a name stands for; `None` for an input that is left out.
    fn value(&mut self, name: &'a str) -> Result<Option<Value>, Fault> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(value) = self.values.get(name) {
            return Ok(Some(value.clone()));
        }
        let missing = || Error::NotOnnx { reason: format!("nothing gives `{name}`") };
        let tensor = *self.initial.get(name).ok_or_else(missing)?;
        let value = constant(self.constants.read(tensor)?);
        self.values.insert(name, value.clone());
        Ok(Some(value))
    }

    fn constant(&mut self, attributes: Attributes<'_>) -> Result<Value, Fault> {
        if let Some(tensor) = attributes.tensor("value") {
            return Ok(constant(self.constants.read(tensor)?));
        }
        let floats = attributes.floats("value_floats").filter(|floats| !floats.is_empty());
        let ints = attributes.ints("value_ints").filter(|ints| !ints.is_empty());
        Ok(match (attributes.float("value_float"), floats, attributes.int("value_int"), ints) {
            (Some(value), ..) => Value::Constant(Rc::new(Array::floats(vec![], vec![value]))),
            (_, Some(values), ..) => {
                Value::Constant(Rc::new(Array::floats(vec![values.len()], values.to_vec())))
            }
            (_, _, Some(value), _) => Value::Numbers(Numbers::scalar(Some(value))),
            (_, _, _, Some(values)) => Value::Numbers(Numbers::known(values.iter().copied())),
            _ => return Err("a constant that is no array of numbers".into()),
        })
    }

    /// True where an input is a constant of int8.
    pub(super) fn is_int8(&self, inputs: &[String], at: usize) -> bool {
        let tensor = inputs.get(at).and_then(|name| self.initial.get(name.as_str()));
        tensor.is_some_and(|tensor| tensor.data_type == INT8)
    }

    /// Adds a piece; gives its map.
    pub(super) fn add(
        &mut self,
        node: &NodeProto,
        op: Op,
        reads: Vec<usize>,
        shape: [usize; 3],
    ) -> Result<usize, Fault> {
        let [channels, height, width] = shape;
        if channels > MAX_MAP_CHANNELS || height.max(width) > MAX_MAP_SIDE || shape.contains(&0) {
            return Err(format!("a map of {channels}x{height}x{width}").into());
        }
        self.pieces.push(Piece { op, reads, shape, node: label(node) });
        Ok(self.pieces.len() - 1)
    }

    /// Adds a piece that reads one map and keeps its shape and its axes.
    pub(super) fn add_like(&mut self, node: &NodeProto, op: Op, x: View) -> Result<Value, Fault> {
        let map = self.add(node, op, vec![x.map], self.shape(x))?;
        Ok(Value::Map(View { map, ..x }))
    }

    /// Charges what a constant of so many elements takes that is made of others.
    pub(super) fn charge(&mut self, elements: usize) -> Result<(), Fault> {
        self.made += 4 * elements as u64;
        let limit = MAX_MADE + MADE_OF_EACH.saturating_mul(self.constants.bytes());
        match self.made <= limit {
            true => Ok(()),
            false => Err(Error::from(residual_files::Error::OverBudget { limit }).into()),
        }
    }

    /// `[channels, height, width]` of a map.
    pub(super) fn shape(&self, x: View) -> [usize; 3] {
        self.pieces[x.map].shape
    }
}

/// A constant as a value: whole numbers of two dimensions at most may describe a shape.
pub(super) fn constant(array: Array) -> Value {
    match &array.elements {
        Elements::Integers(values) if array.shape.len() <= 2 && values.len() <= MAX_NUMBERS => {
            let shape = array.shape.clone();
            Value::Numbers(Numbers { shape, ..Numbers::known(values.iter().copied()) })
        }
        _ => Value::Constant(Rc::new(array)),
    }
}
