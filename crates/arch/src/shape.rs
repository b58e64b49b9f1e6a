//! The flow of shapes through a network, checked before a tensor exists.
//!
//! A convolution or max pool with kernel `k`, padding `p` and stride `s` takes a side of `h` to
//! `(h + 2p - k) / s + 1`, rounded down. A shortcut with stride `s` takes `h` to `h / s` rounded up,
//! whether by a strided 1x1 convolution, by taking every `s`-th row and column, or by the average pool
//! of ResNet-D (2x2, its last window may be cut off).
//!
//! Operations are multiply-accumulates (MACs) in convolutions and linear layers, those of
//! squeeze-and-excitation included.

mod error;

use serde::{Serialize, Serializer};

pub use error::{Disagreement, ShapeError};

use crate::tensors::product;
use crate::{
    BlockSpec, Convolution, HeadSpec, MAX_PIXELS, MAX_PREPROCESSED_PIXELS, MaxPool, NetSpec, Shortcut, StemSpec, block_tensors,
};

/// What a network does to shapes, row by row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flow {
    /// The input, `[channels, height, width]`.
    pub input: [usize; 3],
    /// The stem, each block, the head.
    pub rows: Vec<Row>,
    /// The output, `[classes, 1, 1]`.
    pub output: [usize; 3],
    /// Number of parameters; running statistics are none.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
}

/// The stem, a block or the head.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `stem`, `stage2.block0` or `head`.
    pub path: String,
    /// What it is made of, for people.
    pub description: String,
    /// The shortcut of a block.
    #[serde(serialize_with = "as_text")]
    pub shortcut: Option<Shortcut>,
    /// What it gives, `[channels, height, width]`.
    pub output: [usize; 3],
    /// Number of its parameters.
    pub parameters: u64,
    /// Its multiply-accumulates for one image.
    pub macs: u64,
}

fn as_text<S: Serializer>(shortcut: &Option<Shortcut>, serializer: S) -> Result<S::Ok, S::Error> {
    match shortcut {
        Some(shortcut) => serializer.collect_str(shortcut),
        None => serializer.serialize_none(),
    }
}

/// Walks an input of `[channels, height, width]` through the network, and checks everything on the way.
///
/// # Errors
/// The first [`ShapeError`] found.
///
/// ```
/// use residual_arch::{Shortcut, families::family, shape::flow};
/// let mut spec = family("small")?;
/// assert_eq!(flow(&spec, [3, 32, 32])?.parameters, 696_618);
///
/// spec.stages[2].blocks[0].shortcut = Shortcut::Identity;
/// assert_eq!(
///     flow(&spec, [3, 32, 32]).unwrap_err().to_string(),
///     "stage3.block0: branch gives 128x8x8, shortcut gives 64x16x16; use a projection shortcut with stride 2"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn flow(spec: &NetSpec, input: [usize; 3]) -> Result<Flow, ShapeError> {
    check_whole(spec, input)?;
    let mut rows = vec![stem_row(&spec.stem, input)?];
    let mut map = rows[0].output;
    for (path, block) in spec.blocks() {
        rows.push(block_row(&path.to_string(), block, map)?);
        map = rows[rows.len() - 1].output;
    }
    let head = head_row(&spec.head, map)?;
    let output = head.output;
    rows.push(head);
    let sum = |of: fn(&Row) -> u64| rows.iter().try_fold(0u64, |sum, row| sum.checked_add(of(row)));
    let too_large = || ShapeError::TooLarge { place: "network".into() };
    let parameters = sum(|row| row.parameters).ok_or_else(too_large)?;
    let macs = sum(|row| row.macs).ok_or_else(too_large)?;
    Ok(Flow { input, rows, output, parameters, macs })
}

/// Walks an input of `[channels, height, width]` through a block that stands alone.
///
/// # Errors
/// The first [`ShapeError`] found.
pub fn block_flow(block: &BlockSpec, input: [usize; 3]) -> Result<Row, ShapeError> {
    check_input(input)?;
    block_row("block", block, input)
}

/// What concerns no single layer.
fn check_whole(spec: &NetSpec, input: [usize; 3]) -> Result<(), ShapeError> {
    check_input(input)?;
    let channels = spec.input[0];
    if input[0] != channels {
        return Err(ShapeError::InputChannels { expected: channels, found: input[0] });
    }
    if spec.stem.convs.is_empty() {
        return Err(ShapeError::NoStem);
    }
    if spec.head.classes == 0 {
        return Err(ShapeError::NoClasses);
    }
    for (what, value) in [("dropout", spec.head.dropout), ("stochastic_depth", spec.stochastic_depth)] {
        if !(0.0..1.0).contains(&value) {
            return Err(ShapeError::Probability { what, value });
        }
    }
    let outside = spec.preprocess.sizes().find(|&(_, size)| !is_within(size, MAX_PREPROCESSED_PIXELS));
    if let Some((field, [height, width])) = outside {
        return Err(ShapeError::ImageSize { field, height, width });
    }
    check_normalisation(&spec.preprocess.mean, &spec.preprocess.std, channels)
}

