//! One token for each way to multiply bytes, all with the same bits.
//!
//! As the tokens of [`Simd`](crate::simd::Simd), but of integer products: an instruction set has one or another way to
//! sum products of bytes, and what the epilogue needs beside it.

mod dot;
mod portable;
mod select;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod ymm;
#[cfg(target_arch = "x86_64")]
mod zmm;

#[cfg(target_arch = "x86_64")]
pub(super) use amx::{Amx, Groups};
pub(super) use dot::{Dot, DotKernel};
pub use select::DotProduct;
