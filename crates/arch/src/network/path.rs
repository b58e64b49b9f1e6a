//! Canonical paths of layers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Place;

/// Canonical path of a layer. Displays as `stem.conv0`, `stage2.block0.shortcut.conv` or `head.linear`,
/// and reads back from exactly that text.
///
/// ```
/// use residual_arch::{BlockPart, BlockPath, LayerPath, Place, ShortcutPart};
/// let path: LayerPath = "stage2.block0.shortcut.conv".parse()?;
/// let block = BlockPath { stage: 2, block: 0 };
/// assert_eq!(path, LayerPath::Block(block, BlockPart::Shortcut(ShortcutPart::Conv)));
/// assert!(Place::Stage(2).contains(path));
/// assert_eq!(path.to_string(), "stage2.block0.shortcut.conv");
/// # Ok::<(), residual_arch::UnknownPath>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LayerPath {
    /// A layer of the stem.
    Stem(StemPart),
    /// A layer of a block.
    Block(BlockPath, BlockPart),
    /// A layer of a block that stands alone. Displays as the part does, `conv1`.
    Alone(BlockPart),
    /// A layer of the head.
    Head(HeadPart),
}

/// Path of a block. Displays as `stage3.block0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockPath {
    /// Stage, counted from 1.
    pub stage: usize,
    /// Block in the stage, counted from 0.
    pub block: usize,
}

/// Layer of a stem, counted from 0: `conv0`, `norm0`, `act0`, `pool`, `aa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StemPart {
    /// Convolution.
    Conv(usize),
    /// Norm of the convolution of the same number.
    Norm(usize),
    /// Activation behind the norm of the same number.
    Act(usize),
    /// Pool at the end.
    Pool,
    /// Filter of anti-aliased downsampling behind the pool.
    AntiAlias,
}

/// Layer of a block, counted from 1 in the order in which they act: `conv1`, `norm1`, `act1`, `aa`, `se`, `eca`, `depth`,
/// `shortcut.conv`, `add`, `act`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BlockPart {
    /// Convolution of the branch.
    Conv(usize),
    /// Norm of the branch: behind the convolution of the same number in post-activation order, else before it.
    Norm(usize),
    /// Activation behind the norm of the same number.
    Act(usize),
    /// Filter of anti-aliased downsampling.
    AntiAlias,
    /// Squeeze-and-excitation at the end of the branch.
    SqueezeExcite,
    /// Efficient channel attention at the end of the branch.
    EfficientAttention,
    /// Stochastic depth at the end of the branch.
    Depth,
    /// Layer of the shortcut.
    Shortcut(ShortcutPart),
    /// Addition of branch and shortcut.
    Add,
    /// Activation of the block's output.
    OutputAct,
}

/// Layer of a shortcut: `pool`, `conv`, `norm`, `pad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ShortcutPart {
    /// Average pool before the convolution.
    Pool,
    /// Convolution of a projection.
    Conv,
    /// Norm of a projection.
    Norm,
    /// Zero-padded copy.
    Pad,
}

/// Layer of a head: `norm`, `act`, `pool`, `dropout`, `linear`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HeadPart {
    /// Norm before the pool.
    Norm,
    /// Activation behind the norm.
    Act,
    /// Global average pool.
    Pool,
    /// Dropout of pooled features.
    Dropout,
    /// Linear layer that gives the logits.
    Linear,
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path:?} is no path of {of}; expected one as {expected}")]
pub struct UnknownPath {
    /// The text as given.
    pub path: String,
    /// A layer, a block, a tensor or a part of a network.
    pub of: &'static str,
    /// Examples of what was expected.
    pub expected: &'static str,
}

impl LayerPath {
    /// The smallest part of a network that the layer stands in; `None` in a block that stands alone.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Stem(_) => Some(Place::Stem),
            Self::Block(path, _) => Some(Place::Block(path)),
            Self::Alone(_) => None,
            Self::Head(_) => Some(Place::Head),
        }
    }

    /// Name in its stem, block or head: `conv0`, `shortcut.conv`, `linear`.
    pub fn name(self) -> String {
        match self {
            Self::Stem(part) => part.to_string(),
            Self::Block(_, part) | Self::Alone(part) => part.to_string(),
            Self::Head(part) => part.to_string(),
        }
    }

    /// The layer's path in its block; `None` in stem and head.
    pub fn block_part(self) -> Option<BlockPart> {
        match self {
            Self::Block(_, part) | Self::Alone(part) => Some(part),
            Self::Stem(_) | Self::Head(_) => None,
        }
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stem(part) => write!(f, "stem.{part}"),
            Self::Block(path, part) => write!(f, "{path}.{part}"),
            Self::Alone(part) => part.fmt(f),
            Self::Head(part) => write!(f, "head.{part}"),
        }
    }
}

