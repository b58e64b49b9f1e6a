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
//! Nothing has to be switched on; [`Compute`] says otherwise for a network. The threads, plans and buffers are a
//! [`FusedContext`], which belongs to the network. Results are the same bits for any number of threads.

mod blocked;
mod buffers;
mod compute;
mod context;
mod conv;
mod evaluate;
mod frozen;
mod graph;
mod head;
mod last_values;
mod layers;
mod maps;
mod operands;
mod prepare;
mod profile;
mod sound;
mod train;
mod unit;

pub use compute::{Compute, Memory, Path};
pub use context::FusedContext;
pub use maps::{Maps, conversions};
pub use profile::{Timed, timed};

pub(crate) use conv::conv;
pub(crate) use graph::is_ours;
pub(crate) use head::{cross_entropy, linear, objective};
pub(crate) use last_values::with_last_values;
pub(crate) use layers::{global_average, max_pool, norm_relu};
pub(crate) use unit::Unit;
