//! Networks in 8 bits: integer weights of convolutions, and the scales of the maps between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use residual_arch::{Field, Layer, LayerOp, LayerPath, Network, Norm, Source};

/// The most that a weight of an 8-bit convolution is from zero; -128 is not used, so that the range is symmetric.
pub const MOST_WEIGHT: i8 = 127;

/// A network whose convolutions multiply integers: weights of 8 bits, and maps of unsigned bytes between them.
///
/// A convolution is named by its own path; a map by the path of the first layer of the operation that computes it, after
/// the norm, the addition and the ReLU behind a convolution are folded into it: the map `stage1.block0.conv2` of a basic
/// block is that block's output.
///
/// A convolution that is not in [`convs`](Self::convs) computes in float32. A map that has a scale is bytes for all that
/// read it, and a convolution in 8 bits reads a map that has one. With `q` the bytes of the input and `w` the weights,
///
/// `y[o] = input.scale * scale[o] * sum((q - input.zero) * w) + bias[o]`
///
/// then the shortcut is added (its bytes by its own scale, or floats), then the ReLU taken, and where the result has a
/// scale its bytes are [`MapScale::quantise`] of it. Padding is `input.zero`, which stands for zero.
///
/// The head's linear layer may be in `convs` too: its weights are stored in 8 bits, and multiplied as floats.
///
/// The maps of max pools and zero-padded shortcuts have the scale of what they read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantised {
    /// Convolutions in 8 bits, by their paths.
    pub convs: BTreeMap<LayerPath, Arc<QuantConv>>,
    /// Scale of the normalised images; `None` where the first convolution is in float32.
    pub input: Option<MapScale>,
    /// Scales of the maps that are bytes.
    pub maps: BTreeMap<LayerPath, MapScale>,
}

/// Weights of a convolution in 8 bits, with the batch norm behind it folded in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuantConv {
    /// Weights, `[out_channels, in_channels / groups, kernel, kernel]`, from -127 to 127.
    pub weights: Vec<i8>,
    /// Scale of each output channel: the weights stand for `scale[o] * weights[o, ..]`.
    pub scale: Vec<f32>,
    /// Bias of each output channel, in units of the output.
    pub bias: Vec<f32>,
    /// Path of the batch norm that is folded in.
    pub norm: Option<LayerPath>,
}

/// Scale of a map of unsigned bytes: `x = scale * (q - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapScale {
    /// Step between neighbouring bytes.
    pub scale: f32,
    /// The byte that stands for 0: 0 for a map that a ReLU gives.
    pub zero: u8,
}

/// Adding and taking away this rounds a float32 between -2^22 and 2^22 to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

impl MapScale {
    /// Scale whose bytes reach from `least` to `most`, widened to hold zero, which is exact.
    ///
    /// ```
    /// use residual_weights::MapScale;
    /// let relu = MapScale::of_range(0.0, 5.1);
    /// assert_eq!((relu.zero, relu.quantise(5.1), relu.quantise(9.0)), (0, 255, 255));
    /// let both = MapScale::of_range(-1.0, 1.0);
    /// assert_eq!(both.dequantise(both.zero), 0.0);
    /// ```
    pub fn of_range(least: f32, most: f32) -> Self {
        let (least, most) = (least.min(0.0), most.max(0.0));
        // A map of zeros has any scale.
        let scale = ((most - least) / 255.0).max(f32::MIN_POSITIVE * 1e8);
        Self { scale, zero: (-least / scale).round_ties_even().clamp(0.0, 255.0) as u8 }
    }

    /// Byte nearest to `x`: `clamp(round(x / scale) + zero, 0, 255)`, ties to even.
    pub fn quantise(self, x: f32) -> u8 {
        (self.steps(x) + f32::from(self.zero)) as u8
    }

    /// Value of a byte.
    pub fn dequantise(self, byte: u8) -> f32 {
        self.scale * (f32::from(byte) - f32::from(self.zero))
    }

    /// Replaces every value by that of the byte nearest to it. NaN stays.
    pub fn round(self, values: &mut [f32]) {
        values.iter_mut().for_each(|x| *x = self.scale * self.steps(*x));
    }

    /// Steps between zero and the byte nearest to `x`.
    fn steps(self, x: f32) -> f32 {
        let zero = f32::from(self.zero);
        ((x / self.scale).clamp(-zero, 255.0 - zero) + ROUND) - ROUND
    }

    fn check(self) -> Result<(), String> {
        match self.scale.is_finite() && self.scale >= f32::MIN_POSITIVE {
            true => Ok(()),
            false => Err(format!("has the scale {}; expected a number above 0", self.scale)),
        }
    }
}

impl QuantConv {
    /// Weights as floats, `scale[o] * weights[o, ..]`, into memory of their number.
    pub fn dequantise(&self, into: &mut [f32]) {
        let each = (self.weights.len() / self.scale.len().max(1)).max(1);
        let rows = into.chunks_mut(each).zip(self.weights.chunks(each)).zip(&self.scale);
        for ((into, weights), &scale) in rows {
            into.iter_mut().zip(weights).for_each(|(into, &weight)| *into = scale * f32::from(weight));
        }
    }

