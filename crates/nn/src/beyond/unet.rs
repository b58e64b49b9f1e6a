//! The residual block of diffusion U-Nets.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use residual_arch::Convolution;

use super::GroupNorm;
use crate::{Activation, Conv2d, Error, Init, Linear, Mode, Residual, ShortcutPath};

/// Configuration of a [`UNetBlock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UNetBlockConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Numbers of the time embedding.
    pub time_features: usize,
    /// Groups of both norms.
    pub groups: usize,
    /// Start the last convolution at zero, so that the block begins as its shortcut.
    pub zero_init: bool,
}

impl UNetBlockConfig {
    /// Eight groups.
    pub fn new(in_channels: usize, channels: usize, time_features: usize) -> Self {
        Self { in_channels, channels, time_features, groups: 8, zero_init: false }
    }

    /// Sets the number of groups.
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Start the last convolution at zero.
    pub fn with_zero_init(self) -> Self {
        Self { zero_init: true, ..self }
    }

    /// Builds it.
    ///
    /// # Errors
    /// If the groups do not divide the channels of input and output.
    pub fn init(&self, init: impl Into<Init>) -> Result<UNetBlock, Error> {
        let init = init.into();
        let conv3 = |in_channels, name| {
            let out_channels = self.channels;
            let conv = Convolution::new(in_channels, out_channels, 3);
            Conv2d::new(&conv, init.at(name))
        };
        let mut branch = UNetBranch {
            norm1: GroupNorm::new(self.groups, self.in_channels, init.at("norm1"))?,
            conv1: conv3(self.in_channels, "conv1"),
            time: Linear::new(self.time_features, self.channels, init.at("time")),
            norm2: GroupNorm::new(self.groups, self.channels, init.at("norm2"))?,
            conv2: conv3(self.channels, "conv2"),
        };
        if self.zero_init {
            branch.conv2.weight = Param::from_tensor(branch.conv2.weight.val().zeros_like());
        }
        let changes = self.in_channels != self.channels;
        let conv = changes.then(|| Conv2d::pointwise(self.in_channels, self.channels, init.at("shortcut")));
        Ok(UNetBlock { residual: Residual::new(branch).with_shortcut(UNetShortcut { conv }) })
    }
}

/// The residual block of diffusion U-Nets (Ho et al. 2020, appendix B), told the time by an embedding `t`:
///
/// `y = conv2(silu(norm2(conv1(silu(norm1(x))) + time(silu(t))))) + S(x)`, `S` the identity, or a 1x1
/// convolution where the channels change.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Init, Mode, beyond::{TimeEmbedding, UNetBlockConfig}};
/// let init = Init::new(0, &Device::flex());
/// let embedding = TimeEmbedding::new(32, init.at("time"));
/// let block = UNetBlockConfig::new(16, 32, 32).init(init.at("block"))?;
/// let t = embedding.forward(&[10.0, 500.0], Mode::Eval);
/// let y = block.forward(Tensor::ones([2, 16, 8, 8], &Device::flex()), t, Mode::Eval);
/// assert_eq!(y.dims(), [2, 32, 8, 8]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct UNetBlock {
    /// The two paths and their join.
    pub residual: Residual<UNetBranch, UNetShortcut>,
}

impl UNetBlock {
    /// # Shapes
    /// `x` `[batch, in, h, w]`, `time` `[batch, time_features]`, the result `[batch, channels, h, w]`.
    pub fn forward(&self, x: Tensor<4>, time: Tensor<2>, mode: Mode) -> Tensor<4> {
        self.residual.forward_with(x, mode, |branch, x| branch.forward(x, time, mode))
    }
}

/// The branch of a [`UNetBlock`].
#[derive(Module, Debug)]
pub struct UNetBranch {
    /// First norm.
    pub norm1: GroupNorm,
    /// First convolution, 3x3.
    pub conv1: Conv2d,
    /// Layer from the time embedding to a shift of every channel.
    pub time: Linear,
    /// Second norm.
    pub norm2: GroupNorm,
    /// Second convolution, 3x3.
    pub conv2: Conv2d,
}

impl UNetBranch {
    fn forward(&self, x: Tensor<4>, time: Tensor<2>, mode: Mode) -> Tensor<4> {
        let silu = Activation::Silu;
        let h = self.conv1.forward(silu.forward(self.norm1.forward(x, mode)), mode);
        let [batch, channels, _, _] = h.dims();
        let shift = self.time.forward(silu.forward(time), mode).reshape([batch, channels, 1, 1]);
        self.conv2.forward(silu.forward(self.norm2.forward(h + shift, mode)), mode)
    }
}

/// The identity, or a 1x1 convolution where the channels change.
#[derive(Module, Debug)]
pub struct UNetShortcut {
    /// The 1x1 convolution.
    pub conv: Option<Conv2d>,
}

impl ShortcutPath<4> for UNetShortcut {
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Option<Tensor<4>> {
        Some(match &self.conv {
            Some(conv) => conv.forward(x, mode),
            None => x,
        })
    }
}
