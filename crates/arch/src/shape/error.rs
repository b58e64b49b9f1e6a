//! What can be wrong with a specification.

use std::fmt;

use thiserror::Error;

use crate::Shortcut;

/// Why a network cannot be built, or cannot take an input: where, what was found, and the help.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ShapeError {
    /// Branch and shortcut end in different numbers of channels.
    #[error("{0}")]
    Channels(Disagreement),
    /// Branch and shortcut end in maps of different height or width.
    #[error("{0}")]
    Size(Disagreement),
    /// The block has a stride, its shortcut has not. Refused also where a map of one pixel hides it.
    #[error("{0}")]
    ForgottenStride(Disagreement),
    /// A parameter-free shortcut adds channels; it cannot take them away.
    #[error("{block}: the zero-pad shortcut takes {from} channels to {to}; use a projection shortcut")]
    ZeroPadShrinks {
        /// The block.
        block: String,
        /// Input channels.
        from: usize,
        /// Output channels.
        to: usize,
    },
    /// A kernel is larger than the padded map.
    #[error(
        "{layer}: a {kernel}x{kernel} kernel with padding {padding} does not fit a map of {height}x{width}; \
         give a larger input, or a padding of {}", kernel / 2
    )]
    Vanishes {
        /// The layer.
        layer: String,
        /// Side of its kernel.
        kernel: usize,
        /// Its padding.
        padding: usize,
        /// Height of its input.
        height: usize,
        /// Width of its input.
        width: usize,
    },
    /// A max pool is padded by more than half its kernel, so that windows may hold padding alone.
    #[error("{layer}: padding {padding} is more than half the kernel of {kernel}; use at most {}", kernel / 2)]
    PoolPadding {
        /// The layer.
        layer: String,
        /// Side of its window.
        kernel: usize,
        /// Its padding.
        padding: usize,
    },
    /// A grouped convolution whose channels do not divide into the groups.
    #[error(
        "{layer}: {channels} channels do not divide into {groups} groups; use a multiple of {groups} channels"
    )]
    Groups {
        /// The convolution.
        layer: String,
        /// Its groups.
        groups: usize,
        /// Its input or output channels, those that do not divide.
        channels: usize,
    },
    /// The head has no classes.
    #[error("head: zero classes; give at least one")]
    NoClasses,
    /// An input without channels, rows or columns.
    #[error("input: {} holds nothing; give at least one channel, one row and one column", map(.input))]
    EmptyInput {
        /// The input.
        input: [usize; 3],
    },
    /// An input of more pixels than images may have.
    #[error("input: {} has more pixels than any image; give at most 8192x8192 of them", map(.input))]
    InputSize {
        /// The input.
        input: [usize; 3],
    },
    /// A resize or a crop to nothing, or to more than [`MAX_PREPROCESSED_PIXELS`](crate::MAX_PREPROCESSED_PIXELS).
    #[error(
        "preprocess: a {field} to {height}x{width}; give at least one pixel and at most 2048x2048 of them"
    )]
    ImageSize {
        /// `resize` or `crop`.
        field: &'static str,
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
    },
    /// An input with other channels than the network is meant for.
    #[error("input: {found} channels where the network takes {expected}; give {expected}, or change `input`")]
    InputChannels {
        /// What the network takes.
        expected: usize,
        /// What it was given.
        found: usize,
    },
    /// A stem without a convolution.
    #[error("stem: no convolution; give at least one")]
    NoStem,
    /// Something of which there must be at least one is zero.
    #[error("{place}: {what} is zero; give at least one")]
    Zero {
        /// Block or layer.
        place: String,
        /// Which of its properties.
        what: &'static str,
    },
    /// A probability of dropping that is not from 0 to below 1.
    #[error("{what} is {value}; give a probability from 0 to below 1")]
    Probability {
        /// Which.
        what: &'static str,
        /// What was found.
        value: f64,
    },
    /// Means or standard deviations that are not one a channel.
    #[error(
        "preprocess: {mean} means and {std} standard deviations for {channels} channels; give one of each a channel"
    )]
    Normalisation {
        /// Number of means.
        mean: usize,
        /// Number of standard deviations.
        std: usize,
        /// Channels of the network's input.
        channels: usize,
    },
    /// A mean that is no number, or a standard deviation that is not above zero.
    #[error("preprocess: {what} is {value}; give a finite number{}", if *.what == "std" { " above zero" } else { "" })]
    NormalisationValue {
        /// `mean` or `std`.
        what: &'static str,
        /// What was found.
        value: f32,
    },
    /// More parameters, elements or operations than 64 bits count.
    #[error("{place}: the number of its parameters or operations does not fit 64 bits; give smaller numbers")]
    TooLarge {
        /// Block or layer.
        place: String,
    },
}

/// `256x8x8`.
fn map(shape: &[usize; 3]) -> String {
    format!("{}x{}x{}", shape[0], shape[1], shape[2])
}

/// A block whose branch and shortcut cannot be added. Displays as `stage3.block0: branch gives 256x8x8,
/// shortcut gives 128x16x16; use a projection shortcut with stride 2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The block's path.
    pub block: String,
    /// Its stride.
    pub stride: usize,
    /// Its shortcut.
    pub shortcut: Shortcut,
    /// What the branch gives, `[channels, height, width]`.
    pub branch: [usize; 3],
    /// What the shortcut gives.
    pub given: [usize; 3],
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { block, branch, given, .. } = self;
        write!(f, "{block}: branch gives {}, shortcut gives {}; ", map(branch), map(given))?;
        self.help(f)
    }
}

impl Disagreement {
    /// Says what the shortcut should be.
    fn help(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, channels, stride) = match self.shortcut {
            Shortcut::None | Shortcut::Identity => {
                return write!(f, "use a projection shortcut with stride {}", self.stride);
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
        write!(f, "give the {kind} {}", wanted.join(" and "))
    }
}
