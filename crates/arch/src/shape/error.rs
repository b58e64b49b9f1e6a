//! Errors of shape.

use std::fmt;

use crate::{BlockPath, LayerPath, Place, RegressionTarget, Shortcut};

/// Error of shape: why a network cannot be built, or cannot take an input. Displays as `PLACE: FOUND; help: HELP`, and
/// gives each of the three by itself.
///
/// ```
/// use residual_arch::{Shortcut, families::family};
/// let mut spec = family("small")?;
/// spec.stages[2].blocks[0].shortcut = Shortcut::Identity;
/// let error = spec.check([3, 32, 32]).unwrap_err();
/// assert_eq!(error.place().to_string(), "stage3.block0");
/// assert_eq!(error.found(), "branch gives 128x8x8, shortcut gives 64x16x16");
/// assert_eq!(error.help(), "use a projection shortcut with stride 2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShapeError {
    /// Branch and shortcut end in different numbers of channels.
    Channels(Box<Disagreement>),
    /// Branch and shortcut end in maps of different height or width.
    Size(Box<Disagreement>),
    /// The block has a stride, its shortcut has not. Refused also where a map of one pixel hides it.
    ForgottenStride(Box<Disagreement>),
    /// A parameter-free shortcut adds channels; it cannot take them away.
    ZeroPadShrinks {
        /// The block; `None` for one that stands alone.
        block: Option<BlockPath>,
        /// Input channels.
        from: usize,
        /// Output channels.
        to: usize,
    },
    /// A kernel is larger than the padded map.
    Vanishes {
        /// The layer.
        layer: LayerPath,
        /// Side of its kernel.
        kernel: usize,
        /// Padding.
        padding: usize,
        /// Height of its input.
        height: usize,
        /// Width of its input.
        width: usize,
    },
    /// A map with fewer rows or columns than a pool needs.
    SmallMap {
        /// The layer.
        layer: LayerPath,
        /// Rows and columns that it needs.
        least: usize,
        /// Height of its input.
        height: usize,
        /// Width of its input.
        width: usize,
    },
    /// A convolution along the channels, or of a shortcut, whose kernel has no middle.
    EvenKernel {
        /// The layer.
        layer: LayerPath,
        /// Size of its kernel.
        kernel: usize,
    },
    /// A max pool is padded by more than half its kernel, so that windows may hold padding alone.
    PoolPadding {
        /// The layer.
        layer: LayerPath,
        /// Side of its window.
        kernel: usize,
        /// Padding.
        padding: usize,
    },
    /// A grouped convolution or a group norm whose channels do not divide into the groups.
    Groups {
        /// The convolution or norm.
        layer: LayerPath,
        /// Number of groups.
        groups: usize,
        /// Channels that do not divide.
        channels: usize,
    },
    /// The head has no classes.
    NoClasses,
    /// A threshold of a probability that is not between 0 and 1.
    Threshold {
        /// Value.
        value: f64,
    },
    /// A regression of more or fewer targets than the head has outputs.
    Targets {
        /// Number of targets.
        targets: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// A mean that is no number, or a deviation that is not above zero.
    Standardisation {
        /// Target.
        target: RegressionTarget,
    },
    /// An input without channels, rows or columns.
    EmptyInput {
        /// The input.
        input: [usize; 3],
    },
    /// An input of more pixels than images may have.
    InputSize {
        /// The input.
        input: [usize; 3],
    },
    /// A resize or a crop to nothing, or to more than [`MAX_PREPROCESSED_PIXELS`](crate::MAX_PREPROCESSED_PIXELS).
    ImageSize {
        /// `resize` or `crop`.
        field: &'static str,
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
    },
    /// An input with other channels than the network is meant for.
    InputChannels {
        /// Channels that the network takes.
        expected: usize,
        /// Channels that it was given.
        found: usize,
    },
    /// A stem without a convolution.
    NoStem,
    /// Something of which there must be at least one is zero.
    Zero {
        /// Block or layer.
        place: ShapePlace,
        /// Property.
        what: &'static str,
    },
    /// A probability of dropping that is not from 0 to below 1.
    Probability {
        /// Name of the probability.
        what: &'static str,
        /// Value.
        value: f64,
    },
    /// Means or standard deviations that are not one a channel.
    Normalisation {
        /// Number of means.
        mean: usize,
        /// Number of standard deviations.
        std: usize,
        /// Channels of the network's input.
        channels: usize,
    },
    /// A mean that is no number, or a standard deviation that is not above zero.
    NormalisationValue {
        /// `mean` or `std`.
        what: &'static str,
        /// Value.
        value: f32,
    },
    /// More parameters, elements or operations than 64 bits count.
    TooLarge {
        /// The input or a layer.
        place: ShapePlace,
    },
}

