//! Reshapes and transpositions: the same map by other axes.

use std::rc::Rc;

use super::layers::Inputs;
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use super::{constants, numbers};
use crate::import::value::{Axes, Value, View};
use crate::proto::NodeProto;

impl Interpreter<'_> {
    pub(super) fn other_axes(
        &mut self,
        node: &NodeProto,
        x: &Value,
        inputs: &Inputs<'_>,
    ) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        let given = |name: &str| match (inputs.get(1).copied().flatten(), attributes.ints(name)) {
            (Some(Value::Numbers(numbers)), _) => Some(numbers.values.clone()),
            (_, ints) => ints.map(|ints| ints.iter().map(|&int| Some(int)).collect()),
        };
        match (node.op_type.as_str(), x) {
            (op, Value::Numbers(x)) => {
                let given = given(if op == "Reshape" { "shape" } else { "axes" });
                numbers::by_other_axes(node, x, given.as_deref())
            }
            ("Transpose", &Value::Map(x)) => self.transposed(x, attributes.ints("perm")),
            ("Transpose", Value::Constant(x)) => {
                self.charge(x.len())?;
                let order =
                    attributes.ints("perm").map(|order| order.iter().map(|&axis| axis as usize).collect());
                constants::permuted(x, &order.unwrap_or_else(|| (0..x.shape.len()).rev().collect::<Vec<_>>()))
            }
            ("Reshape", &Value::Map(x)) => {
                self.reshaped(x, &given("shape").ok_or("a shape that is not known")?)
            }
            ("Flatten", &Value::Map(x)) => {
                if !attributes.is_usual("axis", 1) {
                    return Err("flattens images together".into());
                }
                self.reshaped(x, &[None, Some(-1)])
            }
            ("Squeeze", &Value::Map(x)) => self.squeezed(x, given("axes").as_deref()),
            ("Unsqueeze", &Value::Map(x)) => {
                self.unsqueezed(x, &given("axes").ok_or("axes that are not known")?)
            }
            ("Reshape", Value::Constant(x)) => {
                let target = given("shape").ok_or("a shape that is not known")?;
                let shape =
                    resolved(&x.shape, &target).ok_or_else(|| format!("a constant of {:?}", x.shape))?;
                constants::reshaped(x, shape)
            }
            ("Squeeze" | "Unsqueeze", Value::Constant(x)) => {
                let axes = given("axes");
                let shape = with_axes(&x.shape, node.op_type == "Unsqueeze", axes.as_deref());
                constants::reshaped(&Rc::clone(x), shape.ok_or("axes that a constant has not")?)
            }
            _ => Err("of this value is not supported".into()),
        }
    }

    fn transposed(&mut self, x: View, order: Option<&[i64]>) -> Result<Value, Fault> {
        let (rank, channel) = x.axes.layout().ok_or("of grouped channels")?;
        let order = order.ok_or("a reversal of all axes")?;
        let is_order = order.len() == rank && order.first() == Some(&0);
        let place = order.iter().position(|&axis| axis == channel as i64).filter(|_| is_order);
        let place = place.ok_or_else(|| format!("axes in the order {order:?}"))?;
        let [_, height, width] = self.shape(x);
        let axes = match (x.axes, order) {
            _ if [height, width] == [1, 1] => Axes::Features { rank, channel: place },
            (Axes::First, [0, 2, 3, 1]) => Axes::Last,
            (Axes::Last, [0, 3, 1, 2]) => Axes::First,
            (axes, [0, 1, 2, 3]) => axes,
            _ => return Err(format!("axes in the order {order:?}").into()),
        };
        Ok(Value::Map(View { axes, ..x }))
    }

    fn reshaped(&mut self, x: View, target: &[Option<i64>]) -> Result<Value, Fault> {
        let [channels, height, width] = self.shape(x);
        let is = |entry: Option<i64>, extent: usize| entry == Some(extent as i64) || entry == Some(-1);
        if [height, width] == [1, 1] && !matches!(x.axes, Axes::Grouped(_)) {
            let axes = features(target, x.axes, channels)
                .ok_or_else(|| format!("features of {channels} as {}", shown(target)))?;
            return Ok(Value::Map(View { axes, ..x }));
        }
        let axes = match (x.axes, target) {
            (Axes::First, &[_, groups, Some(-1)]) => {
                let groups = groups.and_then(|groups| usize::try_from(groups).ok());
                groups.filter(|&groups| groups > 0 && channels % groups == 0).map(Axes::Grouped)
            }
            (Axes::First, &[_, groups, rest]) => {
                let groups =
                    groups.and_then(|groups| usize::try_from(groups).ok()).filter(|&groups| groups > 0);
                groups.filter(|&groups| is(rest, channels / groups * height * width)).map(Axes::Grouped)
            }
            (Axes::Grouped(_) | Axes::First, &[_, c, h, w]) => {
                (is(c, channels) && is(h, height) && is(w, width)).then_some(Axes::First)
            }
            (Axes::Last, &[_, h, w, c]) => {
                (is(c, channels) && is(h, height) && is(w, width)).then_some(Axes::Last)
            }
            _ => None,
        };
        let axes = axes.ok_or_else(|| {
            format!("a map of {channels}x{height}x{width} as {}; a network's head pools first", shown(target))
        })?;
        Ok(Value::Map(View { axes, ..x }))
    }

    fn squeezed(&mut self, x: View, axes: Option<&[Option<i64>]>) -> Result<Value, Fault> {
        let (rank, channel) = self.as_features(x)?;
        let Some(axes) = axes else { return Ok(Value::Map(View { axes: FLAT, ..x })) };
        let gone = positions(axes, rank).filter(|gone| !gone.contains(&0) && !gone.contains(&channel));
        let gone = gone.ok_or("leaves out the images or the channels")?;
        let channel = channel - gone.iter().filter(|&&axis| axis < channel).count();
        Ok(Value::Map(View { axes: Axes::Features { rank: rank - gone.len(), channel }, ..x }))
    }

    fn unsqueezed(&mut self, x: View, axes: &[Option<i64>]) -> Result<Value, Fault> {
        let (rank, channel) = self.as_features(x)?;
        let all = rank + axes.len();
        let new = positions(axes, all)
            .filter(|new| all <= 8 && !new.contains(&0))
            .ok_or("axes that it cannot have")?;
        let kept: Vec<usize> = (0..all).filter(|axis| !new.contains(axis)).collect();
        let channel = *kept.get(channel).ok_or("axes that it cannot have")?;
        Ok(Value::Map(View { axes: Axes::Features { rank: all, channel }, ..x }))
    }

    /// Axes of features: a map of one row and one column.
    fn as_features(&self, x: View) -> Result<(usize, usize), Fault> {
        let [_, height, width] = self.shape(x);
        let layout = x.axes.layout().filter(|_| [height, width] == [1, 1]);
        layout.ok_or_else(|| format!("axes of a map of {height}x{width}").into())
    }
}

