//! Decoding of images, told apart by content.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::limits::corrupt;
use crate::npy_header::is_npy;
use crate::stages::{self, Stage};
use crate::{
    ChoosePart, Error, Format, Image, Orientation, bmp, exif, gif, jpeg, kind, npy, png_rows, tiff, webp,
};

type Decoder = (Format, fn(&[u8]) -> bool, fn(&[u8], &str) -> Result<Image, Error>);

/// A test for the first bytes, and the decoder, of each format.
const DECODERS: [Decoder; 7] = [
    (Format::Jpeg, jpeg::is_jpeg, |bytes, file| jpeg::decode(bytes, file, &|_, _| None)),
    (Format::Png, png_rows::is_png, png_rows::decode),
    (Format::WebP, webp::is_webp, webp::decode),
    (Format::Bmp, bmp::is_bmp, bmp::decode),
    (Format::Gif, gif::is_gif, gif::decode),
    (Format::Tiff, tiff::is_tiff, tiff::decode),
    (Format::Npy, is_npy, npy::decode),
];

/// Decoder of bytes that begin as an image file does.
fn decoder(bytes: &[u8]) -> Option<&'static Decoder> {
    DECODERS.iter().find(|(_, is_one, _)| is_one(bytes))
}

impl Format {
    /// Format that the first bytes of a file are those of; `None` for one that is not read.
    ///
    /// ```
    /// use residual_data::Format;
    /// assert_eq!(Format::of(b"GIF89a"), Some(Format::Gif));
    /// assert_eq!(Format::of(b"<html>"), None);
    /// ```
    pub fn of(bytes: &[u8]) -> Option<Self> {
        decoder(bytes).map(|&(format, ..)| format)
    }
}

/// Decodes the bytes of an image file: JPEG, PNG, WebP, BMP, GIF, TIFF, or an array of NumPy (`.npy`), told apart by
/// their content; `file` is named in errors.
///
/// The pixels are those of Pillow's `Image.open(file).convert("RGB")`, to the bit: palettes and CMYK become RGB, of an
/// animation the first frame is taken. Grey stays grey: [`Image::with_channels`] makes it RGB. What that drops is kept
/// beside the pixels: opacity ([`Image::opacity`]), the orientation that a camera recorded ([`Image::orientation`]), and
/// more than 8 bits ([`Image::values`]).
///
/// # Memory
/// Beside `bytes`, at most four times the image that is returned (its pixels, values and opacity), and 64 MiB. Sequential JPEG, and PNG of any depth,
/// interlaced or not, take little more than the image itself; JPEG in several scans, progressive ones among them,
/// keeps 2 bytes a sample until the last one.
///
/// # Errors
/// [`Error::EmptyImage`], [`Error::UnknownImage`], [`Error::UnsupportedImage`], [`Error::TruncatedImage`],
/// [`Error::CorruptImage`], [`Error::ImageTooLarge`] ([`MAX_PIXELS`](crate::MAX_PIXELS)), [`Error::ImageTooWide`].
pub fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    decode_part(bytes, file, &|_, _| None)
}

/// Decodes the bytes of an image file as [`decode`] does, but no more of its pixels than `choose` asks for, where that
/// is less work: of JPEG, whose bits are all read (damage is found wherever it is), but transformed only around the
/// part. Of other formats it is the whole image. The pixels are those of the whole image.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_part(bytes: &[u8], file: &str, choose: &ChoosePart<'_>) -> Result<Image, Error> {
    if bytes.is_empty() {
        return Err(Error::EmptyImage { file: file.into() });
    }
    // A decoder's panic on a malformed file is a corrupt image to us.
    let decoded = stages::timed(Stage::Decode, || {
        catch_unwind(AssertUnwindSafe(|| match decoder(bytes) {
            Some((Format::Jpeg, ..)) => jpeg::decode(bytes, file, choose),
            Some((_, _, decode)) => decode(bytes, file),
            None => Err(Error::UnknownImage { file: file.into(), found: kind::describe(bytes) }),
        }))
    });
    decoded.unwrap_or_else(|panic| Err(corrupt(file, panic_message(&*panic))))
}

/// Orientation that an image file records, without decoding it: what [`Image::orientation`] is once it is. Of TIFF it is
/// [`Orientation::Upright`], since its pixels are turned by the decoder, as Pillow turns them; and of damaged files.
pub fn recorded_orientation(bytes: &[u8]) -> Orientation {
    if jpeg::is_jpeg(bytes) {
        jpeg::orientation(bytes)
    } else if png_rows::is_png(bytes) {
        png_rows::orientation(bytes)
    } else if webp::is_webp(bytes) {
        webp::orientation(bytes)
    } else {
        Orientation::Upright
    }
}

/// Orientation that an image file records, also where the decoder has turned its pixels.
pub(crate) fn written_orientation(bytes: &[u8]) -> Orientation {
    match tiff::is_tiff(bytes) {
        true => exif::of_exif(bytes).unwrap_or_default(),
        false => recorded_orientation(bytes),
    }
}

/// Message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_named() {
        assert!(matches!(decode(b"", "x"), Err(Error::EmptyImage { .. })));
        let error = decode(b"8BPS\0\x01", "holiday.jpg").unwrap_err();
        assert!(error.bad_image().is_some());
        assert_eq!(
            error.to_string(),
            "holiday.jpg: a Photoshop image, whatever its name says, which is not read; \
             help: convert it to JPEG, PNG or TIFF"
        );
        let error = decode(b"\x01\x02\x03", "x.png").unwrap_err().to_string();
        assert!(
            error.starts_with("x.png: no image of a kind that is known (it begins with 01 02 03)"),
            "{error}"
        );
    }
}
