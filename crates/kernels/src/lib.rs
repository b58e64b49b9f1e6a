//! f32 CPU kernels for residual networks: functions on slices, with no framework and no tensor type.
//!
//! Shapes and layouts are explicit, scratch memory and threads are the caller's. Every kernel is
//! written once and runs on every instruction set ([`Isa`]); none of them panics on bad lengths, they
//! return a [`Error`]. Results have the same bits for any number of threads.

pub mod block;
mod conv;
mod cpu;
mod dots;
pub mod eltwise;
mod error;
mod gemm;
pub mod int8;
mod layout;
pub mod linear;
pub mod loss;
mod memory;
pub mod norm;
pub mod optim;
mod peak;
pub mod pool;
mod scratch;
mod simd;
mod threads;

pub use conv::{
    Algorithm, Choice, Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, ConvWeights, DataWeights,
    Pass, Sums, Weights, select, select_for,
};
pub use cpu::Cpu;
pub use dots::DotProducts;
pub use error::Error;
pub use gemm::Epilogue;
pub use layout::{Layout, MapsMut, MapsRef, convert, normalise};
pub use memory::Buffer;
pub use peak::multiply_add_flat_out;
pub use scratch::Scratch;
pub use simd::{Isa, Vectorise};
pub use threads::{Pool, alone};
