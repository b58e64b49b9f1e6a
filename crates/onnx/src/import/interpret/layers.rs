//! Convolutions, matrices, normalisations, activations, pools.

use std::rc::Rc;

use super::arithmetic::as_array;
use super::node::{Attributes, Fault};
use super::walk::Interpreter;
use crate::element::FLOAT;
use crate::import::array::Array;
use crate::import::piece::{Conv, Op, Pads, Window};
use crate::import::value::{Axes, Value, View};
use crate::proto::NodeProto;

/// Values that a node reads; `None` for those that are left out.
pub(super) type Inputs<'v> = [Option<&'v Value>];

impl Interpreter<'_> {
    /// Value of an operation on its inputs.
    pub(super) fn operation(&mut self, node: &NodeProto, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        match (node.op_type.as_str(), inputs.first().copied().flatten()) {
            ("Add" | "Sub" | "Mul" | "Div" | "Sum", _) => self.arithmetic(node, inputs),
            ("Cast" | "CastLike", Some(x @ Value::Numbers(_))) if is_to_floats(attributes, inputs) => {
                Ok(as_array(x).map_or_else(|_| x.clone(), Value::Constant))
            }
            ("Identity" | "Dropout" | "Cast" | "CastLike", Some(x)) => Ok(x.clone()),
            ("Shape" | "Gather" | "Concat" | "ConstantOfShape" | "Expand" | "Range", _) => {
                self.numbers(node, inputs)
            }
            ("Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose", Some(x)) => {
                self.other_axes(node, x, inputs)
            }
            ("QuantizeLinear" | "DequantizeLinear", Some(x)) => self.linear_quantisation(node, x, inputs),
            ("Slice", Some(Value::Numbers(_))) => self.numbers(node, inputs),
            (_, Some(&Value::Map(x))) => self.layer(node, x, inputs),
            (_, Some(Value::Constant(x))) => self.of_constant(node, x, inputs),
            _ => Err(format!(
                "is not supported (opset {}, {} attributes)",
                self.opset,
                attributes.0.attribute.len()
            )
            .into()),
        }
    }

    fn layer(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        match node.op_type.as_str() {
            "Conv" => self.conv(node, x, inputs),
            "Gemm" | "MatMul" => self.matrix(node, x, inputs),
            "BatchNormalization" => self.batch_norm(node, x, inputs),
            "InstanceNormalization" | "GroupNormalization" => self.group_norm(node, x, inputs),
            "Relu" => self.add_like(node, Op::Relu, x),
            "Clip" if is_relu(attributes, inputs) => self.add_like(node, Op::Relu, x),
            "Sigmoid" => self.add_like(node, Op::Sigmoid, x),
            "Softmax" => self.add_like(node, Op::Softmax, x),
            "MaxPool" | "AveragePool" => self.pool(node, x),
            "GlobalAveragePool" => self.mean(node, x, true),
            "ReduceMean" => self.reduce_mean(node, x, inputs),
            "Pad" => self.pad(node, x, inputs),
            "Slice" => self.sample(node, x, inputs),
            _ => Err("is no operation of a residual network here".into()),
        }
    }

    fn conv(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let weight = floats(inputs, 1)?.ok_or("its weight is left out")?;
        let bias = bias(inputs)?;
        let ([channels, height, width], attributes) = (self.shape(x), Attributes(node));
        if let (Axes::Features { rank: 3, channel: 2 }, &[1, 1, kernel]) = (x.axes, &weight.shape[..]) {
            return self.along_channels(node, x, &weight, kernel);
        }
        let [outputs, inputs, kernel, other] = weight.shape[..] else {
            return Err("a convolution that is not of two dimensions".into());
        };
        if x.axes.layout() != Some((4, 1)) {
            return Err("reads a map whose channels are not its second axis".into());
        }
        let groups = usize::try_from(attributes.int("group").unwrap_or(1)).unwrap_or(0);
        if kernel != other || kernel == 0 {
            return Err(format!("a kernel of {kernel}x{other}, which is not square").into());
        }
        if groups == 0
            || inputs.checked_mul(groups) != Some(channels)
            || outputs % groups != 0
            || outputs == 0
        {
            return Err(
                format!("a weight for {inputs} channels in {groups} groups on {channels} channels").into()
            );
        }
        if bias.as_ref().is_some_and(|bias| bias.len() != outputs) {
            return Err(format!("a bias that is not of {outputs} elements").into());
        }
        let window = window(attributes, kernel, [height, width])?;
        let [height, width] = window.output([height, width]).ok_or("a kernel larger than its map")?;
        let weight = weight.as_floats().ok_or("a weight that is not of floats")?;
        let conv = Conv { weight, bias, inputs: channels, outputs, groups, window };
        let map = self.add(node, Op::Conv(conv), vec![x.map], [outputs, height, width])?;
        Ok(Value::Map(View { map, ..x }))
    }

    fn along_channels(
        &mut self,
        node: &NodeProto,
        x: View,
        weight: &Array,
        kernel: usize,
    ) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        let pads = attributes.ints("pads").unwrap_or(&[0, 0]);
        let half = kernel as i64 / 2;
        if kernel.is_multiple_of(2)
            || pads != [half, half]
            || attributes.ints("strides").is_some_and(|strides| strides != [1])
        {
            return Err("a convolution along the channels that does not keep their number".into());
        }
        let weight = weight.as_floats().ok_or("a weight that is not of floats")?;
        self.add_like(node, Op::AlongChannels { weight }, x)
    }

    /// A product with a matrix of constants, as a convolution of features.
    fn matrix(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        let weight = floats(inputs, 1)?.ok_or("its matrix is left out")?;
        let bias = floats(inputs, 2)?.and_then(|bias| bias.as_floats());
        let [channels, 1, 1] = self.shape(x) else {
            return Err("reads a map that is not pooled to features".into());
        };
        let Axes::Features { rank, channel } = x.axes else {
            return Err("reads a map that is not flat".into());
        };
        let is_usual = attributes.is_usual("transA", 0)
            && attributes.float("alpha").is_none_or(|alpha| alpha == 1.0)
            && attributes.float("beta").is_none_or(|beta| beta == 1.0);
        if channel + 1 != rank || !is_usual {
            return Err("a product of another form than features by a matrix".into());
        }
        let elements = weight.as_floats().ok_or("a matrix that is not of floats")?;
        let (outputs, weight) = match (&weight.shape[..], attributes.int("transB").unwrap_or(0)) {
            (&[outputs, inputs], 1) if inputs == channels => (outputs, elements),
            (&[inputs, outputs], 0) if inputs == channels => {
                self.charge(elements.len())?;
                (outputs, super::constants::transposed(&elements, [inputs, outputs]))
            }
            _ => return Err(format!("a matrix that is not of {channels} features").into()),
        };
        if outputs == 0 || bias.as_ref().is_some_and(|bias| bias.len() != outputs) {
            return Err(format!("a bias that is not of {outputs} elements").into());
        }
        let window = Window { kernel: 1, stride: 1, pads: [0; 4], ceil: false, counts_pads: false };
        let conv = Conv { weight, bias, inputs: channels, outputs, groups: 1, window };
        let map = self.add(node, Op::Conv(conv), vec![x.map], [outputs, 1, 1])?;
        Ok(Value::Map(View { map, ..x }))
    }

    fn batch_norm(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        let [channels, ..] = self.shape(x);
        if !attributes.is_usual("training_mode", 0) {
            return Err("a batch norm in training".into());
        }
        if x.axes.layout().is_none_or(|(_, channel)| channel != 1) {
            return Err("a norm of other axes than the channels".into());
        }
        let constant = |at: usize| {
            let found = floats(inputs, at)?.and_then(|array| array.as_floats());
            found
                .filter(|found| found.len() == channels)
                .ok_or("a parameter that is not a number a channel")
                .map_err(Fault::from)
        };
        let op = Op::BatchNorm {
            weight: constant(1)?,
            bias: constant(2)?,
            mean: constant(3)?,
            variance: constant(4)?,
            epsilon: epsilon(attributes),
        };
        self.add_like(node, op, x)
    }

    /// A group norm, as an instance norm of grouped channels or by name; its scale and shift follow it.
    fn group_norm(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let (attributes, [channels, ..]) = (Attributes(node), self.shape(x));
        let groups = match (node.op_type.as_str(), x.axes) {
            ("InstanceNormalization", Axes::Grouped(groups)) => groups,
            ("InstanceNormalization", Axes::First) => channels,
            ("GroupNormalization", Axes::First) => {
                usize::try_from(attributes.int("num_groups").unwrap_or(0)).unwrap_or(0)
            }
            _ => return Err("a norm of other axes than the channels".into()),
        };
        if groups == 0 || channels % groups != 0 {
            return Err(format!("{groups} groups of {channels} channels").into());
        }
        let by_channel = |at: usize| {
            let found = floats(inputs, at)?.and_then(|array| array.as_floats());
            let found = found.filter(|found| found.len() == groups || found.len() == channels);
            let found = found.ok_or("a parameter that is not a number a group or a channel")?;
            // Of a group as of each of its channels.
            let each = channels / found.len();
            Ok::<_, Fault>(
                found.iter().flat_map(|&value| std::iter::repeat_n(value, each)).collect::<Vec<f32>>(),
            )
        };
        let (scale, shift) = (by_channel(1)?, by_channel(2)?);
        let epsilon = epsilon(attributes);
        self.charge(2 * channels)?;
        let normal = self.add_like(node, Op::GroupNorm { groups, epsilon }, x)?;
        let is_plain = scale.iter().all(|&scale| scale == 1.0) && shift.iter().all(|&shift| shift == 0.0);
        match normal {
            Value::Map(normal) if !is_plain => self.add_like(node, Op::Affine { scale, shift }, normal),
            normal => Ok(normal),
        }
    }

    fn pool(&mut self, node: &NodeProto, x: View) -> Result<Value, Fault> {
        let ([channels, height, width], attributes) = (self.shape(x), Attributes(node));
        if x.axes.layout() != Some((4, 1)) {
            return Err("reads a map whose channels are not its second axis".into());
        }
        let [kernel, other] = attributes.ints("kernel_shape").unwrap_or_default() else {
            return Err("a window that is not of two dimensions".into());
        };
        let is_mean = node.op_type == "AveragePool";
        if kernel != other || *kernel < 1 {
            return Err(format!("a window of {kernel}x{other}, which is not square").into());
        }
        let window = window(attributes, *kernel as usize, [height, width])?;
        let [height, width] = window.output([height, width]).ok_or("a window larger than its map")?;
        let op = if is_mean { Op::AveragePool(window) } else { Op::MaxPool(window) };
        let map = self.add(node, op, vec![x.map], [channels, height, width])?;
        Ok(Value::Map(View { map, ..x }))
    }

    fn mean(&mut self, node: &NodeProto, x: View, keeps_axes: bool) -> Result<Value, Fault> {
        let [channels, ..] = self.shape(x);
        let (rank, channel) = x.axes.layout().filter(|(rank, _)| *rank == 4).ok_or("a mean of other axes")?;
        let map = self.add(node, Op::Mean, vec![x.map], [channels, 1, 1])?;
        let axes = match keeps_axes {
            true => Axes::Features { rank, channel },
            false => Axes::Features { rank: 2, channel: 1 },
        };
        Ok(Value::Map(View { map, axes }))
    }

    fn reduce_mean(&mut self, node: &NodeProto, x: View, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let attributes = Attributes(node);
        let given = match (attributes.ints("axes"), inputs.get(1).copied().flatten()) {
            (Some(axes), _) => axes.to_vec(),
            (None, Some(Value::Numbers(axes))) => axes.values.iter().copied().flatten().collect(),
            _ => return Err("a mean over all there is".into()),
        };
        let (rank, channel) = x.axes.layout().ok_or("a mean of grouped channels")?;
        let mut axes: Vec<i64> =
            given.iter().map(|&axis| if axis < 0 { axis + rank as i64 } else { axis }).collect();
        axes.sort_unstable();
        let wanted: Vec<i64> = (1..rank as i64).filter(|&axis| axis != channel as i64).collect();
        if axes != wanted {
            return Err("a mean of other axes than height and width".into());
        }
        self.mean(node, x, attributes.is_usual("keepdims", 1))
    }
}

