//! The name of every tensor in every scheme of names.
//!
//! Each scheme is what its files have, continued by the same pattern where they have nothing of the
//! kind. No two tensors of a network share a name.
//!
//! | layer | [`Torchvision`](Naming::Torchvision) | [`Timm`](Naming::Timm) | [`Timm`](Naming::Timm), pre-activation | [`Cifar`](Naming::Cifar) | [`Sequential`](Naming::Sequential) |
//! | --- | --- | --- | --- | --- | --- |
//! | the only stem convolution, its BN | `conv1`, `bn1` | `conv1`, `bn1` | `stem.conv`, `stem.norm` | `conv1`, `bn1` | `stem.0`, `stem.1` |
//! | stem convolution `i` of several, its BN | `conv1.{3i}`, `conv1.{3i+1}`, the last BN `bn1` | the same | `stem.conv{i+1}`, `stem.norm{i+1}` | as torchvision | `stem.{3i}`, `stem.{3i+1}` |
//! | block `b` of stage `s` | `layer{s}.{b}` | `layer{s}.{b}` | `stages.{s-1}.blocks.{b}` | `layer{s}.{b}` | `stage{s}.{b}` |
//! | its convolution `k`, BN `k` | `conv{k}`, `bn{k}` | `conv{k}`, `bn{k}` | `conv{k}`, `norm{k}` | `conv{k}`, `bn{k}` | `residual.{n}` |
//! | its squeeze-and-excitation | `se.fc1`, `se.fc2` | `se.fc1`, `se.fc2` | `se.fc1`, `se.fc2` | `se.fc1`, `se.fc2` | `residual.{n}.fc1`, `.fc2` |
//! | its projection | `downsample.0`, `.1` | `downsample.0`, `.1` | `downsample.conv`, `.norm` | `shortcut.0`, `.1` | `shortcut.0`, `.1` |
//! | the BN before the head | `norm` | - | `norm` | `bn` | `head.0` |
//! | the linear layer | `fc` | `fc` | `head.fc`, a 1x1 convolution | `linear` | `head.2`, or `head.4` after a BN and ReLU |
//!
//! An average-pool shortcut counts its pool, so that the convolution and BN are `.1` and `.2`, also
//! where its stride is 1. In `residual.{n}`, `n` counts convolutions, BN and ReLU in the order in which
//! they act, and squeeze-and-excitation as one module after them. Dropout has no place in the numbers.
//! timm's pre-activation names are those of every network with a pre-activation block, a bare stem or a
//! BN before its head.

use std::collections::HashMap;

use crate::site::{self, Part, Site, Tensor};
use crate::tensors::{part_path, site_path};
use crate::{BlockKind, BlockPath, BlockSpec, Naming, NetSpec, Order, Shortcut};

/// A tensor's name in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorName {
    /// Canonical path, that of [`TensorSpec`](crate::TensorSpec).
    pub path: String,
    /// Name in the file.
    pub name: String,
    /// Shape in the file. It differs from the tensor's own only in timm's pre-activation networks,
    /// whose linear layer is stored as a 1x1 convolution, `[classes, channels, 1, 1]`.
    pub shape: Vec<usize>,
}

/// Every tensor's name in a scheme, in the order of [`tensors`](crate::tensors()).
///
/// ```
/// use residual_arch::{Naming, families::family, names::names};
/// let spec = family("resnet50d")?;
/// let last = |naming| names(&spec, naming).pop().unwrap().name;
/// assert_eq!(last(Naming::Timm), "fc.bias");
/// assert_eq!(last(Naming::Sequential), "head.2.bias");
/// # Ok::<(), residual_arch::families::UnknownModel>(())
/// ```
pub fn names(spec: &NetSpec, naming: Naming) -> Vec<TensorName> {
    let scheme = Scheme::of(spec, naming);
    let name = |Tensor { site, field, mut shape, .. }: Tensor<Site>| {
        if scheme == Scheme::TimmV2 && site == Site::HeadLinear && shape.len() == 2 {
            shape.extend([1, 1]);
        }
        let path = format!("{}.{field}", site_path(site));
        TensorName { path, name: format!("{}.{field}", scheme.site(spec, site)), shape }
    };
    site::of_network(spec).into_iter().map(name).collect()
}

/// The names of a block that stands alone, as `nn.Sequential` numbers them: `residual.0.weight`,
/// `shortcut.1.bias`.
pub fn block_names(block: &BlockSpec, in_channels: usize) -> Vec<TensorName> {
    let name = |Tensor { site: part, field, shape, .. }: Tensor<Part>| TensorName {
        path: format!("{}.{field}", part_path(part)),
        name: format!("{}.{field}", sequential_part(block, part)),
        shape,
    };
    site::of_block(block, in_channels).into_iter().map(name).collect()
}

/// Name in the file by canonical path.
pub fn to_file(spec: &NetSpec, naming: Naming) -> HashMap<String, String> {
    names(spec, naming).into_iter().map(|tensor| (tensor.path, tensor.name)).collect()
}

/// Canonical path by name in the file.
pub fn from_file(spec: &NetSpec, naming: Naming) -> HashMap<String, String> {
    names(spec, naming).into_iter().map(|tensor| (tensor.name, tensor.path)).collect()
}

/// A scheme as a network has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// `layer1.0.conv1`: torchvision, timm and CIFAR checkpoints differ in three words.
    Layers {
        shortcut: &'static str,
        head_norm: &'static str,
        linear: &'static str,
    },
    TimmV2,
    Sequential,
}

