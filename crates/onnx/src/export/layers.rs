//! The nodes of each operation of a layer.

use std::collections::HashMap;

use residual_arch::{
    Activation, AveragePool, BlurPool, ConvKind, Convolution, EfficientAttention, Field, Layer, LayerOp,
    LayerPath, MaxPool, Norm, SqueezeExcite, ZeroPad,
};
use residual_weights::{MapScale, Model};

use super::attribute::{float, int, ints, string};
use super::fold::{folded, tensor, weight};
use super::graph::GraphBuilder;
use crate::error::Error;
use crate::norm::EPSILON;

/// The binomial filter of [`BlurPool`].
const BLUR: [f32; 9] = [1., 2., 1., 2., 4., 2., 1., 2., 1.];

/// Writes layers as nodes.
pub(super) struct LayerWriter<'a> {
    pub(super) model: &'a Model,
    pub(super) graph: &'a mut GraphBuilder,
    /// Scales of the maps of bytes, by the names of their values.
    pub(super) scales: HashMap<String, MapScale>,
}

impl LayerWriter<'_> {
    /// Adds the nodes of a layer that reads the values `inputs`; gives the name of its value, of a layer that has
    /// nothing to do outside training what it reads. `norm` is the batch norm that is folded into a convolution.
    pub(super) fn layer(
        &mut self,
        layer: &Layer,
        inputs: &[&str],
        norm: Option<LayerPath>,
    ) -> Result<String, Error> {
        let (path, x) = (layer.path(), inputs[0]);
        let name = path.to_string();
        Ok(match *layer.op() {
            LayerOp::Conv(conv) => match self.model.quantised().and_then(|found| found.conv(path)) {
                Some(found) => {
                    let weight = self.graph.quantised_weight(path, &conv.weight(), found);
                    let bias = self.graph.quantised_bias(path, found, self.scale_of(x));
                    self.graph.node("Conv", name, &[x, &weight, &bias], conv_attributes(&conv))
                }
                None => self.conv(path, x, &conv, norm)?,
            },
            LayerOp::Norm(Norm::Batch { .. }) => self.batch_norm(path, x)?,
            LayerOp::Norm(Norm::Group { channels, groups, .. }) => {
                self.group_norm(path, x, [channels, groups])?
            }
            LayerOp::Activation(Activation::Relu) => self.graph.node("Relu", name, &[x], vec![]),
            LayerOp::MaxPool(pool) => self.max_pool(name, x, pool),
            LayerOp::AveragePool(pool) => self.average_pool(name, x, pool),
            LayerOp::BlurPool(blur) => self.blur_pool(name, x, blur, layer.input()[0]),
            LayerOp::Identity | LayerOp::StochasticDepth { .. } | LayerOp::Dropout { .. } => x.to_owned(),
            LayerOp::ZeroPad(pad) => self.zero_pad(name, x, pad),
            LayerOp::SqueezeExcite(squeeze) => self.squeeze_excite(path, x, squeeze)?,
            LayerOp::EfficientAttention(attention) => self.efficient_attention(path, x, attention)?,
            LayerOp::Add => self.graph.node("Add", name, inputs, vec![]),
            LayerOp::GlobalAverage => {
                let pooled = self.graph.node("GlobalAveragePool", format!("{name}.mean"), &[x], vec![]);
                self.graph.node("Flatten", name, &[&pooled], vec![int("axis", 1)])
            }
            LayerOp::Linear { inputs, outputs } => {
                let weight = match self.model.quantised().and_then(|found| found.conv(path)) {
                    Some(found) => self.graph.quantised_weight(path, &[outputs, inputs], found),
                    None => self.tensor(path, Field::Weight)?,
                };
                let bias = self.tensor(path, Field::Bias)?;
                self.graph.node("Gemm", name, &[x, &weight, &bias], vec![int("transB", 1)])
            }
            ref other => return Err(Error::Layer { layer: path, operation: format!("{other:?}") }),
        })
    }

    /// Rounds a value to that of its byte; gives the name of the floats.
    pub(super) fn rounded(&mut self, x: &str, scale: MapScale) -> String {
        let name = self.graph.rounded(x, scale);
        self.scales.insert(name.clone(), scale);
        name
    }

    /// Scale of a map of bytes.
    fn scale_of(&self, x: &str) -> Option<MapScale> {
        self.scales.get(x).copied()
    }

    /// A tensor of a layer as a constant.
    fn tensor(&mut self, path: LayerPath, field: Field) -> Result<String, Error> {
        let found = tensor(self.model, path, field)?;
        let name = path.tensor(field).to_string();
        let name = self.graph.floats(name, found.shape(), found.data());
        found.release();
        Ok(name)
    }

    fn conv(
        &mut self,
        path: LayerPath,
        x: &str,
        conv: &Convolution,
        norm: Option<LayerPath>,
    ) -> Result<String, Error> {
        let named = |field: Field| path.tensor(field).to_string();
        let weights = match norm {
            None if conv.kind == ConvKind::Plain => vec![self.tensor(path, Field::Weight)?],
            None => {
                let weight = weight(self.model, path, conv)?;
                vec![self.graph.floats(named(Field::Weight), &conv.weight(), &weight)]
            }
            Some(norm) => {
                let (weight, bias) = folded(self.model, path, conv, norm)?;
                let weight = self.graph.floats(named(Field::Weight), &conv.weight(), &weight);
                vec![weight, self.graph.floats(named(Field::Bias), &[bias.len()], &bias)]
            }
        };
        let inputs: Vec<&str> = std::iter::once(x).chain(weights.iter().map(String::as_str)).collect();
        Ok(self.graph.node("Conv", path.to_string(), &inputs, conv_attributes(conv)))
    }

    fn batch_norm(&mut self, path: LayerPath, x: &str) -> Result<String, Error> {
        let fields = [Field::Weight, Field::Bias, Field::RunningMean, Field::RunningVar];
        let names = fields.map(|field| self.tensor(path, field));
        let [weight, bias, mean, variance] = names;
        let inputs = [x, &weight?, &bias?, &mean?, &variance?];
        let attributes = vec![float("epsilon", EPSILON as f32)];
        Ok(self.graph.node("BatchNormalization", path.to_string(), &inputs, attributes))
    }

    /// Groups as the channels of an instance norm, as PyTorch writes them: opset 18's own group norm has a scale a
    /// group.
    fn group_norm(
        &mut self,
        path: LayerPath,
        x: &str,
        [channels, groups]: [usize; 2],
    ) -> Result<String, Error> {
        let name = path.to_string();
        let graph = &mut *self.graph;
        let size = graph.node("Shape", format!("{name}.shape"), &[x], vec![]);
        let by_group = graph.integers(format!("{name}.groups"), &[0, groups as i64, -1]);
        let grouped = graph.node("Reshape", format!("{name}.grouped"), &[x, &by_group], vec![]);
        let ones = graph.floats(format!("{name}.ones"), &[groups], &vec![1.0; groups]);
        let zeros = graph.floats(format!("{name}.zeros"), &[groups], &vec![0.0; groups]);
        let epsilon = vec![float("epsilon", EPSILON as f32)];
        let normal = graph.node(
            "InstanceNormalization",
            format!("{name}.normal"),
            &[&grouped, &ones, &zeros],
            epsilon,
        );
        let mapped = graph.node("Reshape", format!("{name}.mapped"), &[&normal, &size], vec![]);
        let [weight, bias] = [Field::Weight, Field::Bias].map(|field| {
            let found = tensor(self.model, path, field)?;
            let text = path.tensor(field).to_string();
            Ok::<_, Error>(self.graph.floats(text, &[channels, 1, 1], found.data()))
        });
        let scaled = self.graph.node("Mul", format!("{name}.scaled"), &[&mapped, &weight?], vec![]);
        Ok(self.graph.node("Add", name, &[&scaled, &bias?], vec![]))
    }

    fn max_pool(&mut self, name: String, x: &str, pool: MaxPool) -> String {
        let MaxPool { kernel, stride, padding, zeros } = pool;
        let mut attributes = vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2])];
        if !zeros || padding == 0 {
            attributes.push(ints("pads", &[padding; 4]));
            return self.graph.node("MaxPool", name, &[x], attributes);
        }
        let p = padding as i64;
        let pads = self.graph.integers(format!("{name}.pads"), &[0, 0, p, p, 0, 0, p, p]);
        let padded = self.graph.node("Pad", format!("{name}.padded"), &[x, &pads], vec![]);
        self.graph.node("MaxPool", name, &[&padded], attributes)
    }

    fn average_pool(&mut self, name: String, x: &str, pool: AveragePool) -> String {
        let AveragePool { kernel, stride, overhang } = pool;
        let mut attributes = vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2])];
        if overhang {
            attributes.extend([int("ceil_mode", 1), int("count_include_pad", 0)]);
        }
        self.graph.node("AveragePool", name, &[x], attributes)
    }

    fn blur_pool(&mut self, name: String, x: &str, blur: BlurPool, channels: usize) -> String {
        let pads = self.graph.integers(format!("{name}.pads"), &[0, 0, 1, 1, 0, 0, 1, 1]);
        let reflect = vec![string("mode", "reflect")];
        let padded = self.graph.node("Pad", format!("{name}.padded"), &[x, &pads], reflect);
        let filter = BLUR.map(|tap| tap / 16.0).repeat(channels);
        let filter = self.graph.floats(format!("{name}.filter"), &[channels, 1, 3, 3], &filter);
        let attributes = vec![
            ints("kernel_shape", &[3; 2]),
            ints("strides", &[blur.stride; 2]),
            ints("pads", &[0; 4]),
            int("group", channels),
        ];
        self.graph.node("Conv", name, &[&padded, &filter], attributes)
    }

    fn zero_pad(&mut self, name: String, x: &str, pad: ZeroPad) -> String {
        let mut sampled = x.to_owned();
        if pad.stride != 1 {
            let ends = [
                ("from", [0; 2]),
                ("to", [i64::MAX; 2]),
                ("axes", [2, 3]),
                ("steps", [pad.stride as i64; 2]),
            ];
            let ends = ends.map(|(end, values)| self.graph.integers(format!("{name}.{end}"), &values));
            let [from, to, axes, steps] = &ends;
            sampled =
                self.graph.node("Slice", format!("{name}.sampled"), &[x, from, to, axes, steps], vec![]);
        }
        let (before, after) = (pad.before() as i64, pad.after() as i64);
        let pads = self.graph.integers(format!("{name}.pads"), &[0, before, 0, 0, 0, after, 0, 0]);
        self.graph.node("Pad", name, &[&sampled, &pads], vec![])
    }

    fn squeeze_excite(&mut self, path: LayerPath, x: &str, squeeze: SqueezeExcite) -> Result<String, Error> {
        let (name, SqueezeExcite { channels, reduced }) = (path.to_string(), squeeze);
        let mean = self.graph.node("GlobalAveragePool", format!("{name}.mean"), &[x], vec![]);
        let (down, up) = (Convolution::new(channels, reduced, 1), Convolution::new(reduced, channels, 1));
        let [weight, bias] = [Field::ReduceWeight, Field::ReduceBias].map(|field| self.tensor(path, field));
        let inputs = [mean.as_str(), &weight?, &bias?];
        let reduced = self.graph.node("Conv", format!("{name}.reduced"), &inputs, conv_attributes(&down));
        let active = self.graph.node("Relu", format!("{name}.active"), &[&reduced], vec![]);
        let [weight, bias] = [Field::ExpandWeight, Field::ExpandBias].map(|field| self.tensor(path, field));
        let inputs = [active.as_str(), &weight?, &bias?];
        let expanded = self.graph.node("Conv", format!("{name}.expanded"), &inputs, conv_attributes(&up));
        let gate = self.graph.node("Sigmoid", format!("{name}.gate"), &[&expanded], vec![]);
        Ok(self.graph.node("Mul", name, &[x, &gate], vec![]))
    }

    fn efficient_attention(
        &mut self,
        path: LayerPath,
        x: &str,
        attention: EfficientAttention,
    ) -> Result<String, Error> {
        let name = path.to_string();
        let weight = self.tensor(path, Field::Weight)?;
        let graph = &mut *self.graph;
        let mean = graph.node("GlobalAveragePool", format!("{name}.mean"), &[x], vec![]);
        // [batch, channels, 1, 1] to [batch, 1, channels] and back.
        let flat = graph.with_axes("Squeeze", format!("{name}.flat"), &mean, &[2, 3]);
        let row = graph.with_axes("Unsqueeze", format!("{name}.row"), &flat, &[1]);
        let attributes =
            vec![ints("kernel_shape", &[attention.kernel]), ints("pads", &[attention.kernel / 2; 2])];
        let mixed = graph.node("Conv", format!("{name}.mixed"), &[&row, &weight], attributes);
        let gate = graph.node("Sigmoid", format!("{name}.gate"), &[&mixed], vec![]);
        let flat = graph.with_axes("Squeeze", format!("{name}.gates"), &gate, &[1]);
        let gate = graph.with_axes("Unsqueeze", format!("{name}.by_channel"), &flat, &[2, 3]);
        Ok(graph.node("Mul", name, &[x, &gate], vec![]))
    }
}

fn conv_attributes(conv: &Convolution) -> Vec<crate::proto::AttributeProto> {
    vec![
        ints("kernel_shape", &[conv.kernel; 2]),
        ints("strides", &[conv.stride; 2]),
        ints("pads", &[conv.padding; 4]),
        int("group", conv.groups),
    ]
}