/// A constant of floats among the inputs; `None` where it is left out.
pub(super) fn floats(inputs: &Inputs<'_>, at: usize) -> Result<Option<Rc<Array>>, Fault> {
    match inputs.get(at).copied().flatten() {
        None => Ok(None),
        Some(Value::Constant(array)) => Ok(Some(Rc::clone(array))),
        Some(_) => Err("a parameter that is no constant".into()),
    }
}

/// True where a cast makes floats of whole numbers.
fn is_to_floats(attributes: Attributes<'_>, inputs: &Inputs<'_>) -> bool {
    match inputs.get(1).copied().flatten() {
        Some(like) => matches!(like, Value::Map(_) | Value::Constant(_)),
        None => attributes.int("to") == Some(i64::from(FLOAT)),
    }
}

/// The bias among the inputs; `None` where it is left out, and where it is zero.
fn bias(inputs: &Inputs<'_>) -> Result<Option<Rc<[f32]>>, Fault> {
    let bias = floats(inputs, 2)?.and_then(|bias| bias.as_floats());
    Ok(bias.filter(|bias| bias.iter().any(|&bias| bias != 0.0)))
}

fn epsilon(attributes: Attributes<'_>) -> f64 {
    // The decimal number that the f32 stands for: 1e-5 and not 9.9999997e-6.
    let epsilon = attributes.float("epsilon").unwrap_or(1e-5);
    epsilon.to_string().parse().unwrap_or(f64::from(epsilon))
}

