//! The name of every tensor in every scheme of names.
//!
//! Each scheme is what its files have, continued by the same pattern where they have nothing of the
//! kind. No two tensors of a network share a name.
//!
//! | layer | [`Torchvision`](Naming::Torchvision) | [`Timm`](Naming::Timm) | [`Timm`](Naming::Timm), pre-activation | [`Cifar`](Naming::Cifar) | [`Sequential`](Naming::Sequential) |
//! | --- | --- | --- | --- | --- | --- |
//! | the only stem convolution, its BN | `conv1`, `bn1` | `conv1`, `bn1` | `stem.conv`, `stem.norm` | `conv1`, `bn1` | `stem.0`, `stem.1` |
//! | stem convolution `i` of several, its BN | `conv1.{3i}`, `conv1.{3i+1}`, the last BN `bn1` | the same | `stem.conv{i+1}`, `stem.norm{i+1}` | as torchvision | `stem.{3i}`, `stem.{3i+1}` |
//! | a last stem convolution that strides in place of a pool, its BN | as the others | `maxpool.0`, `maxpool.1` | as the others | as the others | as the others |
//! | block `b` of stage `s` | `layer{s}.{b}` | `layer{s}.{b}` | `stages.{s-1}.blocks.{b}` | `layer{s}.{b}` | `stage{s}.{b}` |
//! | its convolution `k`, BN `k` | `conv{k}`, `bn{k}` | `conv{k}`, `bn{k}` | `conv{k}`, `norm{k}` | `conv{k}`, `bn{k}` | `residual.{n}` |
//! | its squeeze-and-excitation | `se.fc1`, `se.fc2` | `se.fc1`, `se.fc2` | `se.fc1`, `se.fc2` | `fc1`, `fc2` | `residual.{n}.fc1`, `.fc2` |
//! | its efficient channel attention | `se.conv` | `se.conv` | `se.conv` | `se.conv` | `residual.{n}.conv` |
//! | its projection | `downsample.0`, `.1` | `downsample.0`, `.1` | `downsample.conv`, `.norm` | `shortcut.0`, `.1` | `shortcut.0`, `.1` |
//! | the BN before the head | `norm` | - | `norm` | `bn` | `head.0` |
//! | the linear layer | `fc` | `fc` | `head.fc`, a 1x1 convolution | `linear` | `head.2`, or `head.4` after a BN and ReLU |
//!
//! [`Transformers`](Naming::Transformers) names are Hugging Face's, of `ResNetForImageClassification`:
//! `resnet.embedder.embedder` for the stem (`resnet.embedder.embedder.{i}` for convolution `i` of several),
//! `resnet.encoder.stages.{s-1}.layers.{b}` for a block, in it `layer.{k-1}` for convolution and BN `k`, `se` and
//! `shortcut`, each with `convolution` and `normalization`; `resnet.norm` and `classifier.1` for the head.
//!
//! A norm has the names of a BN whatever its kind. An average-pool shortcut counts its pool, so that the convolution
//! and BN are `.1` and `.2`, also
//! where its stride is 1. In `residual.{n}`, `n` counts convolutions, BN and ReLU in the order in which
//! they act, and channel attention as one module after them. Dropout has no place in the numbers.
//! timm's pre-activation names are those of every network with a pre-activation block, a bare stem or a
//! BN before its head.

use std::collections::HashMap;

use crate::network::{Draft, Section, block, sections};
use crate::{
    BlockPart, BlockPath, BlockSpec, Field, HeadPart, LayerOp, LayerPath, Naming, NetSpec, Network, Role,
    ShortcutPart, StemPart, TensorPath,
};

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

/// A tensor's name in a file, with its path as a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName {
    /// Canonical path.
    pub path: TensorPath,
    /// Name in the file.
    pub name: String,
    /// Shape in the file, as that of [`TensorName`].
    pub shape: Vec<usize>,
}

/// Names of every tensor in a scheme, in the order of [`tensors`](crate::tensors()).
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
    file_names(spec, naming).map(TensorName::from).collect()
}

