//! Feature maps between layers, in Burn's layout or the kernels'.

use std::cell::Cell;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::{Layout, convert};

use super::blocked::{Blocked, blocked, shape};
use super::buffers::{contiguous, values};
use super::graph::{Inputs, Saved, is_ours, is_tracked};
use super::runtime::runtime;
use super::sound;

/// Feature maps on their way from layer to layer, `[batch, channels, height, width]`.
///
/// Between fused layers they stay in the kernels' layout; a tensor is made of them where one is asked for. A
/// network of one's own that hands `Maps` from [`Block`](crate::Block) to block converts once on either end.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{BasicBlockConfig, Maps, Mode};
/// let device = Device::flex();
/// let blocks = [BasicBlockConfig::new(16).init(&device)?, BasicBlockConfig::new(16).init(&device)?];
/// let x = Maps::from(Tensor::<4>::ones([2, 16, 8, 8], &device));
/// let y = blocks.iter().fold(x, |x, block| block.forward_maps(x, Mode::train(0, 0)));
/// assert_eq!(y.into_tensor().dims(), [2, 16, 8, 8]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Maps(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Tensor(Tensor<4>),
    Blocked(Blocked),
}

impl From<Tensor<4>> for Maps {
    fn from(x: Tensor<4>) -> Self {
        Self(Inner::Tensor(x))
    }
}

impl From<Blocked> for Maps {
    fn from(x: Blocked) -> Self {
        Self(Inner::Blocked(x))
    }
}

thread_local! {
    static CONVERSIONS: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has converted maps between Burn's layout and the kernels', in forward passes.
pub fn conversions() -> u64 {
    CONVERSIONS.get()
}

impl Maps {
    /// `[batch, channels, height, width]`
    pub fn dims(&self) -> [usize; 4] {
        match &self.0 {
            Inner::Tensor(x) => x.dims(),
            Inner::Blocked(x) => x.dims(),
        }
    }

    /// As a tensor of Burn's.
    pub fn into_tensor(self) -> Tensor<4> {
        match self.0 {
            Inner::Tensor(x) => x,
            Inner::Blocked(Blocked { tensor, layout }) => {
                let mut inputs = Inputs::default();
                inputs.push(tensor);
                let dims @ [batch, channels, height, width] = dims(&layout);
                let planar = sound(Layout::planar(batch, channels, height, width));
                conversion(inputs, layout, planar, dims)
            }
        }
    }

    /// Whether the kernels can compute on them.
    pub(crate) fn are_ours(&self) -> bool {
        match &self.0 {
            Inner::Tensor(x) => is_ours(x),
            Inner::Blocked(_) => true,
        }
    }

    /// Whether a gradient by them will be asked for.
    pub(crate) fn are_tracked(&self) -> bool {
        match &self.0 {
            Inner::Tensor(x) => is_tracked(x),
            Inner::Blocked(x) => is_tracked(&x.tensor),
        }
    }

    /// For the first layer: images for which no gradient will come stay planar, a fifth of the memory, and get
    /// a border. All else is as [`blocked`](Self::blocked) has it.
    pub(crate) fn images(self, border: usize) -> Blocked {
        match self.0 {
            Inner::Tensor(x) if !is_tracked(&x) => {
                let [batch, channels, height, width] = x.dims();
                let mut inputs = Inputs::default();
                inputs.push(x);
                let planar = sound(Layout::planar(batch, channels, height, width));
                let layout = sound(planar.with_border(border));
                Blocked { tensor: conversion(inputs, planar, layout, shape(&layout)), layout }
            }
            inner => Self(inner).blocked(border),
        }
    }

    /// In the kernels' layout; with this border where they are not in it yet.
    pub(crate) fn blocked(self, border: usize) -> Blocked {
        match self.0 {
            Inner::Blocked(x) => x,
            Inner::Tensor(x) => {
                let dims @ [batch, channels, height, width] = x.dims();
                let mut inputs = Inputs::default();
                inputs.push(x);
                let planar = sound(Layout::planar(batch, channels, height, width));
                let layout = blocked(dims, border);
                Blocked { tensor: conversion(inputs, planar, layout, shape(&layout)), layout }
            }
        }
    }
}

fn dims(layout: &Layout) -> [usize; 4] {
    [layout.batch(), layout.channels(), layout.height(), layout.width()]
}

/// `from` one layout `to` another; the gradient goes the other way.
fn conversion<const D: usize>(inputs: Inputs, from: Layout, to: Layout, shape: [usize; D]) -> Tensor<D> {
    CONVERSIONS.set(CONVERSIONS.get() + 1);
    let runtime = runtime();
    let mut y = runtime.maps.take(to.len());
    sound(convert(&runtime.cpu, values(&inputs.values[0]), from, &mut y, to));
    let saved = Conversion { from, to, shape: inputs.values[0].layout().shape().to_vec() };
    inputs.finish(y.into_tensor(shape), Box::new(saved))
}

#[derive(Debug)]
struct Conversion {
    from: Layout,
    to: Layout,
    shape: Vec<usize>,
}

impl Saved for Conversion {
    fn what(&self) -> String {
        "conversion".into()
    }

    fn backward(self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let runtime = runtime();
        let dy = contiguous(dy);
        let mut dx = runtime.maps.take(self.from.len());
        sound(convert(&runtime.cpu, values(&dy), self.to, &mut dx, self.from));
        runtime.maps.give(dy);
        vec![Some(dx.into_tensor(self.shape))]
    }
}
