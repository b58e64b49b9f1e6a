//! TIFF 6.0 and BigTIFF: strips and tiles; LZW, deflate, PackBits and JPEG; grey, palettes, RGB, CMYK; 1 to 16 bits
//! and floats.
//!
//! [`ifd`] reads directories, which EXIF has too; [`page`] what they say about an image; [`chunk`] unpacks strips and
//! tiles; [`samples`] makes pixels of them; [`mod@decode`] goes through the pages.

mod chunk;
mod decode;
pub(crate) mod ifd;
mod page;
mod samples;
#[cfg(test)]
mod tests;

pub(crate) use decode::{decode, is_tiff};