impl Network {
    /// Names of every tensor in a scheme, in the order of [`Network::tensors`].
    pub fn file_names(&self, naming: Naming) -> Vec<FileName> {
        file_names(self.spec(), naming).collect()
    }
}

/// Names of every tensor in a scheme as those of [`names`], with paths as values. The specification need not be sound.
pub fn file_names(spec: &NetSpec, naming: Naming) -> impl Iterator<Item = FileName> {
    let scheme = Scheme::of(spec, naming);
    sections(spec).flat_map(move |section| in_section(scheme, &section))
}

/// Prefix of the names of a block's tensors in a scheme: `layer2.0.`. The network says which of timm's two schemes is
/// meant, and need not have the block.
///
/// ```
/// use residual_arch::{BlockPath, Naming, families::family, names::block_prefix};
/// let block = BlockPath { stage: 2, block: 0 };
/// assert_eq!(block_prefix(&family("resnet50")?, Naming::Timm, block), "layer2.0.");
/// assert_eq!(block_prefix(&family("resnetv2_50")?, Naming::Timm, block), "stages.1.blocks.0.");
/// # Ok::<(), residual_arch::families::UnknownModel>(())
/// ```
pub fn block_prefix(spec: &NetSpec, naming: Naming, block: BlockPath) -> String {
    Scheme::of(spec, naming).block(block) + "."
}

/// The names of a block that stands alone, as `nn.Sequential` numbers them: `residual.0.weight`,
/// `shortcut.1.bias`.
pub fn block_names(spec: &BlockSpec, in_channels: usize) -> Vec<TensorName> {
    let names = in_section(Scheme::Sequential, &block(spec, in_channels));
    names.into_iter().map(TensorName::from).collect()
}

/// Name in the file by canonical path.
pub fn to_file(spec: &NetSpec, naming: Naming) -> HashMap<String, String> {
    names(spec, naming).into_iter().map(|tensor| (tensor.path, tensor.name)).collect()
}

/// Canonical path by name in the file.
pub fn from_file(spec: &NetSpec, naming: Naming) -> HashMap<String, String> {
    names(spec, naming).into_iter().map(|tensor| (tensor.name, tensor.path)).collect()
}

impl From<FileName> for TensorName {
    fn from(FileName { path, name, shape }: FileName) -> Self {
        Self { path: path.to_string(), name, shape }
    }
}

/// The names of a section's tensors.
fn in_section(scheme: Scheme, section: &Section<'_>) -> Vec<FileName> {
    let pooling = if scheme.pools_by_convolution() { pooling_conv(&section.drafts) } else { None };
    let stem_convs = section.drafts.iter().filter(|draft| is_stem_conv(draft)).count();
    let stem_convs = pooling.unwrap_or(stem_convs);
    let (mut counts, mut names) = ([0; 2], Vec::new());
    for draft in &section.drafts {
        let place = counts.get_mut(sequence(draft.path));
        let position = place.as_deref().copied().unwrap_or(0);
        if let Some(count) = place {
            *count += modules(&draft.op);
        }
        let layer = At { path: draft.path, position, stem_convs };
        names.extend(draft.op.tensors().into_iter().map(|mut tensor| {
            if scheme == Scheme::TimmV2 && tensor.role == Role::LinearWeight {
                tensor.shape.extend([1, 1]);
            }
            let name = scheme.tensor(&layer, tensor.field);
            FileName { path: draft.path.tensor(tensor.field), name, shape: tensor.shape }
        }));
    }
    names
}

/// The module sequence that a layer is numbered in: 0 for the stem, the branch and the head, 1 for the shortcut;
/// beyond them for layers outside both.
fn sequence(path: LayerPath) -> usize {
    match path.block_part() {
        Some(BlockPart::Shortcut(_)) => 1,
        Some(BlockPart::Depth | BlockPart::Add | BlockPart::OutputAct) => 2,
        _ => 0,
    }
}

/// Modules that an operation is in a sequence. Behind the average pool stands a flattening; dropout has no
/// place.
fn modules(op: &LayerOp) -> usize {
    match op {
        LayerOp::Dropout { .. } => 0,
        LayerOp::GlobalAverage => 2,
        _ => 1,
    }
}

