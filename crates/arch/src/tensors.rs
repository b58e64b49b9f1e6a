//! Every tensor of a network: canonical path, shape and role.
//!
//! Paths, in the order of PyTorch's state dicts (the stem, the blocks, the head; in a block the branch,
//! squeeze-and-excitation, the shortcut):
//!
//! | path | shape |
//! | --- | --- |
//! | `stem.conv0.weight`, `stem.norm0.{weight,bias,running_mean,running_var}` | `[out, in, k, k]`, `[out]` |
//! | `stage1.block0.conv1.weight`, `stage1.block0.norm1.*` | `[out, in / groups, k, k]`, `[out]` |
//! | `stage1.block0.se.reduce.{weight,bias}` | `[r, c, 1, 1]`, `[r]` |
//! | `stage1.block0.se.expand.{weight,bias}` | `[c, r, 1, 1]`, `[c]` |
//! | `stage1.block0.shortcut.conv.weight`, `stage1.block0.shortcut.norm.*` | `[out, in, 1, 1]`, `[out]` |
//! | `head.norm.*`, `head.linear.{weight,bias}` | `[c]`, `[classes, c]`, `[classes]` |
//!
//! The convolutions and norms of a branch are numbered from 1 in the order in which they act, so that
//! `norm1` stands after `conv1` in a post-activation block and before it in a pre-activation one.

use crate::{BlockSpec, Convolution, NetSpec, Order, Shortcut};

/// One parameter or buffer of a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorSpec {
    /// Canonical path, as `stage2.block0.shortcut.conv.weight`.
    pub path: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
}

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Weight of a convolution, `[out, in / groups, k, k]`.
    ConvWeight,
    /// Scale (gamma) of a batch norm.
    NormWeight,
    /// Shift (beta) of a batch norm.
    NormBias,
    /// Running mean of a batch norm: a buffer.
    RunningMean,
    /// Running variance of a batch norm: a buffer.
    RunningVar,
    /// Weight of a 1x1 convolution of squeeze-and-excitation.
    SqueezeWeight,
    /// Bias of a 1x1 convolution of squeeze-and-excitation.
    SqueezeBias,
    /// Weight of the head's linear layer.
    LinearWeight,
    /// Bias of the head's linear layer.
    LinearBias,
}

impl Role {
    /// Whether it is trained by gradient; running statistics are not.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }

    /// Whether it is a weight proper: neither a bias nor part of a batch norm. The others are often
    /// left without weight decay (Goyal et al. 2017; He et al. 2019, section 3.1).
    pub fn decays(self) -> bool {
        matches!(self, Self::ConvWeight | Self::SqueezeWeight | Self::LinearWeight)
    }
}

impl TensorSpec {
    /// Number of elements; the largest `u64` where the product does not fit.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product, &side| product.saturating_mul(side as u64))
    }
}

/// Every tensor of a network, parameters and buffers, in PyTorch's order.
///
/// The specification need not be sound: [`crate::shape::flow`] is what checks it.
///
/// ```
/// let spec = residual_arch::families::family("resnet18")?;
/// let tensors = residual_arch::tensors(&spec);
/// assert_eq!(tensors[0].path, "stem.conv0.weight");
/// assert_eq!(tensors[0].shape, [64, 3, 7, 7]);
/// let parameters = tensors.iter().filter(|t| t.role.is_parameter());
/// assert_eq!(parameters.map(|t| t.elements()).sum::<u64>(), 11_689_512);
/// # Ok::<(), residual_arch::families::UnknownModel>(())
/// ```
pub fn tensors(spec: &NetSpec) -> Vec<TensorSpec> {
    let mut list = List::default();
    let mut channels = spec.input[0];
    let last = spec.stem.convs.len().wrapping_sub(1);
    for (index, conv) in spec.stem.convs.iter().enumerate() {
        let shape = [conv.channels, channels, conv.kernel, conv.kernel];
        list.push(format!("stem.conv{index}.weight"), &shape, Role::ConvWeight);
        if !(spec.stem.bare && index == last) {
            list.norm(&format!("stem.norm{index}"), conv.channels);
        }
        channels = conv.channels;
    }
    for (path, block) in spec.blocks() {
        list.block(&format!("{path}."), block, channels);
        channels = block.channels;
    }
    if spec.head.norm {
        list.norm("head.norm", channels);
    }
    list.push("head.linear.weight".into(), &[spec.head.classes, channels], Role::LinearWeight);
    list.push("head.linear.bias".into(), &[spec.head.classes], Role::LinearBias);
    list.tensors
}

/// The tensors of a single block, with paths from the block: `conv1.weight`, `shortcut.norm.bias`.
pub fn block_tensors(block: &BlockSpec, in_channels: usize) -> Vec<TensorSpec> {
    let mut list = List::default();
    list.block("", block, in_channels);
    list.tensors
}

#[derive(Default)]
struct List {
    tensors: Vec<TensorSpec>,
}

impl List {
    fn push(&mut self, path: String, shape: &[usize], role: Role) {
        self.tensors.push(TensorSpec { path, shape: shape.to_vec(), role });
    }

    fn norm(&mut self, path: &str, channels: usize) {
        let fields = [
            ("weight", Role::NormWeight),
            ("bias", Role::NormBias),
            ("running_mean", Role::RunningMean),
            ("running_var", Role::RunningVar),
        ];
        for (field, role) in fields {
            self.push(format!("{path}.{field}"), &[channels], role);
        }
    }

    fn conv(&mut self, path: String, conv: &Convolution) {
        // Zero groups count as one: the shape check names that error.
        let inputs = conv.in_channels / conv.groups.max(1);
        self.push(path, &[conv.out_channels, inputs, conv.kernel, conv.kernel], Role::ConvWeight);
    }

    fn block(&mut self, prefix: &str, block: &BlockSpec, in_channels: usize) {
        for (index, conv) in block.convolutions(in_channels).iter().enumerate() {
            let number = index + 1;
            let norm = format!("{prefix}norm{number}");
            if block.order == Order::PreActivation {
                self.norm(&norm, conv.in_channels);
            }
            self.conv(format!("{prefix}conv{number}.weight"), conv);
            if block.order == Order::PostActivation {
                self.norm(&norm, conv.out_channels);
            }
        }
        if let Some(reduced) = block.squeeze_excite {
            self.pointwise(&format!("{prefix}se.reduce"), block.channels, reduced);
            self.pointwise(&format!("{prefix}se.expand"), reduced, block.channels);
        }
        if let Shortcut::Projection { channels, .. } = block.shortcut {
            let shape = [channels, in_channels, 1, 1];
            self.push(format!("{prefix}shortcut.conv.weight"), &shape, Role::ConvWeight);
            if block.order == Order::PostActivation {
                self.norm(&format!("{prefix}shortcut.norm"), channels);
            }
        }
    }

    fn pointwise(&mut self, path: &str, inputs: usize, outputs: usize) {
        self.push(format!("{path}.weight"), &[outputs, inputs, 1, 1], Role::SqueezeWeight);
        self.push(format!("{path}.bias"), &[outputs], Role::SqueezeBias);
    }
}
