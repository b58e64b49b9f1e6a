//! Feature maps between layers, in Burn's layout or the kernels'.

use std::cell::Cell;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use residual_kernels::{Layout, convert};

use super::blocked::{Blocked, blocked, shape};
use super::buffers::{contiguous, values};
use super::context::FusedContext;
use super::graph::{Inputs, Saved, is_ours, is_tracked};
use super::sound::sound;

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

/// Number of conversions of maps between Burn's layout and the kernels' by this thread, in forward passes.
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

    /// Tensor of Burn's with these maps.
    pub fn into_tensor(self) -> Tensor<4> {
        match self.0 {
            Inner::Tensor(x) => x,
            Inner::Blocked(Blocked { tensor, layout, context }) => {
                let mut inputs = Inputs::default();
                inputs.push(tensor);
                let dims @ [batch, channels, height, width] = dims(&layout);
                let planar = sound(Layout::planar(batch, channels, height, width));
                Conversion { context, from: layout, to: planar }.run(inputs, dims)
            }
        }
    }

    /// Check that the kernels can compute on them.
    pub(crate) fn are_ours(&self) -> bool {
        match &self.0 {
            Inner::Tensor(x) => is_ours(x),
            Inner::Blocked(_) => true,
        }
    }

    /// Check that a gradient with respect to them will be asked for.
    pub(crate) fn are_tracked(&self) -> bool {
        match &self.0 {
            Inner::Tensor(x) => is_tracked(x),
            Inner::Blocked(x) => is_tracked(&x.tensor),
        }
    }

    /// Maps for the first layer: images for which no gradient will come stay planar, a fifth of the memory, and get
    /// a border. All else is as [`blocked`](Self::blocked) has it.
    pub(crate) fn images(self, context: &FusedContext, border: usize) -> Blocked {
        match self.0 {
            Inner::Tensor(x) if !is_tracked(&x) => {
                let [batch, channels, height, width] = x.dims();
                let mut inputs = Inputs::default();
                inputs.push(x);
                let planar = sound(Layout::planar(batch, channels, height, width));
                let layout = sound(planar.with_border(border));
                let conversion = Conversion { context: context.clone(), from: planar, to: layout };
                Blocked { tensor: conversion.run(inputs, shape(&layout)), layout, context: context.clone() }
            }
            inner => Self(inner).blocked(context, border),
        }
    }

    /// Maps in the kernels' layout; where they are not in it yet, with this border and in this context.
    pub(crate) fn blocked(self, context: &FusedContext, border: usize) -> Blocked {
        match self.0 {
            Inner::Blocked(x) => x,
            Inner::Tensor(x) => {
                let dims @ [batch, channels, height, width] = x.dims();
                let mut inputs = Inputs::default();
                inputs.push(x);
                let planar = sound(Layout::planar(batch, channels, height, width));
                let layout = blocked(dims, border);
                let conversion = Conversion { context: context.clone(), from: planar, to: layout };
                Blocked { tensor: conversion.run(inputs, shape(&layout)), layout, context: context.clone() }
            }
        }
    }
}

fn dims(layout: &Layout) -> [usize; 4] {
    [layout.batch(), layout.channels(), layout.height(), layout.width()]
}

/// `from` one layout `to` another; the gradient goes the other way.
#[derive(Debug)]
struct Conversion {
    context: FusedContext,
    from: Layout,
    to: Layout,
}

impl Conversion {
    fn run<const D: usize>(self, inputs: Inputs, shape: [usize; D]) -> Tensor<D> {
        CONVERSIONS.set(CONVERSIONS.get() + 1);
        let mut y = self.context.maps().take(self.to.len());
        let x = values(&inputs.values[0]);
        sound(convert(self.context.cpu(), x, self.from, &mut y, self.to));
        let saved = SavedConversion { shape: inputs.values[0].layout().shape().to_vec(), of: self };
        inputs.finish(y.into_tensor(shape), Box::new(saved))
    }
}

#[derive(Debug)]
struct SavedConversion {
    of: Conversion,
    /// Shape of the input.
    shape: Vec<usize>,
}

impl Saved for SavedConversion {
    fn what(&self) -> String {
        "conversion".into()
    }

    fn backward(self: Box<Self>, dy: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let Conversion { context, from, to } = self.of;
        let dy = contiguous(dy);
        let mut dx = context.maps().take(from.len());
        sound(convert(context.cpu(), values(&dy), to, &mut dx, from));
        context.maps().give(dy);
        vec![Some(dx.into_tensor(self.shape))]
    }
}
