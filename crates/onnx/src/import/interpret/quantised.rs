//! Integers of a quantised graph: constants as the floats that they stand for, roundings of maps left out.

use std::rc::Rc;

use super::arithmetic::as_array;
use super::layers::Inputs;
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use crate::import::array::{Array, Elements};
use crate::import::piece::Op;
use crate::import::value::{Value, View};
use crate::proto::NodeProto;

/// The least value of int8.
const LEAST: f32 = -128.0;

impl Interpreter<'_> {
    /// Value of `QuantizeLinear` and `DequantizeLinear`.
    pub(super) fn linear_quantisation(
        &mut self,
        node: &NodeProto,
        x: &Value,
        inputs: &Inputs<'_>,
    ) -> Result<Value, Fault> {
        let is_rounding = node.op_type == "QuantizeLinear";
        match *x {
            Value::Map(view) if is_rounding => {
                self.rounded += 1;
                self.cut_off(node, view, inputs)
            }
            Value::Map(view) => Ok(Value::Map(view)),
            _ => {
                let x = as_array(x)?;
                self.charge(2 * x.len())?;
                let of = Scales::of(node, &x, inputs)?;
                let range = if self.is_int8(&node.input, 2) { [LEAST, 127.0] } else { [0.0, 255.0] };
                let array = if is_rounding { of.integers(&x, range) } else { of.floats(&x) };
                Ok(Value::Constant(Rc::new(array)))
            }
        }
    }

    /// Map whose bytes begin at 0: quantising tools leave out a ReLU in front of it, since bytes have no sign.
    fn cut_off(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let zero = inputs.get(2).copied().flatten().map(as_array).transpose()?;
        let values = zero.as_ref().and_then(|zero| zero.as_floats());
        let is_signed = self.is_int8(&node.input, 2);
        let least = if is_signed { LEAST } else { 0.0 };
        let begins_at_0 = match values.as_deref() {
            None => true,
            Some([zero]) => *zero == least,
            Some(_) => return Err("a map with several zeros".into()),
        };
        match begins_at_0 && !self.is_positive(x.map) {
            true => self.add_like(node, Op::Relu, x),
            false => Ok(Value::Map(x)),
        }
    }

    /// True for a map without values below zero.
    fn is_positive(&self, mut map: usize) -> bool {
        loop {
            let piece = &self.pieces[map];
            match piece.op {
                Op::Relu | Op::Sigmoid | Op::Softmax => return true,
                // Each reads one map, which stands before it.
                Op::MaxPool(_)
                | Op::AveragePool(_)
                | Op::Sample { .. }
                | Op::PadChannels { .. }
                | Op::Mean
                | Op::Reflect { .. } => {}
                Op::Pad { value, .. } if value >= 0.0 => {}
                _ => return false,
            }
            match piece.reads.first() {
                Some(&read) => map = read,
                None => return false,
            }
        }
    }
}

/// Scales and zeros of a constant along an axis.
struct Scales {
    scale: Rc<[f32]>,
    zero: Option<Rc<[f32]>>,
    /// Elements that have one scale in a row, one behind the other.
    each: usize,
}

impl Scales {
    fn of(node: &NodeProto, x: &Array, inputs: &Inputs<'_>) -> Result<Self, Fault> {
        let of = |at: usize| -> Result<Option<Rc<[f32]>>, Fault> {
            let array = inputs.get(at).copied().flatten().map(as_array).transpose()?;
            Ok(array.and_then(|array| array.as_floats()))
        };
        let (scale, zero) = (of(1)?.ok_or("its scale is left out")?, of(2)?);
        if scale.iter().any(|scale| !(scale.is_finite() && *scale > 0.0)) {
            return Err("a scale that is no number above 0".into());
        }
        if zero.as_ref().is_some_and(|zero| zero.len() != scale.len()) {
            return Err("as many zeros as scales are expected".into());
        }
        if scale.len() == 1 {
            return Ok(Self { scale, zero, each: x.len().max(1) });
        }
        let axis = Attributes(node).int("axis").unwrap_or(1);
        let rank = x.shape.len() as i64;
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).unwrap_or(usize::MAX);
        match x.shape.get(axis) {
            Some(&extent) if extent == scale.len() => {
                let each = x.shape[axis + 1..].iter().product::<usize>().max(1);
                Ok(Self { scale, zero, each })
            }
            _ => Err(format!("{} scales for a constant of {:?}", scale.len(), x.shape).into()),
        }
    }

    fn at(&self, element: usize) -> (f32, f32) {
        let number = element / self.each % self.scale.len();
        (self.scale[number], self.zero.as_ref().map_or(0.0, |zero| zero[number]))
    }

    /// `scale (q - zero)`
    fn floats(&self, x: &Array) -> Array {
        self.map(x, |x, scale, zero| scale * (x - zero))
    }

    /// `clamp(round(x / scale) + zero)`, within a range.
    fn integers(&self, x: &Array, [least, most]: [f32; 2]) -> Array {
        self.map(x, |x, scale, zero| ((x / scale).round_ties_even() + zero).clamp(least, most))
    }

    fn map(&self, x: &Array, of: impl Fn(f32, f32, f32) -> f32) -> Array {
        let value = |(at, x): (usize, f32)| {
            let (scale, zero) = self.at(at);
            of(x, scale, zero)
        };
        let values: Vec<f32> = match &x.elements {
            Elements::Floats(elements) => elements.iter().copied().enumerate().map(value).collect(),
            Elements::Integers(elements) => {
                elements.iter().map(|&x| x as f32).enumerate().map(value).collect()
            }
        };
        Array::floats(x.shape.clone(), values)
    }
}