/// True for a clip at zero from below alone.
fn is_relu(attributes: Attributes<'_>, inputs: &Inputs<'_>) -> bool {
    let bound = |at: usize, name: &str| match inputs.get(at).copied().flatten() {
        Some(Value::Constant(array)) => array.as_floats().and_then(|floats| floats.first().copied()),
        _ => attributes.float(name),
    };
    bound(1, "min") == Some(0.0) && bound(2, "max").is_none_or(|most| most >= f32::MAX)
}

/// The window of a convolution or a pool on a map of `[height, width]`.
fn window(attributes: Attributes<'_>, kernel: usize, size: [usize; 2]) -> Result<Window, Fault> {
    if attributes.ints("dilations").is_some_and(|dilations| dilations.iter().any(|&dilation| dilation != 1)) {
        return Err("a dilated window".into());
    }
    let stride = match attributes.ints("strides") {
        None => 1,
        Some([one, other]) if one == other && *one > 0 && *one <= 1 << 16 => *one as usize,
        Some(strides) => return Err(format!("strides {strides:?}, which are not the same").into()),
    };
    let pads = match attributes.text("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" | "" => pads(attributes.ints("pads").unwrap_or(&[0; 4]))?,
        "VALID" => [0; 4],
        "SAME_UPPER" => same(size, kernel, stride, false),
        "SAME_LOWER" => same(size, kernel, stride, true),
        other => return Err(format!("auto_pad {other}").into()),
    };
    Ok(Window {
        kernel,
        stride,
        pads,
        ceil: !attributes.is_usual("ceil_mode", 0),
        counts_pads: !attributes.is_usual("count_include_pad", 0),
    })
}

/// Top, left, bottom, right.
fn pads(pads: &[i64]) -> Result<Pads, Fault> {
    let small = |&pad: &i64| usize::try_from(pad).ok().filter(|&pad| pad <= 1 << 16);
    let found: Option<Vec<usize>> = pads.iter().map(small).collect();
    found.and_then(|found| found.try_into().ok()).ok_or_else(|| format!("pads {pads:?}").into())
}

/// TensorFlow's padding: as many outputs as inputs over the stride.
fn same(size: [usize; 2], kernel: usize, stride: usize, more_before: bool) -> Pads {
    let [[top, bottom], [left, right]] = size.map(|side| {
        let all = (side.div_ceil(stride).saturating_sub(1) * stride + kernel).saturating_sub(side);
        let less = all / 2;
        if more_before { [all - less, less] } else { [less, all - less] }
    });
    [top, left, bottom, right]
}