impl Scheme {
    fn of(spec: &NetSpec, naming: Naming) -> Self {
        let preactivation = || {
            let block = |block: &BlockSpec| block.order == Order::PreActivation;
            spec.stem.bare || spec.head.norm || spec.blocks().any(|(_, spec)| block(spec))
        };
        match naming {
            Naming::Timm if preactivation() => Self::TimmV2,
            Naming::Timm | Naming::Torchvision => {
                Self::Layers { shortcut: "downsample", head_norm: "norm", linear: "fc" }
            }
            Naming::Cifar => Self::Layers { shortcut: "shortcut", head_norm: "bn", linear: "linear" },
            Naming::Sequential => Self::Sequential,
        }
    }

    /// The name of a layer of `spec`.
    fn site(self, spec: &NetSpec, site: Site) -> String {
        let stem_convs = spec.stem.convs.len();
        match site {
            Site::StemConv(index) => self.stem_conv(index, stem_convs),
            Site::StemNorm(index) => self.stem_norm(index, stem_convs),
            Site::Block(path, part) => {
                let block = &spec.stages[path.stage - 1].blocks[path.block];
                format!("{}.{}", self.block(path), self.part(block, part))
            }
            Site::HeadNorm => self.head_norm(),
            Site::HeadLinear => self.head_linear(spec.head.norm),
        }
    }

    fn block(self, BlockPath { stage, block }: BlockPath) -> String {
        match self {
            Self::Layers { .. } => format!("layer{stage}.{block}"),
            Self::TimmV2 => format!("stages.{}.blocks.{block}", stage - 1),
            Self::Sequential => format!("stage{stage}.{block}"),
        }
    }

    fn stem_conv(self, index: usize, count: usize) -> String {
        match self {
            Self::Layers { .. } if count == 1 => "conv1".into(),
            Self::Layers { .. } => format!("conv1.{}", 3 * index),
            Self::TimmV2 if count == 1 => "stem.conv".into(),
            Self::TimmV2 => format!("stem.conv{}", index + 1),
            Self::Sequential => format!("stem.{}", 3 * index),
        }
    }

    fn stem_norm(self, index: usize, count: usize) -> String {
        match self {
            Self::Layers { .. } if index + 1 == count => "bn1".into(),
            Self::Layers { .. } => format!("conv1.{}", 3 * index + 1),
            Self::TimmV2 if count == 1 => "stem.norm".into(),
            Self::TimmV2 => format!("stem.norm{}", index + 1),
            Self::Sequential => format!("stem.{}", 3 * index + 1),
        }
    }

    fn part(self, block: &BlockSpec, part: Part) -> String {
        match (self, part) {
            (Self::Sequential, _) => sequential_part(block, part),
            (_, Part::Conv(number)) => format!("conv{number}"),
            (Self::Layers { .. }, Part::Norm(number)) => format!("bn{number}"),
            (Self::TimmV2, Part::Norm(number)) => format!("norm{number}"),
            (_, Part::Reduce) => "se.fc1".into(),
            (_, Part::Expand) => "se.fc2".into(),
            (Self::TimmV2, Part::ShortcutConv) => "downsample.conv".into(),
            (Self::TimmV2, Part::ShortcutNorm) => "downsample.norm".into(),
            (Self::Layers { shortcut, .. }, Part::ShortcutConv) => {
                format!("{shortcut}.{}", shortcut_offset(block))
            }
            (Self::Layers { shortcut, .. }, Part::ShortcutNorm) => {
                format!("{shortcut}.{}", shortcut_offset(block) + 1)
            }
        }
    }

    fn head_norm(self) -> String {
        match self {
            Self::Layers { head_norm, .. } => head_norm.into(),
            Self::TimmV2 => "norm".into(),
            Self::Sequential => "head.0".into(),
        }
    }

    /// As a sequence: (BN, ReLU,) pool, flatten, linear.
    fn head_linear(self, after_norm: bool) -> String {
        match self {
            Self::Layers { linear, .. } => linear.into(),
            Self::TimmV2 => "head.fc".into(),
            Self::Sequential if after_norm => "head.4".into(),
            Self::Sequential => "head.2".into(),
        }
    }
}

/// Place of the convolution in the shortcut's sequence: (pool,) convolution, BN.
fn shortcut_offset(block: &BlockSpec) -> usize {
    usize::from(matches!(block.shortcut, Shortcut::Projection { average_pool: true, .. }))
}

/// A part's place in the sequences `residual` and `shortcut`.
fn sequential_part(block: &BlockSpec, part: Part) -> String {
    let convolutions = match block.kind {
        BlockKind::Basic => 2,
        BlockKind::Bottleneck => 3,
    };
    // Post-activation ends without a ReLU: that one stands after the addition.
    let (conv, norm, end) = match block.order {
        Order::PostActivation => (0, 1, 3 * convolutions - 1),
        Order::PreActivation => (2, 0, 3 * convolutions),
    };
    match part {
        Part::Conv(number) => format!("residual.{}", 3 * (number - 1) + conv),
        Part::Norm(number) => format!("residual.{}", 3 * (number - 1) + norm),
        Part::Reduce => format!("residual.{end}.fc1"),
        Part::Expand => format!("residual.{end}.fc2"),
        Part::ShortcutConv => format!("shortcut.{}", shortcut_offset(block)),
        Part::ShortcutNorm => format!("shortcut.{}", shortcut_offset(block) + 1),
    }
}
