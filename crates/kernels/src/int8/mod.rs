//! Convolutions of bytes: activations of 8 bits without a sign, weights of 8 bits with one, sums of 32.
//!
//! Maps lie as those of floats do, blocked by 16 channels ([`Layout`](crate::Layout)), an element a byte; images of up
//! to 4 channels are interleaved, 4 bytes a pixel ([`image_layout`]). `x = scale (q - zero)` is the number that byte `q`
//! stands for; the border of a map is of `zero`s. Sums are exact integers, and the epilogue rounds each operation once, so
//! every instruction set gives the same bits; `docs/decisions/022-int8.md` says why it is done so.

#[cfg(target_arch = "x86_64")]
mod amx;
mod bytes;
mod choose;
mod conv;
mod convert;
mod finish;
mod grid;
mod maximum;
mod pack;
mod task;
mod tile;
mod token;

#[cfg(test)]
mod tests;

pub use bytes::{bytes, bytes_mut, floats_for};
pub use choose::is_faster;
pub use conv::{Conv, Operands, Output, Residual, ResidualValues};
pub use convert::{Affine, dequantise, image_layout, quantise, quantise_images, translate_images};
pub use maximum::maximum;
pub use pack::{Packed, Weights, is_narrow};
pub use token::DotProduct;
