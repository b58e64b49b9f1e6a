//! What stands before the first stage.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::block::output_side;
use crate::{AntiAlias, ConvKind, NormKind};

/// Convolutions, each followed by a norm (BN as a rule) and ReLU, then at most one max pool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StemSpec {
    /// The convolutions in order; at least one.
    pub convs: Vec<StemConv>,
    /// True where the last convolution stands without BN and ReLU, because the first block begins with
    /// them (pre-activation networks).
    pub bare: bool,
    /// Max pool at the end.
    pub pool: Option<MaxPool>,
    /// Anti-aliased downsampling in place of the stride of the pool.
    pub anti_alias: Option<AntiAlias>,
    /// Kind of its convolutions.
    pub conv: ConvKind,
    /// Kind of its normalisation.
    pub norm: NormKind,
}

/// A square convolution of the stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StemConv {
    /// Output channels.
    pub channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zero padding on every side.
    pub padding: usize,
}

/// A square max pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Side of the window.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Padding on every side, with minus infinity.
    pub padding: usize,
    /// Padding with zeros in place of minus infinity, as the stem of Big Transfer has it (timm's `fixed`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zeros: bool,
}

impl StemConv {
    /// A convolution that keeps the map's size at stride 1: padding is half the kernel.
    pub fn same(channels: usize, kernel: usize, stride: usize) -> Self {
        Self { channels, kernel, stride, padding: kernel / 2 }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::StemConv;
    /// let patches = StemConv::same(64, 4, 4).with(|conv| conv.padding = 0);
    /// assert_eq!((patches.channels, patches.padding), (64, 0));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl StemSpec {
    /// Stem of these convolutions, each followed by BN and ReLU, without a pool.
    pub fn new(convs: Vec<StemConv>) -> Self {
        Self {
            convs,
            bare: false,
            pool: None,
            anti_alias: None,
            conv: ConvKind::Plain,
            norm: NormKind::Batch,
        }
    }

    /// Stem of one 3x3 convolution: networks for 32x32 images (He et al. 2015, section 4.2).
    pub fn cifar(channels: usize) -> Self {
        Self::new(vec![StemConv::same(channels, 3, 1)])
    }

    /// Stem of a 7x7 convolution with stride 2 and 64 channels, then a 3x3 max pool with stride 2 (He et al. 2015, table 1).
    pub fn imagenet() -> Self {
        Self { pool: Some(MaxPool::HALVING), ..Self::new(vec![StemConv::same(64, 7, 2)]) }
    }

    /// Three 3x3 convolutions in place of the 7x7 one, the first with stride 2 (ResNet-C/D, He et
    /// al. 2019, section 4.2), then the same max pool.
    pub fn deep(first: usize, second: usize, third: usize) -> Self {
        let convs =
            vec![StemConv::same(first, 3, 2), StemConv::same(second, 3, 1), StemConv::same(third, 3, 1)];
        Self { pool: Some(MaxPool::HALVING), ..Self::new(convs) }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::{MaxPool, StemSpec};
    /// let stem = StemSpec::cifar(16).with(|stem| stem.pool = Some(MaxPool::HALVING));
    /// assert_eq!(stem.to_string(), "3x3 conv 16, max pool 3x3, stride 2");
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Output channels: those of the last convolution, zero if there is none.
    pub fn channels(&self) -> usize {
        self.convs.last().map_or(0, |conv| conv.channels)
    }

    /// True where convolution `index`, counted from 0, is followed by BN and ReLU.
    pub fn has_norm(&self, index: usize) -> bool {
        !(self.bare && index + 1 == self.convs.len())
    }
}

impl fmt::Display for StemSpec {
    /// `7x7 conv 64, stride 2, max pool 3x3, stride 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stride = |stride| if stride == 1 { String::new() } else { format!(", stride {stride}") };
        let convs = self.convs.iter().map(|StemConv { channels, kernel, stride: s, .. }| {
            format!("{kernel}x{kernel} conv {channels}{}", stride(*s))
        });
        let pool = self
            .pool
            .iter()
            .map(|MaxPool { kernel, stride: s, .. }| format!("max pool {kernel}x{kernel}{}", stride(*s)));
        let filter = self.anti_alias.filter(|_| self.pool.is_some()).map(|filter| filter.to_string());
        let norm = (!self.norm.is_batch()).then(|| self.norm.to_string());
        let kind = (!self.conv.is_plain()).then(|| format!("{} convolutions", self.conv));
        f.write_str(&convs.chain(pool).chain(filter).chain(norm).chain(kind).collect::<Vec<_>>().join(", "))
    }
}

impl MaxPool {
    /// 3x3, stride 2, padding 1.
    pub const HALVING: Self = Self { kernel: 3, stride: 2, padding: 1, zeros: false };

    /// Side of the output for an input of side `side`: `(side + 2 padding - kernel) / stride + 1`,
    /// `None` where the window does not fit.
    pub fn output_side(&self, side: usize) -> Option<usize> {
        output_side(side, self.kernel, self.stride, self.padding)
    }
}