impl FromStr for LayerPath {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, UnknownPath> {
        parse_layer(text).ok_or_else(|| UnknownPath {
            path: text.into(),
            of: "a layer",
            expected: "stem.conv0, stage2.block0.shortcut.conv, head.linear",
        })
    }
}

fn parse_layer(text: &str) -> Option<LayerPath> {
    if let Some(part) = text.strip_prefix("stem.") {
        return parse_stem(part).map(LayerPath::Stem);
    }
    if let Some(part) = text.strip_prefix("head.") {
        return parse_head(part).map(LayerPath::Head);
    }
    if text.starts_with("stage") {
        let mut parts = text.splitn(3, '.');
        let path = parse_block_path(parts.next()?, parts.next()?)?;
        return parse_block(parts.next()?).map(|part| LayerPath::Block(path, part));
    }
    parse_block(text).map(LayerPath::Alone)
}

impl fmt::Display for BlockPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage{}.block{}", self.stage, self.block)
    }
}

impl FromStr for BlockPath {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, UnknownPath> {
        let parsed = text.split_once('.').and_then(|(stage, block)| parse_block_path(stage, block));
        parsed.ok_or_else(|| UnknownPath { path: text.into(), of: "a block", expected: "stage2.block0" })
    }
}

fn parse_block_path(stage: &str, block: &str) -> Option<BlockPath> {
    Some(BlockPath { stage: numbered(stage, "stage", 1)?, block: numbered(block, "block", 0)? })
}

/// The number behind `prefix`: decimal digits without a sign or a leading zero, not below `least`. A path has
/// one text.
pub(super) fn numbered(text: &str, prefix: &str, least: usize) -> Option<usize> {
    let digits = text.strip_prefix(prefix)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|&number| plain && number >= least)
}

impl fmt::Display for StemPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv(index) => write!(f, "conv{index}"),
            Self::Norm(index) => write!(f, "norm{index}"),
            Self::Act(index) => write!(f, "act{index}"),
            Self::Pool => f.write_str("pool"),
            Self::AntiAlias => f.write_str("aa"),
        }
    }
}

fn parse_stem(text: &str) -> Option<StemPart> {
    let counted = |prefix| numbered(text, prefix, 0);
    match text {
        "pool" => Some(StemPart::Pool),
        "aa" => Some(StemPart::AntiAlias),
        _ => (counted("conv").map(StemPart::Conv))
            .or_else(|| counted("norm").map(StemPart::Norm))
            .or_else(|| counted("act").map(StemPart::Act)),
    }
}

impl fmt::Display for BlockPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv(number) => write!(f, "conv{number}"),
            Self::Norm(number) => write!(f, "norm{number}"),
            Self::Act(number) => write!(f, "act{number}"),
            Self::AntiAlias => f.write_str("aa"),
            Self::SqueezeExcite => f.write_str("se"),
            Self::EfficientAttention => f.write_str("eca"),
            Self::Depth => f.write_str("depth"),
            Self::Shortcut(part) => write!(f, "shortcut.{part}"),
            Self::Add => f.write_str("add"),
            Self::OutputAct => f.write_str("act"),
        }
    }
}

fn parse_block(text: &str) -> Option<BlockPart> {
    let counted = |prefix| numbered(text, prefix, 1);
    match text {
        "aa" => Some(BlockPart::AntiAlias),
        "se" => Some(BlockPart::SqueezeExcite),
        "eca" => Some(BlockPart::EfficientAttention),
        "depth" => Some(BlockPart::Depth),
        "add" => Some(BlockPart::Add),
        "act" => Some(BlockPart::OutputAct),
        "shortcut.pool" => Some(BlockPart::Shortcut(ShortcutPart::Pool)),
        "shortcut.conv" => Some(BlockPart::Shortcut(ShortcutPart::Conv)),
        "shortcut.norm" => Some(BlockPart::Shortcut(ShortcutPart::Norm)),
        "shortcut.pad" => Some(BlockPart::Shortcut(ShortcutPart::Pad)),
        _ => (counted("conv").map(BlockPart::Conv))
            .or_else(|| counted("norm").map(BlockPart::Norm))
            .or_else(|| counted("act").map(BlockPart::Act)),
    }
}

impl fmt::Display for ShortcutPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "pool",
            Self::Conv => "conv",
            Self::Norm => "norm",
            Self::Pad => "pad",
        })
    }
}

impl fmt::Display for HeadPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Norm => "norm",
            Self::Act => "act",
            Self::Pool => "pool",
            Self::Dropout => "dropout",
            Self::Linear => "linear",
        })
    }
}

fn parse_head(text: &str) -> Option<HeadPart> {
    let parts = [HeadPart::Norm, HeadPart::Act, HeadPart::Pool, HeadPart::Dropout, HeadPart::Linear];
    parts.into_iter().find(|part| part.to_string() == text)
}