/// Whether there is a pixel, and no more than `most`.
fn is_within([height, width]: [usize; 2], most: usize) -> bool {
    height > 0 && width > 0 && height.checked_mul(width).is_some_and(|pixels| pixels <= most)
}

fn check_input(input: [usize; 3]) -> Result<(), ShapeError> {
    if input.contains(&0) {
        return Err(ShapeError::EmptyInput { input });
    }
    let [_, height, width] = input;
    if !is_within([height, width], MAX_PIXELS) {
        return Err(ShapeError::InputSize { input });
    }
    product(&input).map(|_| ()).ok_or(ShapeError::TooLarge { place: "input".into() })
}

fn check_normalisation(mean: &[f32], std: &[f32], channels: usize) -> Result<(), ShapeError> {
    if mean.len() != channels || std.len() != channels {
        return Err(ShapeError::Normalisation { mean: mean.len(), std: std.len(), channels });
    }
    if let Some(&value) = mean.iter().find(|value| !value.is_finite()) {
        return Err(ShapeError::NormalisationValue { what: "mean", value });
    }
    if let Some(&value) = std.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
        return Err(ShapeError::NormalisationValue { what: "std", value });
    }
    Ok(())
}

fn stem_row(stem: &StemSpec, input: [usize; 3]) -> Result<Row, ShapeError> {
    let mut walk = Walk { map: input, parameters: 0, macs: 0 };
    for (index, conv) in stem.convs.iter().enumerate() {
        let layer = format!("stem.conv{index}");
        let conv = Convolution {
            in_channels: walk.map[0],
            out_channels: conv.channels,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            groups: 1,
        };
        walk.convolution(&layer, &conv)?;
        let norm = if stem.has_norm(index) { [conv.out_channels, 2] } else { [0, 0] };
        walk.add(&layer, &[&conv.weight(), &norm])?;
    }
    if let Some(pool) = &stem.pool {
        walk.pool("stem.pool", pool)?;
    }
    Ok(walk.row("stem", stem.to_string(), None))
}

fn head_row(head: &HeadSpec, [channels, _, _]: [usize; 3]) -> Result<Row, ShapeError> {
    let mut walk = Walk { map: [head.classes, 1, 1], parameters: 0, macs: 0 };
    let norm = if head.norm { [channels, 2] } else { [0, 0] };
    let weight = [head.classes, channels];
    walk.add("head", &[&weight, &[head.classes], &norm])?;
    walk.count("head", &weight)?;
    Ok(walk.row("head", head.to_string(), None))
}

fn block_row(path: &str, block: &BlockSpec, input: [usize; 3]) -> Result<Row, ShapeError> {
    check_nothing_is_zero(path, block)?;
    let mut walk = Walk { map: input, parameters: 0, macs: 0 };
    for (index, conv) in block.convolutions(input[0]).iter().enumerate() {
        walk.convolution(&format!("{path}.conv{}", index + 1), conv)?;
    }
    if let Some(reduced) = block.squeeze_excite {
        walk.count(path, &[2, block.channels, reduced])?;
    }
    if let Some(given) = shortcut_output(block, input) {
        check_join(path, block, input, walk.map, given)?;
        if let Shortcut::Projection { channels, .. } = block.shortcut {
            walk.count(path, &[channels, input[0], given[1], given[2]])?;
        }
    }
    let tensors = block_tensors(block, input[0]);
    let parameters: Vec<_> =
        tensors.iter().filter(|t| t.role.is_parameter()).map(|t| t.shape.as_slice()).collect();
    walk.add(path, &parameters)?;
    Ok(walk.row(path, block.to_string(), Some(block.shortcut)))
}

fn check_nothing_is_zero(path: &str, block: &BlockSpec) -> Result<(), ShapeError> {
    let (channels, stride) = match block.shortcut {
        Shortcut::None | Shortcut::Identity => (1, 1),
        Shortcut::Projection { channels, stride, .. } | Shortcut::ZeroPad { channels, stride } => {
            (channels, stride)
        }
    };
    let properties = [
        ("channels", block.channels),
        ("width", block.width),
        ("stride", block.stride),
        ("groups", block.groups),
        ("squeeze_excite", block.squeeze_excite.unwrap_or(1)),
        ("the shortcut's channels", channels),
        ("the shortcut's stride", stride),
    ];
    match properties.into_iter().find(|&(_, value)| value == 0) {
        Some((what, _)) => Err(ShapeError::Zero { place: path.into(), what }),
        None => Ok(()),
    }
}

