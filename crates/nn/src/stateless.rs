//! Layers without parameters.

use burn::module::Module;
use burn::tensor::{
    Tensor,
    module::{avg_pool2d, max_pool2d},
    ops::{AvgPoolOptions, MaxPoolOptions, PadMode},
    s,
};
use residual_arch::{AveragePool, BlurPool, LayerOp, MaxPool, ZeroPad};

use crate::Activation;
use crate::blur::blur_pool;

/// Layer without parameters.
#[derive(Module, Debug)]
pub struct Stateless {
    #[module(skip)]
    op: Op,
}

/// Operation without parameters.
#[derive(Clone, Copy, Debug)]
enum Op {
    Activation(Activation),
    MaxPool(MaxPool),
    AveragePool(AveragePool),
    BlurPool(BlurPool),
    Identity,
    ZeroPad(ZeroPad),
}

impl Stateless {
    /// Builds the layer of an operation; `None` where it has parameters, or is none of this module's.
    pub fn new(op: &LayerOp) -> Option<Self> {
        let op = match *op {
            LayerOp::Activation(activation) => Op::Activation(Activation::of(activation)?),
            LayerOp::MaxPool(pool) => Op::MaxPool(pool),
            LayerOp::AveragePool(pool) => Op::AveragePool(pool),
            LayerOp::BlurPool(pool) => Op::BlurPool(pool),
            LayerOp::Identity => Op::Identity,
            LayerOp::ZeroPad(pad) => Op::ZeroPad(pad),
            _ => return None,
        };
        Some(Self { op })
    }

    /// The max pool, if it is one that the kernels have: its padding is minus infinity.
    pub(crate) fn as_max_pool(&self) -> Option<MaxPool> {
        match self.op {
            Op::MaxPool(pool) if !pool.zeros => Some(pool),
            _ => None,
        }
    }

    /// True for `max(x, 0)`.
    pub(crate) fn is_relu(&self) -> bool {
        matches!(self.op, Op::Activation(Activation::Relu))
    }

    /// # Shapes
    /// `[batch, c, h, w]` of the operation's input to that of its output.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self.op {
            Op::Activation(activation) => activation.forward(x),
            Op::MaxPool(pool) => max_pool(x, pool),
            Op::AveragePool(pool) => average_pool(x, pool),
            Op::BlurPool(pool) => blur_pool(x, pool),
            Op::Identity => x,
            Op::ZeroPad(pad) => zero_pad(x, &pad),
        }
    }
}

/// Max pool; the padding is minus infinity, or zeros that are put around the map first.
fn max_pool(x: Tensor<4>, pool: MaxPool) -> Tensor<4> {
    let (x, pool) = match pool {
        MaxPool { zeros: true, padding, .. } => {
            let x = x.pad([(padding, padding); 2], PadMode::Constant(0.0));
            (x, MaxPool { padding: 0, ..pool })
        }
        _ => (x, pool),
    };
    let options = MaxPoolOptions {
        stride: [pool.stride; 2],
        padding: [(pool.padding, pool.padding); 2],
        ..MaxPoolOptions::new([pool.kernel; 2])
    };
    max_pool2d(x, options)
}

/// Average pool; a window that hangs over the edge averages what is there.
fn average_pool(x: Tensor<4>, pool: AveragePool) -> Tensor<4> {
    let options = AvgPoolOptions {
        stride: [pool.stride; 2],
        ceil_mode: pool.overhang,
        count_include_pad: false,
        ..AvgPoolOptions::new([pool.kernel; 2])
    };
    avg_pool2d(x, options)
}

/// Zero-padded copy: every `stride`-th row and column, the new channels zero, half of them on each side (the odd one
/// last).
fn zero_pad(x: Tensor<4>, pad: &ZeroPad) -> Tensor<4> {
    let stride = pad.stride as isize;
    let x = if stride == 1 { x } else { x.slice(s![.., .., ..;stride, ..;stride]) };
    if pad.before() + pad.after() == 0 {
        return x;
    }
    x.pad([(0, 0), (pad.before(), pad.after()), (0, 0), (0, 0)], PadMode::Constant(0.0))
}
