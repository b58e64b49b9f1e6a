//! Constants made of others.

use std::rc::Rc;

use super::axes::positions;
use super::layers::{Inputs, floats};
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use crate::import::array::Array;
use crate::import::value::Value;
use crate::proto::NodeProto;

impl Interpreter<'_> {
    /// Value of an operation on a constant.
    pub(super) fn of_constant(
        &mut self,
        node: &NodeProto,
        x: &Array,
        inputs: &Inputs<'_>,
    ) -> Result<Value, Fault> {
        self.charge(x.len())?;
        let elements = x.as_floats().ok_or("of constants that are not floats")?;
        let each =
            |of: fn(f32) -> f32| Array::floats(x.shape.clone(), elements.iter().map(|&x| of(x)).collect());
        let array = match node.op_type.as_str() {
            "Sqrt" => each(f32::sqrt),
            "Neg" => each(|x| -x),
            "Reciprocal" => each(f32::recip),
            "ReduceMean" => mean(x, node, inputs)?,
            "BatchNormalization" => standardised(node, x, inputs)?,
            _ => return Err("of constants is not supported".into()),
        };
        Ok(Value::Constant(Rc::new(array)))
    }
}

/// A constant by other axes: `Reshape`, `Squeeze`, `Unsqueeze`, `Flatten`, whose elements keep their order.
pub(super) fn reshaped(x: &Array, shape: Vec<usize>) -> Result<Value, Fault> {
    let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if count != Some(x.len()) {
        return Err(format!("a constant of {:?} as {shape:?}", x.shape).into());
    }
    Ok(super::walk::constant(Array { shape, elements: x.elements.clone() }))
}

/// A constant with its axes in another order.
pub(super) fn permuted(x: &Array, order: &[usize]) -> Result<Value, Fault> {
    let elements = x.as_floats().ok_or("of constants that are not floats")?;
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.shape.len()) {
        return Err(format!("axes {order:?} of a constant of {:?}", x.shape).into());
    }
    let strides = strides(&x.shape);
    let shape: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    let found = places(&shape, &steps, x.len()).map(|at| elements[at]).collect();
    Ok(Value::Constant(Rc::new(Array::floats(shape, found))))
}

/// A matrix of `[rows, columns]` with its axes exchanged.
pub(super) fn transposed(elements: &Rc<[f32]>, [rows, columns]: [usize; 2]) -> Rc<[f32]> {
    places(&[columns, rows], &[1, columns], rows * columns).map(|at| elements[at]).collect()
}

/// Strides of a row-major array.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// Places in an array that is read by steps, `count` of them in row-major order of `shape`.
fn places(shape: &[usize], steps: &[usize], count: usize) -> impl Iterator<Item = usize> {
    let mut index = vec![0; shape.len()];
    let (shape, steps) = (shape.to_vec(), steps.to_vec());
    (0..count).map(move |_| {
        let at = index.iter().zip(&steps).map(|(index, step)| index * step).sum();
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
        at
    })
}

/// Sum, difference, product or quotient of constants, of which one is broadcast to the other's shape.
pub(super) fn elementwise(op: &str, a: &Array, b: &Array) -> Result<Array, Fault> {
    let (left, right) = (a.as_floats(), b.as_floats());
    let (left, right) = left.zip(right).ok_or("of constants that are not floats")?;
    let shape = if a.len() >= b.len() && a.shape.len() >= b.shape.len() { &a.shape } else { &b.shape };
    let of = |a: f32, b: f32| match op {
        "Add" | "Sum" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        _ => a / b,
    };
    if a.shape == b.shape {
        let found = left.iter().zip(right.iter()).map(|(&a, &b)| of(a, b));
        return Ok(Array::floats(shape.clone(), found.collect()));
    }
    let count = shape.iter().product();
    let steps = |x: &Array| -> Result<Vec<usize>, Fault> {
        let before = shape.len().checked_sub(x.shape.len()).ok_or("of constants of other shapes")?;
        let strides = strides(&x.shape);
        let step = |axis: usize| match axis.checked_sub(before) {
            None => Some(0),
            Some(own) if x.shape[own] == 1 => Some(0),
            Some(own) if x.shape[own] == shape[axis] => Some(strides[own]),
            Some(_) => None,
        };
        (0..shape.len()).map(step).collect::<Option<_>>().ok_or_else(|| "of constants of other shapes".into())
    };
    let (from_left, from_right) = (steps(a)?, steps(b)?);
    let pairs = places(shape, &from_left, count).zip(places(shape, &from_right, count));
    let found = pairs.map(|(a, b)| of(left[a], right[b]));
    Ok(Array::floats(shape.clone(), found.collect()))
}

