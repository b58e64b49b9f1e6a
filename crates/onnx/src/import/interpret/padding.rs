//! Rows, columns and channels added and left out.

use super::layers::{Inputs, floats};
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use crate::import::piece::{Op, Pads};
use crate::import::value::{Axes, Value, View};
use crate::proto::NodeProto;

/// The most rows, columns or channels that are added.
const MAX_PAD: i64 = 1 << 16;

impl Interpreter<'_> {
    pub(super) fn pad(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        let [before, after] = pads(attributes, x, inputs)?;
        let [outer @ .., _, _] = before;
        if outer[0] != 0 || after[0] != 0 {
            return Err("adds images".into());
        }
        let value = match (floats(inputs, 2)?.and_then(|value| value.as_floats()), attributes.float("value"))
        {
            (Some(value), _) => value.first().copied().unwrap_or(0.0),
            (None, value) => value.unwrap_or(0.0),
        };
        let [channels, height, width] = self.shape(x);
        let channel_pads = [before[1], after[1]];
        let pads: Pads = [before[2], before[3], after[2], after[3]];
        let sides = [height + pads[0] + pads[2], width + pads[1] + pads[3]];
        let (op, shape) = match (attributes.text("mode").unwrap_or("constant"), channel_pads) {
            ("constant", [0, 0]) => (Op::Pad { pads, value }, [channels, sides[0], sides[1]]),
            ("reflect", [0, 0]) if pads[0].max(pads[2]) < height && pads[1].max(pads[3]) < width => {
                (Op::Reflect { pads }, [channels, sides[0], sides[1]])
            }
            ("constant", [before, after]) if pads == [0; 4] && value == 0.0 => {
                (Op::PadChannels { before, after }, [channels + before + after, height, width])
            }
            (mode, _) => return Err(format!("a {mode} padding of channels, or of other sides").into()),
        };
        let map = self.add(node, op, vec![x.map], shape)?;
        Ok(Value::Map(View { map, ..x }))
    }

    /// Every so many rows and columns.
    pub(super) fn sample(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let [channels, height, width] = self.shape(x);
        let (rank, channel) = x.axes.layout().filter(|(rank, _)| *rank == 4).ok_or("a part of features")?;
        let attributes = Attributes(node);
        let list = |at: usize, name: &str| match inputs.get(at).copied().flatten() {
            Some(Value::Numbers(found)) => Some(found.values.clone()),
            _ => attributes.ints(name).map(|ints| ints.iter().map(|&int| Some(int)).collect()),
        };
        let starts = list(1, "starts").ok_or("a part without a start")?;
        let ends = list(2, "ends").ok_or("a part without an end")?;
        let axes = list(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).map(Some).collect());
        let steps = list(4, "steps").unwrap_or_else(|| vec![Some(1); starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err("a part whose ends do not match".into());
        }
        let extents = match channel {
            1 => [i64::MAX, channels as i64, height as i64, width as i64],
            _ => [i64::MAX, height as i64, width as i64, channels as i64],
        };
        let mut strides = [1; 4];
        for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
            let (Some(0), Some(end), Some(axis), Some(step)) = (*start, *end, *axis, *step) else {
                return Err("a part that does not begin at the first row".into());
            };
            let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).unwrap_or(rank);
            if axis >= rank
                || end < extents[axis] && !(axis == 0 && end > 0)
                || !(1..=MAX_PAD).contains(&step)
            {
                return Err("a part that does not reach the last row".into());
            }
            strides[axis] = step as usize;
        }
        let sides = if channel == 1 { [strides[2], strides[3]] } else { [strides[1], strides[2]] };
        if strides[0] != 1 || strides[channel] != 1 || sides[0] != sides[1] {
            return Err("strides that are not the same in height and width".into());
        }
        let stride = sides[0];
        let shape = [channels, height.div_ceil(stride), width.div_ceil(stride)];
        let map = self.add(node, Op::Sample { stride }, vec![x.map], shape)?;
        Ok(Value::Map(View { map, ..x }))
    }
}

/// Added before and after: batch, channels, height, width.
fn pads(attributes: Attributes<'_>, x: View, inputs: &Inputs<'_>) -> Result<[[usize; 4]; 2], Fault> {
    let (rank, channel) = x.axes.layout().filter(|(rank, _)| *rank == 4).ok_or("pads features")?;
    let given: Vec<i64> =
        match (inputs.get(1).copied().flatten(), attributes.ints("pads"), attributes.ints("paddings")) {
            (Some(Value::Numbers(pads)), ..) => {
                pads.values.iter().copied().collect::<Option<_>>().unwrap_or_default()
            }
            (_, Some(pads), _) | (_, None, Some(pads)) => pads.to_vec(),
            _ => return Err("pads that are no constant".into()),
        };
    let axes: Vec<usize> = match inputs.get(3).copied().flatten() {
        Some(Value::Numbers(axes)) => {
            let axis = |axis: &Option<i64>| {
                let axis = (*axis)?;
                usize::try_from(if axis < 0 { axis + rank as i64 } else { axis })
                    .ok()
                    .filter(|&axis| axis < rank)
            };
            axes.values.iter().map(axis).collect::<Option<_>>().ok_or("pads of other axes")?
        }
        _ => (0..rank).collect(),
    };
    if given.len() != 2 * axes.len() || given.iter().any(|pad| !(0..=MAX_PAD).contains(pad)) {
        return Err(format!("pads {given:?}").into());
    }
    // The graph's axes as batch, channels, height, width.
    let place = |axis: usize| match (channel, axis) {
        (1, axis) => axis,
        (_, 3) => 1,
        (_, 0) => 0,
        (_, axis) => axis + 1,
    };
    let mut pads = [[0; 4]; 2];
    for (at, &axis) in axes.iter().enumerate() {
        pads[0][place(axis)] = given[at] as usize;
        pads[1][place(axis)] = given[at + axes.len()] as usize;
    }
    if matches!(x.axes, Axes::Features { .. }) && pads != [[0; 4]; 2] {
        return Err("pads features".into());
    }
    Ok(pads)
}
