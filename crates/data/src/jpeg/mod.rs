//! JPEG (ITU-T T.81): baseline, extended and progressive, Huffman-coded, of 8 bits a sample, decoded to the same
//! pixels as libjpeg-turbo's defaults give, which is to say Pillow's, torchvision's and timm's: the "slow integer"
//! transform ([`idct`]), "fancy" chroma ([`upsample`]) and YCbCr of 16 bits ([`colour`]).
//! `docs/decisions/015-jpeg-decoding.md` has the measurements that led to a decoder of our own.
//!
//! [`decoder`] follows the markers; [`frame`] reads headers; [`scan`] goes through the blocks, which [`sequential`]
//! and [`progressive`] take off the [`bits`] by way of [`huffman`]; [`rows`] makes pixels of them.
//!
//! Stricter than libjpeg: a file that ends early or contradicts the standard is an error, where libjpeg warns and
//! fills with grey. What remains is damage inside a scan that happens to decode: JPEG has no checksum, and nobody
//! notices that. What libjpeg reads without loss is read: stray bytes between segments, bytes behind the end, an
//! end marker that is missing.

mod bits;
mod colour;
mod decoder;
mod frame;
mod huffman;
mod idct;
mod progressive;
mod rows;
mod scan;
mod sequential;
mod tables;
#[cfg(test)]
mod tests;
mod upsample;

pub(crate) use decoder::{decode, decode_part, is_jpeg, orientation};
