//! What stands before the first stage.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, activation::relu, module::max_pool2d, ops::MaxPoolOptions};
use residual_arch::{Convolution, MaxPool, StemSpec};

use residual_kernels::block::{BlockShape, Link, Order, Shortcut};

use crate::error::assert_channels;
use crate::fused::{self, Path, Unit};
use crate::{BatchNorm, BatchNormConfig, Compute, Conv2d, Init, Maps, Mode};

/// Convolutions with BN and ReLU, then a max pool if any.
#[derive(Module, Debug)]
pub struct Stem {
    /// In order.
    pub convs: Vec<Conv2d>,
    /// One after every convolution; the last has none in a bare stem.
    pub norms: Vec<BatchNorm>,
    #[module(skip)]
    pool: Option<MaxPool>,
    #[module(skip)]
    compute: Compute,
    /// Disabled in a frozen layer, which always runs as in [`Mode::Eval`].
    pub training: Param<Flag>,
}

impl Stem {
    /// The stem `spec` on images of `in_channels`, checked before.
    pub(crate) fn build(spec: &StemSpec, in_channels: usize, init: &Init) -> Self {
        let (mut convs, mut norms, mut channels) = (vec![], vec![], in_channels);
        for (index, conv) in spec.convs.iter().enumerate() {
            let shape = Convolution {
                in_channels: channels,
                out_channels: conv.channels,
                kernel: conv.kernel,
                stride: conv.stride,
                padding: conv.padding,
                groups: 1,
            };
            channels = conv.channels;
            convs.push(Conv2d::new(&shape, init.at(format!("conv{index}"))));
            if !(spec.bare && index + 1 == spec.convs.len()) {
                norms.push(BatchNormConfig::new(channels).init(init.at(format!("norm{index}"))));
            }
        }
        Self { convs, norms, pool: spec.pool, compute: Compute::default(), training: Param::from_bool(true) }
    }

    /// # Shapes
    /// `[batch, in, h, w]` to the shape that [`residual_arch`]'s shape flow gives.
    ///
    /// # Panics
    /// If the input has other channels or does not fit.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.forward_to(x.into(), mode, 0).into_tensor()
    }

    /// Trains as `compute` says from now on.
    pub fn set_compute(&mut self, compute: Compute) {
        self.compute = compute;
    }

    /// On maps that stay in the kernels' layout, for a next layer that makes use of a border.
    pub(crate) fn forward_to(&self, x: Maps, mode: Mode, border: usize) -> Maps {
        if let Some(first) = self.convs.first() {
            assert_channels("stem.conv0", x.dims()[1], first.in_channels());
        }
        let mode = mode.within(&self.training);
        let padded = self.convs.iter().all(|conv| conv.padding == conv.weight.dims()[2] / 2);
        // A frozen stem that has to hand a gradient on runs layer by layer.
        let runs = mode.is_training() || (self.norms.len() == self.convs.len() && !x.are_tracked());
        let bypassed = self.norms.iter().any(|norm| norm.bypassed);
        if self.compute.path == Path::Fused && padded && !bypassed && x.are_ours() && runs {
            return self.forward_fused(x, mode, border);
        }
        self.forward_stock(x.into_tensor(), mode).into()
    }

    /// Each convolution with its norm and ReLU is a plain block of one convolution.
    fn forward_fused(&self, x: Maps, mode: Mode, border: usize) -> Maps {
        let padding = |index: usize| self.convs.get(index).map(|conv| conv.padding);
        let before_pool = if self.pool.is_some() { 0 } else { border };
        let mut h = x.images(padding(0).unwrap_or(0));
        for (index, conv) in self.convs.iter().enumerate() {
            let border = padding(index + 1).unwrap_or(before_pool);
            let Some(norm) = self.norms.get(index..=index) else {
                h = fused::conv(conv, h, border);
                continue;
            };
            let [out_channels, _, kernel, _] = conv.weight.dims();
            let link = Link { out_channels, kernel, stride: conv.stride, groups: conv.groups };
            let (shortcut, order) = (Shortcut::None, Order::PostActivation);
            let unit = Unit {
                shape: BlockShape { links: vec![link], shortcut, order, squeeze: None },
                convs: std::slice::from_ref(conv),
                norms: norm,
                projection: None,
                squeeze: None,
                depth: None,
                policy: self.compute.memory.policy(),
            };
            h = if mode.is_training() { unit.train(h, border) } else { unit.evaluate(h, border) };
        }
        match self.pool {
            Some(pool) => fused::max_pool(pool, h, border).into(),
            None => h.into(),
        }
    }

    /// Layer by layer.
    fn forward_stock(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let mut h = x;
        for (index, conv) in self.convs.iter().enumerate() {
            h = conv.forward(h, mode);
            if let Some(norm) = self.norms.get(index) {
                h = relu(norm.forward(h, mode));
            }
        }
        match self.pool {
            Some(pool) => max_pool(h, pool),
            None => h,
        }
    }
}

/// Max pool; the padding is minus infinity.
fn max_pool(x: Tensor<4>, pool: MaxPool) -> Tensor<4> {
    let options = MaxPoolOptions {
        stride: [pool.stride; 2],
        padding: [(pool.padding, pool.padding); 2],
        ..MaxPoolOptions::new([pool.kernel; 2])
    };
    max_pool2d(x, options)
}
