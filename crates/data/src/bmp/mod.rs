//! Windows bitmaps: 1, 4, 8, 16, 24 and 32 bits, run-length coded or not, as Pillow reads them.
//!
//! [`header`] reads what stands before the pixels, [`runs`] unpacks run lengths, [`rows`] makes pixels.

mod header;
mod rows;
mod runs;
#[cfg(test)]
mod tests;

pub(crate) use header::is_bmp;
pub(crate) use rows::decode;
