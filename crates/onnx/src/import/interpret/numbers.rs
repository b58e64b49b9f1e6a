//! Shapes as they are computed.

use super::axes::{resolved, with_axes};
use super::layers::Inputs;
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use crate::import::array::Array;
use crate::import::value::{Axes, Numbers, Value, View};
use crate::proto::NodeProto;

/// The most numbers that describe a shape.
const MOST: usize = 64;

/// The most elements of a constant that is one number over and over.
const MAX_ELEMENTS: usize = 1 << 20;

impl Interpreter<'_> {
    pub(super) fn numbers(&mut self, node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let numbers = |at: usize| match inputs.get(at).copied().flatten() {
            Some(Value::Numbers(numbers)) => Ok(numbers),
            _ => Err(Fault::from("of values that describe no shape")),
        };
        let attributes = Attributes(node);
        match (node.op_type.as_str(), inputs.first().copied().flatten()) {
            ("Shape", Some(&Value::Map(x))) => Ok(Value::Numbers(part(&self.extents(x), attributes)?)),
            ("Shape", Some(Value::Constant(x))) => {
                let extents = Numbers::known(x.shape.iter().map(|&extent| extent as i64));
                Ok(Value::Numbers(part(&extents, attributes)?))
            }
            ("Shape", Some(Value::Numbers(x))) => {
                let extents = Numbers::known(x.shape.iter().map(|&extent| extent as i64));
                Ok(Value::Numbers(part(&extents, attributes)?))
            }
            ("Range", _) => range(numbers(0)?, numbers(1)?, numbers(2)?).map(Value::Numbers),
            ("Gather", _) => gathered(numbers(0)?, numbers(1)?).map(Value::Numbers),
            ("Slice", _) => sliced(node, inputs).map(Value::Numbers),
            ("Concat", _) => {
                let parts = (0..inputs.len()).map(numbers).collect::<Result<Vec<_>, _>>()?;
                let values: Vec<_> = parts.iter().flat_map(|part| part.values.iter().copied()).collect();
                match values.len() <= MOST {
                    true => Ok(Value::Numbers(Numbers::vector(values))),
                    false => Err("of more numbers than a shape has".into()),
                }
            }
            ("ConstantOfShape", _) => self.filled(numbers(0)?, attributes),
            ("Expand", Some(x)) => self.expanded(x, numbers(1)?),
            _ => Err("of this value is not supported".into()),
        }
    }

    /// The extents of a map by its axes, the number of images unknown.
    fn extents(&self, x: View) -> Numbers {
        let [channels, height, width] = self.shape(x).map(|extent| Some(extent as i64));
        let values = match x.axes {
            Axes::First => vec![None, channels, height, width],
            Axes::Last => vec![None, height, width, channels],
            Axes::Grouped(groups) => {
                let [c, h, w] = self.shape(x);
                vec![None, Some(groups as i64), Some((c / groups * h * w) as i64)]
            }
            Axes::Features { rank, channel } => (0..rank)
                .map(|axis| {
                    if axis == 0 {
                        None
                    } else if axis == channel {
                        channels
                    } else {
                        Some(1)
                    }
                })
                .collect(),
        };
        Numbers::vector(values)
    }

    /// A constant, or a number, as often as a shape says.
    fn expanded(&mut self, x: &Value, shape: &Numbers) -> Result<Value, Fault> {
        let known: Option<Vec<i64>> = shape.values.iter().copied().collect();
        match (x, known.as_deref()) {
            // A number for each channel, which a product repeats by itself.
            (&Value::Map(x), _) if self.shape(x)[1..] == [1, 1] => Ok(Value::Map(x)),
            (_, Some([] | [1])) => Ok(x.clone()),
            (Value::Constant(x), Some([count])) => {
                let elements = x.as_floats().filter(|elements| elements.len() == 1);
                let value = elements.ok_or("of a constant of several elements")?[0];
                let count = usize::try_from(*count).ok().filter(|&count| count <= MAX_ELEMENTS);
                let count = count.ok_or("of more elements than a map has channels")?;
                self.charge(count)?;
                Ok(super::walk::constant(Array::floats(vec![count], vec![value; count])))
            }
            _ => Err("of this value is not supported".into()),
        }
    }

    /// Zeros, or copies of a number.
    fn filled(&mut self, shape: &Numbers, attributes: Attributes<'_>) -> Result<Value, Fault> {
        let [Some(count)] = shape.values[..] else { return Err("of more than one dimension".into()) };
        let count = usize::try_from(count)
            .ok()
            .filter(|&count| count <= MOST)
            .ok_or("of more numbers than a shape has")?;
        let value = attributes.tensor("value");
        if let Some(value) = value.filter(|value| value.data_type == crate::element::FLOAT) {
            let value = value
                .float_data
                .first()
                .copied()
                .or_else(|| Some(f32::from_le_bytes(value.raw_data.get(..4)?.try_into().ok()?)));
            return Ok(super::walk::constant(Array::floats(vec![count], vec![value.unwrap_or(0.0); count])));
        }
        let value = value.and_then(|value| {
            let raw = value.raw_data.get(..8).and_then(|raw| raw.try_into().ok()).map(i64::from_le_bytes);
            value.int64_data.first().copied().or(raw)
        });
        Ok(Value::Numbers(Numbers::known(vec![value.unwrap_or(0); count])))
    }
}