/// The number of a stem's last convolution, where it strides in place of a pool (ResNet-RS, Bello et al. 2021): behind
/// others, with a stride and a norm, and no pool behind it.
fn pooling_conv(stem: &[Draft]) -> Option<usize> {
    let (last, rest) = stem.iter().rposition(is_stem_conv).map(|at| (&stem[at], &stem[at + 1..]))?;
    let (LayerPath::Stem(StemPart::Conv(index)), LayerOp::Conv(conv)) = (last.path, &last.op) else {
        return None;
    };
    let behind = rest.iter().all(|draft| matches!(draft.op, LayerOp::Norm(_) | LayerOp::Activation(_)));
    (index > 0 && conv.stride > 1 && behind && !rest.is_empty()).then_some(index)
}

fn is_stem_conv(draft: &Draft) -> bool {
    matches!(draft.path, LayerPath::Stem(StemPart::Conv(_)))
}

/// A layer that is to be named.
struct At {
    path: LayerPath,
    /// Number of modules before it in its sequence.
    position: usize,
    /// Number of convolutions of its stem, without one that stands in place of a pool.
    stem_convs: usize,
}

/// A scheme as a network has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// `layer1.0.conv1`: torchvision, timm and CIFAR checkpoints differ in three words.
    Layers {
        shortcut: &'static str,
        head_norm: &'static str,
        linear: &'static str,
        squeeze: &'static str,
        /// True where a convolution in place of the stem's pool is named as the pool.
        pool_conv: bool,
    },
    TimmV2,
    Sequential,
    Transformers,
}

impl Scheme {
    fn of(spec: &NetSpec, naming: Naming) -> Self {
        match naming {
            Naming::Timm if sections(spec).any(|section| is_preactivation(&section.drafts)) => Self::TimmV2,
            Naming::Timm | Naming::Torchvision => Self::Layers {
                shortcut: "downsample",
                head_norm: "norm",
                linear: "fc",
                squeeze: "se.",
                pool_conv: naming == Naming::Timm,
            },
            Naming::Cifar => Self::Layers {
                shortcut: "shortcut",
                head_norm: "bn",
                linear: "linear",
                squeeze: "",
                pool_conv: false,
            },
            Naming::Sequential => Self::Sequential,
            Naming::Transformers => Self::Transformers,
        }
    }

    fn pools_by_convolution(self) -> bool {
        matches!(self, Self::Layers { pool_conv: true, .. })
    }

    fn tensor(self, layer: &At, field: Field) -> String {
        let field = match field {
            Field::ReduceWeight => "fc1.weight",
            Field::ReduceBias => "fc1.bias",
            Field::ExpandWeight => "fc2.weight",
            Field::ExpandBias => "fc2.bias",
            // timm calls the module `se` as well, and the convolution in it `conv`.
            _ if layer.path.block_part() == Some(BlockPart::EfficientAttention) => "conv.weight",
            field => field.name(),
        };
        match (self, layer.path) {
            (Self::Layers { squeeze, .. }, LayerPath::Block(path, BlockPart::SqueezeExcite)) => {
                format!("{}.{squeeze}{field}", self.block(path))
            }
            _ => format!("{}.{field}", self.layer(layer)),
        }
    }

    fn layer(self, layer: &At) -> String {
        match layer.path {
            LayerPath::Stem(part) => self.stem(part, layer),
            LayerPath::Block(path, part) => format!("{}.{}", self.block(path), self.part(part, layer)),
            LayerPath::Alone(part) => self.part(part, layer),
            LayerPath::Head(part) => self.head(part, layer),
        }
    }

    fn block(self, BlockPath { stage, block }: BlockPath) -> String {
        match self {
            Self::Layers { .. } => format!("layer{stage}.{block}"),
            Self::TimmV2 => format!("stages.{}.blocks.{block}", stage - 1),
            Self::Sequential => format!("stage{stage}.{block}"),
            Self::Transformers => format!("resnet.encoder.stages.{}.layers.{block}", stage - 1),
        }
    }

