//! Sums and products, of maps, constants and numbers.

use std::rc::Rc;

use super::layers::Inputs;
use super::node::Fault;
use super::walk::Interpreter;
use crate::import::array::{Array, Elements};
use crate::import::piece::Op;
use crate::import::value::{Numbers, Value, View};
use crate::proto::NodeProto;

impl Interpreter<'_> {
    pub(super) fn arithmetic(&mut self, node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let [Some(a), Some(b)] = *inputs else { return Err("does not read two values".into()) };
        match (a, b) {
            (&Value::Map(a), &Value::Map(b)) => self.of_maps(node, a, b),
            (&Value::Map(x), other) => {
                let constant = as_array(other)?;
                self.by_channel(node, x, &constant, false)
            }
            (other, &Value::Map(x)) => {
                let constant = as_array(other)?;
                self.by_channel(node, x, &constant, true)
            }
            (Value::Numbers(a), Value::Numbers(b)) => of_numbers(node, a, b).map(Value::Numbers),
            (a, b) => {
                let (a, b) = (as_array(a)?, as_array(b)?);
                self.charge(a.len().max(b.len()))?;
                let array = super::constants::elementwise(&node.op_type, &a, &b)?;
                Ok(Value::Constant(Rc::new(array)))
            }
        }
    }

    /// Sum of two maps, or a map with a number for each of its channels.
    fn of_maps(&mut self, node: &NodeProto, a: View, b: View) -> Result<Value, Fault> {
        let (left, right) = (self.shape(a), self.shape(b));
        let is_aligned = a.axes.layout().is_some() && a.axes.layout() == b.axes.layout();
        let is_gate = |gate: [usize; 3], map: [usize; 3]| gate[1..] == [1, 1] && gate[0] == map[0];
        match node.op_type.as_str() {
            _ if !is_aligned => Err("two maps by other axes".into()),
            "Add" | "Sum" if left == right => {
                let map = self.add(node, Op::Add, vec![a.map, b.map], left)?;
                Ok(Value::Map(View { map, ..a }))
            }
            "Mul" if is_gate(right, left) => {
                let map = self.add(node, Op::Gate, vec![a.map, b.map], left)?;
                Ok(Value::Map(View { map, ..a }))
            }
            "Mul" if is_gate(left, right) => {
                let map = self.add(node, Op::Gate, vec![b.map, a.map], right)?;
                Ok(Value::Map(View { map, ..b }))
            }
            _ => Err(format!("of maps of {left:?} and {right:?}").into()),
        }
    }

    /// A map with a constant a channel. `is_right`: the map is the second of the two.
    fn by_channel(
        &mut self,
        node: &NodeProto,
        x: View,
        constant: &Array,
        is_right: bool,
    ) -> Result<Value, Fault> {
        let [channels, ..] = self.shape(x);
        self.charge(3 * channels)?;
        let values = expanded(constant, x, channels).ok_or("a constant that is not a number a channel")?;
        let one = || vec![1.0; channels];
        let negated = |values: Vec<f32>| values.into_iter().map(|value| -value).collect();
        let (scale, shift) = match (node.op_type.as_str(), is_right) {
            ("Add" | "Sum", _) => (one(), values),
            ("Sub", false) => (one(), negated(values)),
            ("Sub", true) => (negated(one()), values),
            ("Mul", _) => (values, vec![0.0; channels]),
            ("Div", false) => (values.into_iter().map(f32::recip).collect(), vec![0.0; channels]),
            _ => return Err("a division by a map".into()),
        };
        self.add_like(node, Op::Affine { scale, shift }, x)
    }
}

/// A constant as a number for each channel of a map, as it is broadcast.
fn expanded(constant: &Array, x: View, channels: usize) -> Option<Vec<f32>> {
    let (rank, channel) = x.axes.layout()?;
    let elements = constant.as_floats()?;
    let before = rank.checked_sub(constant.shape.len())?;
    let is_broadcast =
        |(axis, &extent): (usize, &usize)| extent == 1 || axis + before == channel && extent == channels;
    if !constant.shape.iter().enumerate().all(is_broadcast) {
        return None;
    }
    match elements[..] {
        [value] => Some(vec![value; channels]),
        _ => Some(elements.to_vec()),
    }
}

/// A value as an array of floats.
pub(super) fn as_array(value: &Value) -> Result<Rc<Array>, Fault> {
    match value {
        Value::Constant(array) => match &array.elements {
            Elements::Floats(_) => Ok(Rc::clone(array)),
            Elements::Integers(integers) => {
                let floats = integers.iter().map(|&integer| integer as f32).collect();
                Ok(Rc::new(Array::floats(array.shape.clone(), floats)))
            }
        },
        Value::Numbers(numbers) => {
            let known = numbers.values.iter().map(|value| value.map(|value| value as f32));
            let known: Vec<f32> =
                known.collect::<Option<_>>().ok_or("arithmetic with the number of images")?;
            Ok(Rc::new(Array::floats(numbers.shape.clone(), known)))
        }
        _ => Err("arithmetic of a map".into()),
    }
}

/// Whole numbers, one with another or with each.
fn of_numbers(node: &NodeProto, a: &Numbers, b: &Numbers) -> Result<Numbers, Fault> {
    let length = a.values.len().max(b.values.len());
    if [a, b].iter().any(|side| !(side.values.len() == 1 || side.values.len() == length)) {
        return Err("vectors of other lengths".into());
    }
    let at = |side: &Numbers, index: usize| side.values[if side.values.len() == 1 { 0 } else { index }];
    let value = |index: usize| -> Option<i64> {
        let (a, b) = (at(a, index)?, at(b, index)?);
        match node.op_type.as_str() {
            "Add" | "Sum" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            _ => a.checked_div(b),
        }
    };
    let values: Vec<_> = (0..length).map(value).collect();
    let shape = if a.values.len() >= b.values.len() && !a.is_scalar() { &a.shape } else { &b.shape };
    let shape =
        if shape.iter().product::<usize>() == values.len() { shape.clone() } else { vec![values.len()] };
    Ok(Numbers { values, shape })
}