/// What the shortcut gives; `None` for a plain block. The input and the stride are not zero.
fn shortcut_output(block: &BlockSpec, [channels, height, width]: [usize; 3]) -> Option<[usize; 3]> {
    let stride = block.shortcut.stride()?;
    Some([block.shortcut.channels(channels)?, height.div_ceil(stride), width.div_ceil(stride)])
}

/// Whether branch and shortcut can be added.
fn check_join(
    path: &str,
    block: &BlockSpec,
    input: [usize; 3],
    branch: [usize; 3],
    given: [usize; 3],
) -> Result<(), ShapeError> {
    let &BlockSpec { shortcut, stride, .. } = block;
    let disagreement = || Disagreement { block: path.into(), stride, shortcut, branch, given };
    if stride != 1 && shortcut.stride() == Some(1) {
        return Err(ShapeError::ForgottenStride(disagreement()));
    }
    if branch[0] != given[0] {
        return Err(ShapeError::Channels(disagreement()));
    }
    if branch[1..] != given[1..] {
        return Err(ShapeError::Size(disagreement()));
    }
    match shortcut {
        Shortcut::ZeroPad { channels, .. } if channels < input[0] => {
            Err(ShapeError::ZeroPadShrinks { block: path.into(), from: input[0], to: channels })
        }
        _ => Ok(()),
    }
}

/// The map on its way, and what was counted so far.
struct Walk {
    map: [usize; 3],
    parameters: u64,
    macs: u64,
}

impl Walk {
    fn convolution(&mut self, layer: &str, conv: &Convolution) -> Result<(), ShapeError> {
        let properties = [("channels", conv.out_channels), ("kernel", conv.kernel), ("stride", conv.stride)];
        for (what, value) in properties {
            if value == 0 {
                return Err(ShapeError::Zero { place: layer.into(), what });
            }
        }
        for channels in [conv.in_channels, conv.out_channels] {
            if channels % conv.groups != 0 {
                return Err(ShapeError::Groups { layer: layer.into(), groups: conv.groups, channels });
            }
        }
        let [_, height, width] = self.map;
        let output = conv.output_side(height).zip(conv.output_side(width));
        let (height, width) = output.ok_or(ShapeError::Vanishes {
            layer: layer.into(),
            kernel: conv.kernel,
            padding: conv.padding,
            height,
            width,
        })?;
        self.map = [conv.out_channels, height, width];
        let [out, inputs, kernel, _] = conv.weight();
        self.count(layer, &[out, inputs, kernel, kernel, height, width])
    }

    fn pool(&mut self, layer: &str, pool: &MaxPool) -> Result<(), ShapeError> {
        let [channels, height, width] = self.map;
        for (what, value) in [("kernel", pool.kernel), ("stride", pool.stride)] {
            if value == 0 {
                return Err(ShapeError::Zero { place: layer.into(), what });
            }
        }
        let (kernel, padding) = (pool.kernel, pool.padding);
        if padding > kernel / 2 {
            return Err(ShapeError::PoolPadding { layer: layer.into(), kernel, padding });
        }
        let output = pool.output_side(height).zip(pool.output_side(width));
        let vanishes = ShapeError::Vanishes { layer: layer.into(), kernel, padding, height, width };
        let (height, width) = output.ok_or(vanishes)?;
        self.map = [channels, height, width];
        Ok(())
    }

    /// Counts the product of `factors` as multiply-accumulates.
    fn count(&mut self, place: &str, factors: &[usize]) -> Result<(), ShapeError> {
        let sum = product(factors).and_then(|macs| self.macs.checked_add(macs));
        self.macs = sum.ok_or(ShapeError::TooLarge { place: place.into() })?;
        Ok(())
    }

    /// Counts tensors of these shapes as parameters.
    fn add(&mut self, place: &str, shapes: &[&[usize]]) -> Result<(), ShapeError> {
        let sum = shapes.iter().try_fold(self.parameters, |sum, shape| sum.checked_add(product(shape)?));
        self.parameters = sum.ok_or(ShapeError::TooLarge { place: place.into() })?;
        Ok(())
    }

    fn row(self, path: &str, description: String, shortcut: Option<Shortcut>) -> Row {
        let Self { map: output, parameters, macs } = self;
        Row { path: path.into(), description, shortcut, output, parameters, macs }
    }
}

#[cfg(test)]
mod tests {
    /// PyTorch's rule for a 2x2 average pool with `ceil_mode`: the side rounded up, less the last window
    /// where it would start outside the map.
    fn ceil_mode_pool(side: usize, stride: usize) -> usize {
        let windows = (side + stride - 1).saturating_sub(2) / stride + 1;
        if (windows - 1) * stride >= side { windows - 1 } else { windows }
    }

    #[test]
    fn a_cut_off_average_pool_rounds_up() {
        for stride in 2..9 {
            for side in 1usize..200 {
                assert_eq!(ceil_mode_pool(side, stride), side.div_ceil(stride), "{side} by {stride}");
            }
        }
    }
}
