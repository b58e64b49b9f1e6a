//! Training through [`residual_kernels`] on the CPU.
//!
//! On a Flex device in training, a residual block is one operation of Burn's graph: forward and backward run
//! in the kernels, with their own layout inside and between blocks. So are the stem's convolutions, the
//! poolings, the head's norm and linear layer, and the loss. A frozen layer before which nothing trains, and a
//! network in evaluation, run so too, one pass a convolution; a frozen block that has to hand a gradient on
//! computes that alone. On every other device, and in a frozen stem or head that has to hand one on, the layers'
//! stock operations run: the definition of each block is the same module, [`Block`](crate::Block) and its
//! parameters.
//!
//! Nothing has to be switched on; [`Compute`] says otherwise for a network. Results are the same bits for any
//! number of threads.

mod blocked;
mod buffers;
mod conv;
mod frozen;
mod graph;
mod head;
mod layers;
mod maps;
mod operands;
mod profile;
mod runtime;
mod unit;

pub use maps::{Maps, conversions};
pub use profile::{Timed, timed};
pub use runtime::{set_cpu, set_threads, try_set_threads, with_cpu};

pub(crate) use conv::conv;
pub(crate) use graph::is_ours;
pub(crate) use head::{cross_entropy, linear};
pub(crate) use layers::{global_average, max_pool, norm_relu};
pub(crate) use runtime::ready;
pub(crate) use unit::Unit;

use burn::tensor::Tensor;
use residual_kernels::block::Policy;

/// Which operations a network trains through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// One operation a block where the kernels can, on a Flex device.
    #[default]
    Fused,
    /// Burn's own, layer by layer.
    Stock,
}

/// What a network keeps between its forward and its backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// What the backward pass reads.
    #[default]
    Keep,
    /// Every block's input alone; what is inside a block is computed again, to the same bits. A network of any
    /// depth trains in the memory of its block inputs, for one more forward pass a step.
    Low,
}

/// How a network trains. Changes time and memory; the results of [`Memory`] are equal to the bit, those of
/// [`Path`] to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// Through which operations.
    pub path: Path,
    /// What is kept for the backward pass.
    pub memory: Memory,
}

impl Memory {
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Keep => Policy::Keep,
            Self::Low => Policy::Recompute,
        }
    }
}

/// Calls `body` with the values of a tensor without autodiff, and keeps its memory for the next step.
pub(crate) fn with_last_values<const D: usize>(tensor: Tensor<D>, body: impl FnOnce(&[f32])) {
    if !is_ours(&tensor) {
        // Every tensor of this crate is f32: the conversion is the identity.
        return body(&tensor.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default());
    }
    let tensor = buffers::contiguous(graph::constant(tensor));
    body(buffers::values(&tensor));
    runtime::runtime().maps.give(tensor);
}

/// What a kernel's refusal means here: [`ResNet::check_input`](crate::ResNet::check_input) finds beforehand what a
/// user can ask for, so it is a defect, or an input that was not checked.
pub(crate) fn sound<T>(result: Result<T, residual_kernels::Error>) -> T {
    result.unwrap_or_else(|error| panic!("a fused layer: {error}"))
}