/// Means over some axes, each a sum in f64.
fn mean(x: &Array, node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Fault> {
    let elements = x.as_floats().ok_or("of constants that are not floats")?;
    let attributes = Attributes(node);
    let axes: Option<Vec<Option<i64>>> = match (inputs.get(1).copied().flatten(), attributes.ints("axes")) {
        (Some(Value::Numbers(axes)), _) => Some(axes.values.clone()),
        (_, axes) => axes.map(|axes| axes.iter().map(|&axis| Some(axis)).collect()),
    };
    let axes =
        axes.and_then(|axes| positions(&axes, x.shape.len())).ok_or("a mean over axes that are not known")?;
    let is_gone = |axis: usize| axes.contains(&axis);
    let kept: Vec<usize> =
        x.shape.iter().enumerate().map(|(axis, &extent)| if is_gone(axis) { 1 } else { extent }).collect();
    let mut steps = strides(&kept);
    axes.iter().for_each(|&axis| steps[axis] = 0);
    let mut sums = vec![0f64; kept.iter().product()];
    for (&element, to) in elements.iter().zip(places(&x.shape, &steps, elements.len())) {
        sums[to] += f64::from(element);
    }
    let count = elements.len() as f64 / sums.len().max(1) as f64;
    let shape = match attributes.is_usual("keepdims", 1) {
        true => kept,
        false => {
            kept.iter().enumerate().filter(|(axis, _)| !is_gone(*axis)).map(|(_, &extent)| extent).collect()
        }
    };
    Ok(Array::floats(shape, sums.into_iter().map(|sum| (sum / count) as f32).collect()))
}

/// A batch norm of a weight `[1, outputs, elements]`: its standardisation, by statistics that are given or its own.
fn standardised(node: &NodeProto, x: &Array, inputs: &Inputs<'_>) -> Result<Array, Fault> {
    let attributes = Attributes(node);
    let ([1, outputs, rest @ ..], Some(elements)) = (&x.shape[..], x.as_floats()) else {
        return Err("a norm of a constant that is no weight".into());
    };
    let count = rest.iter().product::<usize>().max(1);
    let parameter = |at: usize| {
        let found = floats(inputs, at)?.and_then(|array| array.as_floats());
        Ok::<_, Fault>(found.filter(|found| found.len() == *outputs).ok_or("a parameter of another length")?)
    };
    let (weight, bias, means, variances) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let is_own = !attributes.is_usual("training_mode", 0);
    let epsilon = f64::from(attributes.float("epsilon").unwrap_or(1e-5));
    let mut found = Vec::with_capacity(elements.len());
    for (output, row) in elements.chunks_exact(count).enumerate() {
        let (mean, variance) = match is_own {
            true => {
                let mean = row.iter().map(|&w| f64::from(w)).sum::<f64>() / count as f64;
                (mean, row.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / count as f64)
            }
            false => (f64::from(means[output]), f64::from(variances[output])),
        };
        let (scale, shift) =
            (f64::from(weight[output]) / (variance + epsilon).sqrt(), f64::from(bias[output]));
        found.extend(row.iter().map(|&w| ((f64::from(w) - mean) * scale + shift) as f32));
    }
    Ok(Array::floats(x.shape.clone(), found))
}
