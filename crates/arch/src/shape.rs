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

pub use error::{Disagreement, ShapeError, ShapePlace};

use crate::tensors::product;
use crate::{
    BlockPath, BlockSpec, Layer, MAX_PIXELS, MAX_PREPROCESSED_PIXELS, NetSpec, Network, Place, Shortcut,
};

/// Flow of shapes through a network, row by row.
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
    /// Description for people.
    pub description: String,
    /// The shortcut of a block.
    #[serde(serialize_with = "as_text")]
    pub shortcut: Option<Shortcut>,
    /// Shape of the output, `[channels, height, width]`.
    pub output: [usize; 3],
    /// Number of parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
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
///     "stage3.block0: branch gives 128x8x8, shortcut gives 64x16x16; help: use a projection shortcut with stride 2"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn flow(spec: &NetSpec, input: [usize; 3]) -> Result<Flow, ShapeError> {
    Ok(spec.check(input)?.flow())
}

/// Walks an input of `[channels, height, width]` through a block that stands alone.
///
/// # Errors
/// The first [`ShapeError`] found.
pub fn block_flow(block: &BlockSpec, input: [usize; 3]) -> Result<Row, ShapeError> {
    let checked = block.check(input)?;
    Ok(Row::of("block".into(), block.to_string(), Some(block.shortcut), checked.layers()))
}

impl Network {
    /// The stem, each block and the head, with what they count.
    pub fn flow(&self) -> Flow {
        let spec = self.spec();
        let row = |place, description, shortcut| {
            Row::of(Place::to_string(&place), description, shortcut, self.layers_of(place))
        };
        let block = |(path, block, layers): (BlockPath, &BlockSpec, &[Layer])| {
            Row::of(path.to_string(), block.to_string(), Some(block.shortcut), layers)
        };
        let mut rows = vec![row(Place::Stem, spec.stem.to_string(), None)];
        rows.extend(self.blocks().map(block));
        rows.push(row(Place::Head, spec.head.to_string(), None));
        let (parameters, macs) = (self.parameters(), self.macs());
        Flow { input: self.input(), rows, output: self.output(), parameters, macs }
    }
}

impl Row {
    /// The row of `layers`, of which there is one at least.
    fn of(path: String, description: String, shortcut: Option<Shortcut>, layers: &[Layer]) -> Self {
        let output = layers.last().map_or([0; 3], Layer::output);
        let sum = |of: fn(&Layer) -> u64| layers.iter().map(of).sum();
        let (parameters, macs) = (sum(Layer::parameters), sum(Layer::macs));
        Self { path, description, shortcut, output, parameters, macs }
    }
}

/// Check of all that concerns no single layer.
pub(crate) fn check_whole(spec: &NetSpec, input: [usize; 3]) -> Result<(), ShapeError> {
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
    spec.task.check(spec.head.classes)?;
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

/// Test for a size of at least one pixel and at most `most`.
fn is_within([height, width]: [usize; 2], most: usize) -> bool {
    height > 0 && width > 0 && height.checked_mul(width).is_some_and(|pixels| pixels <= most)
}

pub(crate) fn check_input(input: [usize; 3]) -> Result<(), ShapeError> {
    if input.contains(&0) {
        return Err(ShapeError::EmptyInput { input });
    }
    let [_, height, width] = input;
    if !is_within([height, width], MAX_PIXELS) {
        return Err(ShapeError::InputSize { input });
    }
    product(&input).map(|_| ()).ok_or(ShapeError::TooLarge { place: ShapePlace::Input })
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
