//! Every tensor of a network: canonical path, shape and role.
//!
//! Paths, in the order of PyTorch's state dicts (the stem, the blocks, the head; in a block the branch,
//! its attention, the shortcut):
//!
//! | path | shape |
//! | --- | --- |
//! | `stem.conv0.weight`, `stem.norm0.{weight,bias,running_mean,running_var}` | `[out, in, k, k]`, `[out]` |
//! | `stage1.block0.conv1.weight`, `stage1.block0.norm1.*` | `[out, in / groups, k, k]`, `[out]` |
//! | `stage1.block0.se.reduce.{weight,bias}` | `[r, c, 1, 1]`, `[r]` |
//! | `stage1.block0.se.expand.{weight,bias}` | `[c, r, 1, 1]`, `[c]` |
//! | `stage1.block0.eca.weight` | `[1, 1, k]` |
//! | `stage1.block0.shortcut.conv.weight`, `stage1.block0.shortcut.norm.*` | `[out, in, 1, 1]`, `[out]` |
//! | `head.norm.*`, `head.linear.{weight,bias}` | `[c]`, `[classes, c]`, `[classes]` |
//!
//! A group norm has no running statistics. The convolutions and norms of a branch are numbered from 1 in the order in
//! which they act, so that `norm1` stands after `conv1` in a post-activation block and before it in a pre-activation
//! one.

use crate::network::{Draft, block, sections};
use crate::{BlockSpec, LayerTensor, NetSpec, TensorPath};

/// Parameter or buffer of a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorSpec {
    /// Canonical path, as `stage2.block0.shortcut.conv.weight`.
    pub path: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Role.
    pub role: Role,
}

/// Role of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Weight of a convolution, `[out, in / groups, k, k]`.
    ConvWeight,
    /// Scale (gamma) of a norm.
    NormWeight,
    /// Shift (beta) of a norm.
    NormBias,
    /// Running mean of a batch norm: a buffer.
    RunningMean,
    /// Running variance of a batch norm: a buffer.
    RunningVar,
    /// Weight of a 1x1 convolution of squeeze-and-excitation.
    SqueezeWeight,
    /// Bias of a 1x1 convolution of squeeze-and-excitation.
    SqueezeBias,
    /// Weight of efficient channel attention's convolution, `[1, 1, k]`.
    AttentionWeight,
    /// Weight of the head's linear layer.
    LinearWeight,
    /// Bias of the head's linear layer.
    LinearBias,
}

impl Role {
    /// True where it is trained by gradient; running statistics are not.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }

    /// True for a weight proper: neither a bias nor part of a norm. The others are often
    /// left without weight decay (Goyal et al. 2017; He et al. 2019, section 3.1).
    pub fn decays(self) -> bool {
        matches!(self, Self::ConvWeight | Self::SqueezeWeight | Self::AttentionWeight | Self::LinearWeight)
    }
}

impl TensorSpec {
    /// Number of elements; the largest `u64` where the product does not fit.
    pub fn elements(&self) -> u64 {
        product(&self.shape).unwrap_or(u64::MAX)
    }
}

/// Tensors of a network, parameters and buffers, in PyTorch's order.
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
    spec.tensors().map(TensorSpec::from).collect()
}

/// The tensors of a single block, with paths from the block: `conv1.weight`, `shortcut.norm.bias`.
pub fn block_tensors(spec: &BlockSpec, in_channels: usize) -> Vec<TensorSpec> {
    spec.tensors(in_channels).map(TensorSpec::from).collect()
}

impl NetSpec {
    /// Tensors that the specification stands for, sound or not, in PyTorch's order;
    /// [`Network::tensors`](crate::Network::tensors) lists those of a checked network.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorPath, LayerTensor)> {
        sections(self).flat_map(|section| section.drafts).flat_map(tensors_of)
    }
}

impl BlockSpec {
    /// Tensors of the block on an input of `in_channels`, sound or not, in PyTorch's order.
    pub fn tensors(&self, in_channels: usize) -> impl Iterator<Item = (TensorPath, LayerTensor)> {
        block(self, in_channels).drafts.into_iter().flat_map(tensors_of)
    }
}

impl From<(TensorPath, LayerTensor)> for TensorSpec {
    fn from((path, LayerTensor { shape, role, .. }): (TensorPath, LayerTensor)) -> Self {
        Self { path: path.to_string(), shape, role }
    }
}

fn tensors_of(draft: Draft) -> impl Iterator<Item = (TensorPath, LayerTensor)> {
    draft.op.tensors().into_iter().map(move |tensor| (draft.path.tensor(tensor.field), tensor))
}

/// The product of all factors, `None` where 64 bits do not hold it. Zero only if a factor is zero.
pub(crate) fn product(factors: &[usize]) -> Option<u64> {
    if factors.contains(&0) {
        return Some(0);
    }
    factors.iter().try_fold(1u64, |product, &factor| product.checked_mul(factor as u64))
}