    fn stem(self, part: StemPart, &At { position, stem_convs, .. }: &At) -> String {
        match (self, part) {
            (Self::Layers { .. }, StemPart::Conv(index) | StemPart::Norm(index)) if index >= stem_convs => {
                format!("maxpool.{}", position - 3 * index)
            }
            (Self::Layers { .. }, StemPart::Conv(_)) if stem_convs == 1 => "conv1".into(),
            (Self::Layers { .. }, StemPart::Norm(index)) if index + 1 == stem_convs => "bn1".into(),
            (Self::Layers { .. }, _) => format!("conv1.{position}"),
            (Self::TimmV2, StemPart::Conv(index)) if stem_convs > 1 => format!("stem.conv{}", index + 1),
            (Self::TimmV2, StemPart::Norm(index)) if stem_convs > 1 => format!("stem.norm{}", index + 1),
            (Self::TimmV2, StemPart::Norm(_)) => "stem.norm".into(),
            (Self::TimmV2, _) => "stem.conv".into(),
            (Self::Sequential, _) => format!("stem.{position}"),
            (Self::Transformers, part) => {
                let stem = "resnet.embedder.embedder";
                match (stem_convs, part) {
                    (1, StemPart::Conv(_)) => format!("{stem}.convolution"),
                    (1, _) => format!("{stem}.normalization"),
                    (_, StemPart::Conv(index)) => format!("{stem}.{index}.convolution"),
                    (_, StemPart::Norm(index)) => format!("{stem}.{index}.normalization"),
                    (_, part) => format!("{stem}.{part}"),
                }
            }
        }
    }

    fn part(self, part: BlockPart, &At { position, .. }: &At) -> String {
        match (self, part) {
            (Self::Layers { shortcut, .. }, BlockPart::Shortcut(_)) => format!("{shortcut}.{position}"),
            (Self::Layers { .. }, BlockPart::Norm(number)) => format!("bn{number}"),
            (Self::TimmV2, BlockPart::Shortcut(ShortcutPart::Norm)) => "downsample.norm".into(),
            (Self::TimmV2, BlockPart::Shortcut(_)) => "downsample.conv".into(),
            (Self::Sequential, BlockPart::Shortcut(_)) => format!("shortcut.{position}"),
            (Self::Sequential, _) => format!("residual.{position}"),
            (Self::Transformers, BlockPart::Shortcut(ShortcutPart::Norm)) => "shortcut.normalization".into(),
            (Self::Transformers, BlockPart::Shortcut(_)) => "shortcut.convolution".into(),
            (Self::Transformers, BlockPart::Conv(number)) => format!("layer.{}.convolution", number - 1),
            (Self::Transformers, BlockPart::Norm(number)) => format!("layer.{}.normalization", number - 1),
            (_, BlockPart::EfficientAttention) => "se".into(),
            (_, part) => part.to_string(),
        }
    }

    fn head(self, part: HeadPart, &At { position, .. }: &At) -> String {
        match (self, part) {
            (Self::Sequential, _) => format!("head.{position}"),
            (Self::Layers { head_norm, .. }, HeadPart::Norm) => head_norm.into(),
            (Self::Layers { linear, .. }, _) => linear.into(),
            (Self::TimmV2, HeadPart::Norm) => "norm".into(),
            (Self::Transformers, HeadPart::Norm) => "resnet.norm".into(),
            (Self::Transformers, _) => "classifier.1".into(),
            (Self::TimmV2, _) => "head.fc".into(),
        }
    }
}

/// Mark of a pre-activation network in one of its sections: a stem that ends in a convolution
/// without a norm, a block or a head that begins with a norm.
fn is_preactivation(drafts: &[Draft]) -> bool {
    let begins_with_norm = |draft: &Draft| matches!(draft.op, LayerOp::Norm(_));
    let convolutions = drafts.iter().filter(|draft| is_stem_conv(draft)).count();
    let norms =
        drafts.iter().filter(|draft| matches!(draft.path, LayerPath::Stem(StemPart::Norm(_)))).count();
    norms < convolutions || drafts.first().is_some_and(begins_with_norm)
}
