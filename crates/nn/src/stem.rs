//! What stands before the first stage.

use burn::module::{Flag, Module, Param};
use burn::tensor::Tensor;
use residual_arch::Layer;
use residual_kernels::block::{BlockShape, Link, Order, Shortcut};

use crate::error::assert_channels;
use crate::fused::{self, FusedContext, Path, Unit};
use crate::{BatchNorm, Compute, Conv2d, Error, Init, LayerModule, Layers, Maps, Mode};

/// Convolutions with BN and ReLU, then a pool if any.
#[derive(Module, Debug)]
pub struct Stem {
    /// Layers in order: `conv0`, `norm0`, `act0`, ..., `pool`; the last convolution of a bare stem has no norm.
    pub layers: Layers,
    #[module(skip)]
    compute: Compute,
    #[module(skip)]
    context: FusedContext,
    /// Disabled in a frozen layer, which always runs as in [`Mode::Eval`].
    pub training: Param<Flag>,
}

/// Layers of a stem that are one operation of the kernels, or one layer that is none.
enum Group<'a> {
    Unit(&'a Conv2d, &'a BatchNorm),
    Conv(&'a Conv2d),
    MaxPool(residual_arch::MaxPool),
    Other(&'a LayerModule),
}

impl Stem {
    /// Builds the stem of a checked network, which has these layers.
    pub(crate) fn build(layers: &[Layer], init: &Init) -> Result<Self, Error> {
        let layers = Layers::new(layers, init)?;
        Ok(Self {
            layers,
            compute: Compute::default(),
            context: FusedContext::default(),
            training: Param::from_bool(true),
        })
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

    /// Runs its fused layers in `context` from now on.
    pub fn set_context(&mut self, context: &FusedContext) {
        self.context = context.clone();
    }

    /// True where a layer of it trains through stock operations.
    pub(crate) fn is_stock(&self) -> bool {
        let other = |group: &Group<'_>| matches!(group, Group::Other(_));
        self.compute.path == Path::Stock || !self.is_padded() || self.groups().iter().any(other)
    }

    /// True where every convolution is padded as the kernels pad.
    fn is_padded(&self) -> bool {
        self.layers.convs().all(|conv| conv.padding == conv.weight.dims()[2] / 2)
    }

    /// Output on maps that stay in the kernels' layout, for a next layer that makes use of a border.
    pub(crate) fn forward_to(&self, x: Maps, mode: Mode, border: usize) -> Maps {
        if let Some(first) = self.layers.convs().next() {
            assert_channels("stem.conv0", x.dims()[1], first.in_channels());
        }
        let mode = mode.within(&self.training);
        let groups = self.groups();
        let bare = groups.iter().any(|group| matches!(group, Group::Conv(_)));
        // A frozen stem that has to hand a gradient on runs layer by layer.
        let runs = mode.is_training() || (!bare && !x.are_tracked());
        let bypassed = self.layers.norms_are_bypassed();
        if self.compute.path == Path::Fused && self.is_padded() && !bypassed && x.are_ours() && runs {
            return self.forward_fused(&groups, x, mode, border);
        }
        self.layers.forward(x.into_tensor(), mode).into()
    }

    /// The layers, each convolution with the norm and the ReLU behind it.
    fn groups(&self) -> Vec<Group<'_>> {
        let layers: Vec<_> = self.layers.iter().map(|(_, layer)| layer).collect();
        let (mut rest, mut groups) = (&layers[..], Vec::new());
        while let [first, others @ ..] = rest {
            let (group, after) = match (*first, others) {
                (LayerModule::Conv(conv), [LayerModule::Norm(norm), relu, after @ ..])
                    if conv.kind.is_plain() && relu.is_relu() =>
                {
                    (Group::Unit(conv, norm), after)
                }
                (LayerModule::Conv(conv), after) if conv.kind.is_plain() => (Group::Conv(conv), after),
                (other, after) => match other.as_max_pool() {
                    Some(pool) => (Group::MaxPool(pool), after),
                    None => (Group::Other(other), after),
                },
            };
            groups.push(group);
            rest = after;
        }
        groups
    }

    /// Forward pass through the kernels, where a convolution with its norm and ReLU is a plain block of one.
    fn forward_fused(&self, groups: &[Group<'_>], x: Maps, mode: Mode, border: usize) -> Maps {
        // Each group makes the border of the next one; a pool reads none.
        let wanted = |group: &Group<'_>| match group {
            Group::Unit(conv, _) | Group::Conv(conv) => conv.padding,
            Group::MaxPool(_) | Group::Other(_) => 0,
        };
        let borders = groups.iter().skip(1).map(wanted).chain([border]);
        let mut h: Maps = match groups.first() {
            Some(group @ (Group::Unit(..) | Group::Conv(_))) => x.images(&self.context, wanted(group)).into(),
            _ => x,
        };
        for (group, border) in groups.iter().zip(borders) {
            h = match *group {
                Group::Unit(conv, norm) => {
                    let unit = self.unit(conv, norm);
                    let h = h.blocked(&self.context, conv.padding);
                    if mode.is_training() { unit.train(h, border) } else { unit.evaluate(h, border) }.into()
                }
                Group::Conv(conv) => fused::conv(conv, h.blocked(&self.context, conv.padding), border).into(),
                Group::MaxPool(pool) => fused::max_pool(pool, h.blocked(&self.context, 0), border).into(),
                Group::Other(layer) => layer.forward(h.into_tensor(), mode).into(),
            };
        }
        h
    }

    fn unit<'a>(&self, conv: &'a Conv2d, norm: &'a BatchNorm) -> Unit<'a> {
        let [out_channels, _, kernel, _] = conv.weight.dims();
        let link = Link { out_channels, kernel, stride: conv.stride, groups: conv.groups };
        let (shortcut, order) = (Shortcut::None, Order::PostActivation);
        Unit {
            shape: BlockShape { links: vec![link], shortcut, order, squeeze: None },
            convs: vec![conv],
            norms: vec![norm],
            projection: None,
            squeeze: None,
            depth: None,
            memory: self.compute.memory,
        }
    }
}