    /// The most that a weight is from zero. Sums of two products with bytes fit into 16 bits up to 63.
    pub fn largest(&self) -> u8 {
        self.weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap_or(0)
    }

    /// True where the layer at `path` is a convolution, and no linear layer.
    pub(crate) fn is_conv(&self, network: &Network, path: LayerPath) -> bool {
        let mut layers = network.layers().iter().filter(|layer| layer.path() == path);
        layers.any(|layer| matches!(layer.op(), LayerOp::Conv(_)))
    }

    fn check(&self, network: &Network, path: LayerPath) -> Result<(), String> {
        let unknown = "is no convolution of the network, and no linear layer";
        let at = network.layers().iter().position(|layer| layer.path() == path).ok_or(unknown)?;
        let (outs, each, is_plain) = match *network.layers()[at].op() {
            LayerOp::Conv(conv) => {
                let each = (conv.in_channels / conv.groups) * conv.kernel * conv.kernel;
                (conv.out_channels, each, conv.kind.is_plain())
            }
            LayerOp::Linear { inputs, outputs } => (outputs, inputs, true),
            _ => return Err(unknown.to_owned()),
        };
        let weights = outs * each;
        if self.weights.len() != weights || self.scale.len() != outs || self.bias.len() != outs {
            let found = [self.weights.len(), self.scale.len(), self.bias.len()];
            return Err(format!(
                "has {} weights, {} scales and {} biases; expected {weights}, {outs} and {outs}",
                found[0], found[1], found[2]
            ));
        }
        if let Some(scale) = self.scale.iter().find(|&&scale| !(scale.is_finite() && scale > 0.0)) {
            return Err(format!("has the weight scale {scale}; expected numbers above 0"));
        }
        if let Some(bias) = self.bias.iter().find(|bias| !bias.is_finite()) {
            return Err(format!("has the bias {bias}; expected finite numbers"));
        }
        if self.weights.iter().any(|&weight| weight < -MOST_WEIGHT) {
            return Err("has the weight -128; expected -127 to 127".to_owned());
        }
        match self.norm.filter(|&norm| !reads(network, norm, at)) {
            Some(norm) => Err(format!("is folded with {norm}, which is no batch norm behind it")),
            None if !is_plain => Err("has weights that are standardised".to_owned()),
            None => Ok(()),
        }
    }
}

impl Quantised {
    /// The convolution at `path`, where it is in 8 bits.
    pub fn conv(&self, path: LayerPath) -> Option<&Arc<QuantConv>> {
        self.convs.get(&path)
    }

    /// Scale of the map that the operation that begins with the layer `path` computes; `None` for a map of floats.
    pub fn map(&self, path: LayerPath) -> Option<MapScale> {
        self.maps.get(&path).copied()
    }

    /// Bits of the widest weight of a convolution with its sign: 7 where all lie from -63 to 63, else 8.
    pub fn weight_bits(&self) -> u32 {
        let mut convs = self.convs.iter().filter(|(path, _)| !matches!(path, LayerPath::Head(_)));
        if convs.all(|(_, conv)| conv.largest() <= 63) { 7 } else { 8 }
    }

    /// Part of it that does not fit the network.
    pub(crate) fn check(&self, network: &Network) -> Result<(), String> {
        for (path, conv) in &self.convs {
            conv.check(network, *path).map_err(|reason| format!("{path} {reason}"))?;
        }
        if let Some(input) = self.input {
            input.check().map_err(|reason| format!("the map of the images {reason}"))?;
        }
        for (path, map) in &self.maps {
            let known = network.layers().iter().any(|layer| layer.path() == *path);
            let checked = if known { map.check() } else { Err("is no layer of the network".to_owned()) };
            checked.map_err(|reason| format!("the map {path} {reason}"))?;
        }
        Ok(())
    }
}

/// True where the layer `norm` is a batch norm that reads layer number `at`.
fn reads(network: &Network, norm: LayerPath, at: usize) -> bool {
    let is_it =
        |layer: &&Layer| layer.path() == norm && matches!(layer.op(), LayerOp::Norm(Norm::Batch { .. }));
    let source = |layer: &Layer| layer.reads().first();
    let found = network.layers().iter().find(is_it).map(source);
    matches!(found, Some(Source::Layer(id)) if id.index() == at)
}

/// Parameters of a norm that changes nothing but for its bias, the fields of a batch norm in their order.
pub(crate) fn identity_norm(field: Field, bias: &[f32]) -> Option<Vec<f32>> {
    let all = |value: f32| vec![value; bias.len()];
    match field {
        Field::Weight => Some(all(1.0)),
        Field::Bias => Some(bias.to_vec()),
        Field::RunningMean => Some(all(0.0)),
        // With the epsilon that is added to it, 1.
        Field::RunningVar => Some(all(1.0 - 1e-5)),
        _ => None,
    }
}
