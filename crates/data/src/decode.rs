//! Decoding of JPEG and PNG, told apart by content.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::limits::corrupt;
use crate::{Error, Image, jpeg, kind, png_rows};

/// Decodes the bytes of an image file; `file` is named in errors.
///
/// Transparency is dropped, 16 bits are rounded to 8, palettes become RGB, CMYK becomes RGB. An
/// orientation recorded by a camera is not applied, as in torchvision. Grey stays grey:
/// [`Image::with_channels`] makes it RGB.
///
/// JPEG gives the pixels that Pillow (libjpeg-turbo) gives, to the bit.
///
/// # Memory
/// Beside `bytes`, at most four times the image that is returned, and 64 MiB. Sequential JPEG, and PNG of any depth,
/// interlaced or not, take little more than the image itself; JPEG in several scans, progressive ones among them,
/// keeps 2 bytes a sample until the last one.
///
/// # Errors
/// [`Error::EmptyImage`], [`Error::UnknownImage`], [`Error::UnsupportedImage`], [`Error::TruncatedImage`],
/// [`Error::CorruptImage`], [`Error::ImageTooLarge`] ([`MAX_PIXELS`](crate::MAX_PIXELS)), [`Error::ImageTooWide`].
pub fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    if bytes.is_empty() {
        return Err(Error::EmptyImage { file: file.into() });
    }
    // A decoder's panic on a malformed file is a corrupt image to us.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        if jpeg::is_jpeg(bytes) {
            jpeg::decode(bytes, file)
        } else if png_rows::is_png(bytes) {
            png_rows::decode(bytes, file)
        } else {
            Err(Error::UnknownImage { file: file.into(), found: kind::describe(bytes) })
        }
    }));
    decoded.unwrap_or_else(|panic| Err(corrupt(file, panic_message(&*panic))))
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
        let error = decode(b"GIF89a..", "holiday.jpg").unwrap_err();
        assert!(error.bad_image().is_some());
        assert_eq!(
            error.to_string(),
            "holiday.jpg: a GIF image, whatever its name says, and only JPEG and PNG are read; \
             help: convert it to one of them"
        );
        let error = decode(b"\x01\x02\x03", "x.png").unwrap_err().to_string();
        assert!(
            error.starts_with("x.png: neither a JPEG nor a PNG image (it begins with 01 02 03)"),
            "{error}"
        );
    }
}