/// Place of an error of shape. Displays as `input`, `preprocess`, `network`, `stem`, `stage2.block0`,
/// `stage2.block0.conv1`; in a block that stands alone as `block` and `block.conv1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShapePlace {
    /// The network's input.
    Input,
    /// The preprocessing.
    Preprocess,
    /// The network as a whole.
    Network,
    /// A part of the network.
    Part(Place),
    /// The block that stands alone.
    Block,
    /// A layer.
    Layer(LayerPath),
}

impl From<Option<BlockPath>> for ShapePlace {
    /// The block; `None` for one that stands alone.
    fn from(block: Option<BlockPath>) -> Self {
        block.map_or(Self::Block, |path| Self::Part(Place::Block(path)))
    }
}

impl fmt::Display for ShapePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Preprocess => f.write_str("preprocess"),
            Self::Network => f.write_str("network"),
            Self::Part(place) => place.fmt(f),
            Self::Block => f.write_str("block"),
            Self::Layer(LayerPath::Alone(part)) => write!(f, "block.{part}"),
            Self::Layer(path) => path.fmt(f),
        }
    }
}

/// Shape of a map: `256x8x8`.
fn map([channels, height, width]: &[usize; 3]) -> String {
    format!("{channels}x{height}x{width}")
}

impl ShapeError {
    /// Place of the error.
    pub fn place(&self) -> ShapePlace {
        match *self {
            Self::Channels(ref at) | Self::Size(ref at) | Self::ForgottenStride(ref at) => at.block.into(),
            Self::ZeroPadShrinks { block, .. } => block.into(),
            Self::Vanishes { layer, .. }
            | Self::SmallMap { layer, .. }
            | Self::EvenKernel { layer, .. }
            | Self::PoolPadding { layer, .. }
            | Self::Groups { layer, .. } => ShapePlace::Layer(layer),
            Self::NoClasses
            | Self::Threshold { .. }
            | Self::Targets { .. }
            | Self::Standardisation { .. } => ShapePlace::Part(Place::Head),
            Self::NoStem => ShapePlace::Part(Place::Stem),
            Self::EmptyInput { .. } | Self::InputSize { .. } | Self::InputChannels { .. } => {
                ShapePlace::Input
            }
            Self::ImageSize { .. } | Self::Normalisation { .. } | Self::NormalisationValue { .. } => {
                ShapePlace::Preprocess
            }
            Self::Probability { .. } => ShapePlace::Network,
            Self::Zero { place, .. } | Self::TooLarge { place } => place,
        }
    }

    /// Finding: what is wrong there.
    pub fn found(&self) -> String {
        match self {
            Self::Channels(at) | Self::Size(at) | Self::ForgottenStride(at) => {
                format!("branch gives {}, shortcut gives {}", map(&at.branch), map(&at.given))
            }
            Self::ZeroPadShrinks { from, to, .. } => {
                format!("the zero-pad shortcut takes {from} channels to {to}")
            }
            Self::Vanishes { kernel, padding, height, width, .. } => format!(
                "a {kernel}x{kernel} kernel with padding {padding} does not fit a map of {height}x{width}"
            ),
            Self::SmallMap { least, height, width, .. } => {
                format!("a map of {height}x{width} where {least}x{least} is the least")
            }
            Self::EvenKernel { kernel, .. } => format!("a kernel of {kernel} has no middle"),
            Self::PoolPadding { kernel, padding, .. } => {
                format!("padding {padding} is more than half the kernel of {kernel}")
            }
            Self::Groups { groups, channels, .. } => {
                format!("{channels} channels do not divide into {groups} groups")
            }
            Self::NoClasses => "zero classes".into(),
            Self::Threshold { value } => format!("a threshold of {value}"),
            Self::Targets { targets, outputs } => {
                let end = if *targets == 1 { "" } else { "s" };
                format!("{outputs} outputs for a regression of {targets} target{end}")
            }
            Self::Standardisation { target } => {
                let RegressionTarget { name, mean, deviation } = target;
                format!("target `{name}` has the mean {mean} and the deviation {deviation}")
            }
            Self::EmptyInput { input } => format!("{} holds nothing", map(input)),
            Self::InputSize { input } => format!("{} has more pixels than any image", map(input)),
            Self::ImageSize { field, height, width } => format!("a {field} to {height}x{width}"),
            Self::InputChannels { expected, found } => {
                format!("{found} channels where the network takes {expected}")
            }
            Self::NoStem => "no convolution".into(),
            Self::Zero { what, .. } => format!("{what} is zero"),
            Self::Probability { what, value } => format!("{what} is {value}"),
            Self::Normalisation { mean, std, channels } => {
                format!("{mean} means and {std} standard deviations for {channels} channels")
            }
            Self::NormalisationValue { what, value } => format!("{what} is {value}"),
            Self::TooLarge { .. } => "the number of its parameters or operations does not fit 64 bits".into(),
        }
    }