/// `Shape`'s `start` and `end`.
fn part(extents: &Numbers, attributes: Attributes<'_>) -> Result<Numbers, Fault> {
    let rank = extents.values.len() as i64;
    let at = |name: &str, usual: i64| {
        let found = attributes.int(name).unwrap_or(usual);
        (if found < 0 { found.saturating_add(rank) } else { found }).clamp(0, rank) as usize
    };
    let values = extents.values.get(at("start", 0)..at("end", rank)).unwrap_or_default().to_vec();
    Ok(Numbers::vector(values))
}

/// Numbers from one to another.
fn range(start: &Numbers, limit: &Numbers, step: &Numbers) -> Result<Numbers, Fault> {
    let (&[Some(start)], &[Some(limit)], &[Some(step)]) =
        (&start.values[..], &limit.values[..], &step.values[..])
    else {
        return Err("of ends that are not known".into());
    };
    if step < 1 || limit.saturating_sub(start) > MOST as i64 {
        return Err("of more numbers than a shape has".into());
    }
    let values = std::iter::successors(Some(start), |value| value.checked_add(step));
    Ok(Numbers::known(values.take_while(|&value| value < limit)))
}

fn gathered(from: &Numbers, indices: &Numbers) -> Result<Numbers, Fault> {
    let length = from.values.len() as i64;
    let at = |index: &Option<i64>| {
        let index = (*index)?;
        let index = if index < 0 { index.checked_add(length)? } else { index };
        from.values.get(usize::try_from(index).ok()?).copied()
    };
    let values =
        indices.values.iter().map(at).collect::<Option<Vec<_>>>().ok_or("an index outside a shape")?;
    Ok(Numbers { values, shape: indices.shape.clone() })
}

/// Part of a vector, or rows of a matrix, forwards or backwards.
fn sliced(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Numbers, Fault> {
    let attributes = Attributes(node);
    let Some(Value::Numbers(from)) = inputs.first().copied().flatten() else {
        return Err("of no shape".into());
    };
    let first = |at: usize, name: &str| match inputs.get(at).copied().flatten() {
        Some(Value::Numbers(found)) => found.values.first().copied().flatten(),
        _ => attributes.ints(name).and_then(|ints| ints.first().copied()),
    };
    let (&rows, columns) = from.shape.split_first().ok_or("of a number that stands alone")?;
    let columns: usize = columns.iter().product();
    let (start, end) = first(1, "starts").zip(first(2, "ends")).ok_or("a part whose ends are not known")?;
    if first(3, "axes").is_some_and(|axis| axis != 0) {
        return Err("a part of other axes than the first".into());
    }
    let count = rows as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(count) } else { at };
    let order: Vec<i64> = match first(4, "steps").unwrap_or(1) {
        1 => (from_end(start).clamp(0, count)..from_end(end).clamp(0, count)).collect(),
        -1 => ((from_end(end).clamp(-1, count) + 1)..=from_end(start).clamp(-1, count - 1)).rev().collect(),
        _ => return Err("every so many numbers of a shape".into()),
    };
    let row = |at: &i64| from.values.iter().skip(*at as usize * columns).take(columns).copied();
    let values: Vec<_> = order.iter().flat_map(row).collect();
    let shape = std::iter::once(order.len()).chain(from.shape[1..].iter().copied()).collect();
    Ok(Numbers { values, shape })
}

/// Numbers by other axes.
pub(super) fn by_other_axes(
    node: &NodeProto,
    x: &Numbers,
    given: Option<&[Option<i64>]>,
) -> Result<Value, Fault> {
    let wrong = || Fault::from("of numbers of more than two dimensions");
    let shape = match (node.op_type.as_str(), given) {
        ("Transpose", _) => match x.shape[..] {
            [rows, columns] => {
                let at = |at: usize| x.values[at % rows * columns + at / rows];
                let values = (0..rows * columns).map(at).collect();
                return Ok(Value::Numbers(Numbers { values, shape: vec![columns, rows] }));
            }
            _ => x.shape.clone(),
        },
        ("Reshape", Some(target)) => resolved(&x.shape, target).ok_or_else(wrong)?,
        ("Flatten", _) => vec![1, x.values.len()],
        (op, axes) => with_axes(&x.shape, op == "Unsqueeze", axes).ok_or_else(wrong)?,
    };
    let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    match shape.len() <= 2 && count == Some(x.values.len()) {
        true => Ok(Value::Numbers(Numbers { values: x.values.clone(), shape })),
        false => Err(wrong()),
    }
}
