//! The path beside the branch.

use burn::module::Module;
use burn::tensor::{
    Tensor,
    module::avg_pool2d,
    ops::{AvgPoolOptions, PadMode},
    s,
};
use residual_arch::{Order, Shortcut as ShortcutSpec};

use crate::conv::projection;
use crate::{BatchNorm, BatchNormConfig, Conv2d, Init, Mode, ShortcutPath};

/// A shortcut, `S` in `y = act(F(x) + S(x))`: none, the identity, a projection, or a subsampled and
/// zero-padded copy (He et al. 2015, section 3.3; ResNet-D's average pool, He et al. 2019).
#[derive(Module, Debug)]
pub struct Shortcut {
    /// 1x1 convolution of a projection.
    pub conv: Option<Conv2d>,
    /// Norm of a projection; a pre-activation block's has none.
    pub norm: Option<BatchNorm>,
    #[module(skip)]
    spec: ShortcutSpec,
}

impl Shortcut {
    /// Builds it for an input of `in_channels`.
    pub fn new(spec: ShortcutSpec, order: Order, in_channels: usize, init: impl Into<Init>) -> Self {
        let init = init.into();
        let ShortcutSpec::Projection { channels, stride, average_pool } = spec else {
            return Self { conv: None, norm: None, spec };
        };
        let stride = if average_pool { 1 } else { stride };
        let norm =
            (order == Order::PostActivation).then(|| BatchNormConfig::new(channels).init(init.at("norm")));
        let conv = Conv2d::new(&projection(in_channels, channels, stride), init.at("conv"));
        Self { conv: Some(conv), norm, spec }
    }

    /// What it is.
    pub fn spec(&self) -> ShortcutSpec {
        self.spec
    }
}

impl ShortcutPath<4> for Shortcut {
    /// # Shapes
    /// `[batch, in, h, w]` to `[batch, channels, ceil(h / stride), ceil(w / stride)]`.
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Option<Tensor<4>> {
        match self.spec {
            ShortcutSpec::None => None,
            ShortcutSpec::Identity => Some(x),
            ShortcutSpec::ZeroPad { channels, stride } => Some(zero_pad(x, channels, stride)),
            ShortcutSpec::Projection { stride, average_pool, .. } => {
                let x = if average_pool { halve(x, stride) } else { x };
                let x = match &self.conv {
                    Some(conv) => conv.forward(x, mode),
                    None => x,
                };
                Some(match &self.norm {
                    Some(norm) => norm.forward(x, mode),
                    None => x,
                })
            }
        }
    }
}

/// Every `stride`-th row and column, the new channels zero, half of them on each side (the odd one last).
fn zero_pad(x: Tensor<4>, channels: usize, stride: usize) -> Tensor<4> {
    let [_, in_channels, _, _] = x.dims();
    let x = if stride == 1 { x } else { x.slice(s![.., .., ..;stride as isize, ..;stride as isize]) };
    let added = channels - in_channels;
    if added == 0 {
        return x;
    }
    x.pad([(0, 0), (added / 2, added - added / 2), (0, 0), (0, 0)], PadMode::Constant(0.0))
}

/// 2x2 average pool with the stride; a window that hangs over the edge averages what is there. Nothing
/// at stride 1, as in timm.
fn halve(x: Tensor<4>, stride: usize) -> Tensor<4> {
    if stride == 1 {
        return x;
    }
    let options = AvgPoolOptions {
        stride: [stride; 2],
        ceil_mode: true,
        count_include_pad: false,
        ..AvgPoolOptions::new([2, 2])
    };
    avg_pool2d(x, options)
}