    /// Remedy: what to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Channels(at) | Self::Size(at) | Self::ForgottenStride(at) => at.help(),
            Self::ZeroPadShrinks { .. } => "use a projection shortcut".into(),
            Self::Vanishes { kernel, .. } => {
                format!("give a larger input, or a padding of {}", kernel / 2)
            }
            Self::SmallMap { .. } => "give a larger input".into(),
            Self::EvenKernel { kernel, .. } => {
                format!("use an odd one, such as {}", kernel.saturating_add(1))
            }
            Self::PoolPadding { kernel, .. } => format!("use at most {}", kernel / 2),
            Self::Groups { groups, .. } => format!("use a multiple of {groups} channels"),
            Self::NoClasses | Self::NoStem | Self::Zero { .. } => "give at least one".into(),
            Self::Threshold { .. } => "give a probability above 0 and below 1".into(),
            Self::Targets { .. } => "give the head as many classes as there are targets".into(),
            Self::Standardisation { .. } => "give finite numbers, and a deviation above 0".into(),
            Self::EmptyInput { .. } => "give at least one channel, one row and one column".into(),
            Self::InputSize { .. } => "give at most 8192x8192 of them".into(),
            Self::ImageSize { .. } => "give at least one pixel and at most 2048x2048 of them".into(),
            Self::InputChannels { expected, .. } => format!("give {expected}, or change `input`"),
            Self::Probability { .. } => "give a probability from 0 to below 1".into(),
            Self::Normalisation { .. } => "give one of each a channel".into(),
            Self::NormalisationValue { what: "std", .. } => "give a finite number above zero".into(),
            Self::NormalisationValue { .. } => "give a finite number".into(),
            Self::TooLarge { .. } => "give smaller numbers".into(),
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            // What is found there has the name of the field.
            ShapePlace::Network => {}
            place => write!(f, "{place}: ")?,
        }
        write!(f, "{}; help: {}", self.found(), self.help())
    }
}

impl std::error::Error for ShapeError {}

/// Branch and shortcut of a block, which cannot be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The block; `None` for one that stands alone.
    pub block: Option<BlockPath>,
    /// Stride of the block.
    pub stride: usize,
    /// Shortcut of the block.
    pub shortcut: Shortcut,
    /// Shape that the branch gives, `[channels, height, width]`.
    pub branch: [usize; 3],
    /// Shape that the shortcut gives.
    pub given: [usize; 3],
}

impl Disagreement {
    /// Remedy: what the shortcut should be.
    fn help(&self) -> String {
        let (kind, channels, stride) = match self.shortcut {
            Shortcut::None | Shortcut::Identity => {
                return format!("use a projection shortcut with stride {}", self.stride);
            }
            Shortcut::Projection { channels, stride, .. } => ("projection", channels, stride),
            Shortcut::ZeroPad { channels, stride } => ("zero-pad shortcut", channels, stride),
        };
        let mut wanted = Vec::new();
        if channels != self.branch[0] {
            wanted.push(format!("{} channels", self.branch[0]));
        }
        if stride != self.stride {
            wanted.push(format!("stride {}", self.stride));
        }
        if wanted.is_empty() {
            // Only a mean of windows rounds down.
            return format!("give an input whose sides are multiples of {} here, or blur", self.stride);
        }
        format!("give the {kind} {}", wanted.join(" and "))
    }
}
