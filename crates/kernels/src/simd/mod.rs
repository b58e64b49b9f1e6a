//! One source per kernel, one token per instruction set.
//!
//! A kernel is a type with a [`Kernel::run`] written once over a [`Simd`] token `S`. A token is a
//! zero-sized proof that the machine has an instruction set: only detection makes one, so holding one
//! is what makes calling its instructions sound. [`Isa`] is any one of the tokens, chosen at run time;
//! its `run` enters, once per call, a function compiled for that instruction set, into which the whole
//! kernel is inlined.
//!
//! Everything in a kernel that touches vectors must be `#[inline(always)]`: code that is left outside
//! the entered function is compiled for the baseline, and passes vectors through memory.

mod isa;
mod portable;
mod vector;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::write;

pub use isa::{Isa, Vectorise};
pub(crate) use vector::{BLOCK, Kernel, Simd};
