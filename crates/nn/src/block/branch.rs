//! The convolutional branch.

use burn::module::Module;
use burn::tensor::{Tensor, activation::relu};
use residual_arch::{BlockSpec, Order};

use crate::{BatchNorm, BatchNormConfig, Branch, Conv2d, Init, Mode, SqueezeExcite};

/// `F` of a convolutional block: two or three convolutions with batch norm and ReLU, in the order that
/// [`BlockSpec::order`] says, then squeeze-and-excitation if any.
///
/// - post-activation: `conv1-norm1-relu-conv2-norm2(-relu-conv3-norm3)`
/// - pre-activation: `norm1-relu-conv1-norm2-relu-conv2(-norm3-relu-conv3)`
#[derive(Module, Debug)]
pub struct ConvBranch {
    /// In the order in which they act.
    pub convs: Vec<Conv2d>,
    /// As many, in the order in which they act.
    pub norms: Vec<BatchNorm>,
    /// At the end.
    pub se: Option<SqueezeExcite>,
    #[module(skip)]
    order: Order,
}

impl ConvBranch {
    /// The branch of `spec` on an input of `in_channels`.
    pub(crate) fn new(spec: &BlockSpec, in_channels: usize, init: &Init) -> Self {
        let convs = spec.convolutions(in_channels);
        let last = convs.len() - 1;
        let norm = |(i, conv): (usize, &residual_arch::Convolution)| {
            let (channels, zero) = match spec.order {
                Order::PostActivation => (conv.out_channels, spec.zero_init && i == last),
                Order::PreActivation => (conv.in_channels, false),
            };
            let name = format!("norm{}", i + 1);
            BatchNormConfig::new(channels).with_zero(zero).init(init.at(name))
        };
        let conv = |(i, conv)| Conv2d::new(conv, init.at(format!("conv{}", i + 1)));
        Self {
            norms: convs.iter().enumerate().map(norm).collect(),
            convs: convs.iter().enumerate().map(conv).collect(),
            se: spec.squeeze_excite.map(|reduced| SqueezeExcite::new(spec.channels, reduced, init.at("se"))),
            order: spec.order,
        }
    }

    /// What comes before the first convolution: BN-ReLU in pre-activation order, else nothing.
    pub fn enter(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        match self.order {
            Order::PostActivation => x,
            Order::PreActivation => relu(self.norms[0].forward(x, mode)),
        }
    }

    /// The rest of the branch, from what [`enter`](Self::enter) gave.
    pub fn forward_from(&self, h: Tensor<4>, mode: Mode) -> Tensor<4> {
        let y = match self.order {
            Order::PostActivation => self.post_activation(h, mode),
            Order::PreActivation => self.pre_activation(h, mode),
        };
        match &self.se {
            Some(se) => se.forward(y, mode),
            None => y,
        }
    }

    fn post_activation(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let layers = self.convs.iter().zip(&self.norms).enumerate();
        layers.fold(x, |h, (i, (conv, norm))| {
            let h = if i == 0 { h } else { relu(h) };
            norm.forward(conv.forward(h, mode), mode)
        })
    }

    fn pre_activation(&self, h: Tensor<4>, mode: Mode) -> Tensor<4> {
        let h = self.convs[0].forward(h, mode);
        let layers = self.convs.iter().zip(&self.norms).skip(1);
        layers.fold(h, |h, (conv, norm)| conv.forward(relu(norm.forward(h, mode)), mode))
    }
}

impl Branch<4> for ConvBranch {
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.forward_from(self.enter(x, mode), mode)
    }
}
