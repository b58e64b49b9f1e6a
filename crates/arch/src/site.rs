//! Where tensors stand, before any scheme has named them. The one walk over a network's tensors.

use crate::{BlockPath, BlockSpec, Convolution, NetSpec, Order, Role, Shortcut};

/// A layer that has tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// Counted from 0.
    StemConv(usize),
    /// Counted from 0, with the number of its convolution.
    StemNorm(usize),
    Block(BlockPath, Part),
    HeadNorm,
    HeadLinear,
}

/// A layer of a block; convolutions and norms counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Conv(usize),
    Norm(usize),
    Reduce,
    Expand,
    ShortcutConv,
    ShortcutNorm,
}

/// A tensor of a layer: of a [`Site`] in a network, of a [`Part`] in a block that stands alone.
#[derive(Debug)]
pub(crate) struct Tensor<S> {
    pub(crate) site: S,
    /// `weight`, `bias`, `running_mean` or `running_var`.
    pub(crate) field: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

/// The tensors of a network, in PyTorch's order.
pub(crate) fn of_network(spec: &NetSpec) -> Vec<Tensor<Site>> {
    let mut list = List { tensors: Vec::new() };
    let mut channels = spec.input[0];
    for (index, conv) in spec.stem.convs.iter().enumerate() {
        let shape = [conv.channels, channels, conv.kernel, conv.kernel];
        list.push(Site::StemConv(index), "weight", &shape, Role::ConvWeight);
        if spec.stem.has_norm(index) {
            list.norm(Site::StemNorm(index), conv.channels);
        }
        channels = conv.channels;
    }
    for (path, block) in spec.blocks() {
        for Tensor { site: part, field, shape, role } in of_block(block, channels) {
            list.tensors.push(Tensor { site: Site::Block(path, part), field, shape, role });
        }
        channels = block.channels;
    }
    if spec.head.norm {
        list.norm(Site::HeadNorm, channels);
    }
    let classes = spec.head.classes;
    list.push(Site::HeadLinear, "weight", &[classes, channels], Role::LinearWeight);
    list.push(Site::HeadLinear, "bias", &[classes], Role::LinearBias);
    list.tensors
}

/// The tensors of a block that stands alone.
pub(crate) fn of_block(block: &BlockSpec, in_channels: usize) -> Vec<Tensor<Part>> {
    let mut list = List { tensors: Vec::new() };
    for (index, conv) in block.convolutions(in_channels).iter().enumerate() {
        let number = index + 1;
        if block.order == Order::PreActivation {
            list.norm(Part::Norm(number), conv.in_channels);
        }
        list.conv(Part::Conv(number), conv);
        if block.order == Order::PostActivation {
            list.norm(Part::Norm(number), conv.out_channels);
        }
    }
    if let Some(reduced) = block.squeeze_excite {
        list.pointwise(Part::Reduce, block.channels, reduced);
        list.pointwise(Part::Expand, reduced, block.channels);
    }
    if let Shortcut::Projection { channels, .. } = block.shortcut {
        list.push(Part::ShortcutConv, "weight", &[channels, in_channels, 1, 1], Role::ConvWeight);
        if block.order == Order::PostActivation {
            list.norm(Part::ShortcutNorm, channels);
        }
    }
    list.tensors
}

struct List<S> {
    tensors: Vec<Tensor<S>>,
}

impl<S: Copy> List<S> {
    fn push(&mut self, site: S, field: &'static str, shape: &[usize], role: Role) {
        self.tensors.push(Tensor { site, field, shape: shape.to_vec(), role });
    }

    fn norm(&mut self, site: S, channels: usize) {
        let fields = [
            ("weight", Role::NormWeight),
            ("bias", Role::NormBias),
            ("running_mean", Role::RunningMean),
            ("running_var", Role::RunningVar),
        ];
        for (field, role) in fields {
            self.push(site, field, &[channels], role);
        }
    }

    fn conv(&mut self, site: S, conv: &Convolution) {
        self.push(site, "weight", &conv.weight(), Role::ConvWeight);
    }

    fn pointwise(&mut self, site: S, inputs: usize, outputs: usize) {
        self.push(site, "weight", &[outputs, inputs, 1, 1], Role::SqueezeWeight);
        self.push(site, "bias", &[outputs], Role::SqueezeBias);
    }
}
