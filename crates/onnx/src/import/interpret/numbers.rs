//! Shapes as they are computed.

use super::layers::Inputs;
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use crate::import::array::Array;
use crate::import::value::{Axes, Numbers, Value, View};
use crate::proto::NodeProto;

/// The most numbers that describe a shape.
const MOST: usize = 64;

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
            ("Gather", _) => gathered(numbers(0)?, numbers(1)?).map(Value::Numbers),
            ("Slice", _) => sliced(node, inputs).map(Value::Numbers),
            ("Concat", _) => {
                let parts = (0..inputs.len()).map(numbers).collect::<Result<Vec<_>, _>>()?;
                let values: Vec<_> = parts.iter().flat_map(|part| part.values.iter().copied()).collect();
                match values.len() <= MOST {
                    true => Ok(Value::Numbers(Numbers { values, is_scalar: false })),
                    false => Err("of more numbers than a shape has".into()),
                }
            }
            ("ConstantOfShape", _) => self.filled(numbers(0)?, attributes),
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
        Numbers { values, is_scalar: false }
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
    Ok(Numbers { values, is_scalar: false })
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
    Ok(Numbers { values, is_scalar: indices.is_scalar })
}

fn sliced(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Numbers, Fault> {
    let attributes = Attributes(node);
    let Some(Value::Numbers(from)) = inputs.first().copied().flatten() else {
        return Err("of no shape".into());
    };
    let list = |at: usize, name: &str| match inputs.get(at).copied().flatten() {
        Some(Value::Numbers(found)) => found.values.first().copied().flatten(),
        _ => attributes.ints(name).and_then(|ints| ints.first().copied()),
    };
    let length = from.values.len() as i64;
    let end = |at: Option<i64>| {
        at.map(|at| if at < 0 { at.saturating_add(length) } else { at }.clamp(0, length) as usize)
    };
    let (start, end) = (end(list(1, "starts")), end(list(2, "ends")));
    if list(4, "steps").is_some_and(|step| step != 1) {
        return Err("every so many extents".into());
    }
    let (start, end) = start.zip(end).ok_or("a part whose ends are not known")?;
    Ok(Numbers { values: from.values.get(start..end).unwrap_or_default().to_vec(), is_scalar: false })
}

/// Numbers as a vector or as one alone.
pub(super) fn reshaped(
    node: &NodeProto,
    x: &Numbers,
    target: Option<&[Option<i64>]>,
) -> Result<Value, Fault> {
    let is_scalar = match (node.op_type.as_str(), target) {
        ("Squeeze", _) => x.values.len() == 1,
        ("Reshape", Some([])) => x.values.len() == 1,
        ("Unsqueeze" | "Reshape" | "Flatten", _) => false,
        _ => x.is_scalar,
    };
    Ok(Value::Numbers(Numbers { is_scalar, ..x.clone() }))
}