/// `[batch, channels]`
const FLAT: Axes = Axes::Features { rank: 2, channel: 1 };

/// The axes of features behind a reshape: one entry is the channels', the others are one.
fn features(target: &[Option<i64>], axes: Axes, channels: usize) -> Option<Axes> {
    let (_, old) = axes.layout()?;
    let is_channels = |(at, entry): (usize, &Option<i64>)| match entry {
        Some(-1) => true,
        Some(0) => at + 1 == old,
        Some(extent) => *extent == channels as i64,
        None => false,
    };
    let others = target.get(1..)?;
    let channel =
        1 + others.iter().enumerate().position(|entry| is_channels(entry) && *entry.1 != Some(1)).or_else(
            // Of one channel.
            || (channels == 1 && !others.is_empty()).then_some(0),
        )?;
    let is_one = |(at, entry): (usize, &Option<i64>)| {
        at == 0 || at == channel || matches!(entry, Some(1 | -1)) || *entry == Some(0) && at != old
    };
    let rank = target.len();
    (rank <= 8 && target.iter().enumerate().all(is_one)).then_some(Axes::Features { rank, channel })
}

/// Axes as numbers from 0, sorted; `None` where there are none such, or one twice.
pub(super) fn positions(axes: &[Option<i64>], rank: usize) -> Option<Vec<usize>> {
    let position = |axis: &Option<i64>| {
        let axis = (*axis)?;
        let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
        usize::try_from(axis).ok().filter(|&axis| axis < rank)
    };
    let mut found = axes.iter().map(position).collect::<Option<Vec<_>>>()?;
    found.sort_unstable();
    found.windows(2).all(|pair| pair[0] < pair[1]).then_some(found)
}

/// The shape of a constant behind a reshape.
pub(super) fn resolved(shape: &[usize], target: &[Option<i64>]) -> Option<Vec<usize>> {
    let count: usize = shape.iter().product();
    let copied = |at: usize, entry: &Option<i64>| match entry {
        Some(0) => shape.get(at).copied().map(Some),
        Some(-1) => Some(None),
        Some(extent) => usize::try_from(*extent).ok().map(Some),
        None => None,
    };
    let entries =
        target.iter().enumerate().map(|(at, entry)| copied(at, entry)).collect::<Option<Vec<_>>>()?;
    let known = entries.iter().flatten().try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
    entries.into_iter().map(|entry| entry.or_else(|| count.checked_div(known))).collect()
}

/// The shape of a constant with axes of one element more or less.
pub(super) fn with_axes(shape: &[usize], more: bool, axes: Option<&[Option<i64>]>) -> Option<Vec<usize>> {
    match (more, axes) {
        (false, None) => Some(shape.iter().copied().filter(|&extent| extent != 1).collect()),
        (false, Some(axes)) => {
            let gone = positions(axes, shape.len())?;
            let kept = shape.iter().enumerate().filter(|(axis, _)| !gone.contains(axis));
            Some(kept.map(|(_, &extent)| extent).collect())
        }
        (true, axes) => {
            let new = positions(axes?, shape.len() + axes?.len())?;
            let mut old = shape.iter();
            let all = shape.len() + new.len();
            (0..all).map(|axis| if new.contains(&axis) { Some(1) } else { old.next().copied() }).collect()
        }
    }
}

/// `[?, 64, -1]`
fn shown(target: &[Option<i64>]) -> String {
    let entry = |entry: &Option<i64>| entry.map_or("?".to_owned(), |extent| extent.to_string());
    format!("[{}]", target.iter().take(8).map(entry).collect::<Vec<_>>().join(", "))
}
