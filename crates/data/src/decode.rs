//! Bytes to pixels: JPEG and PNG, told apart by content.

use std::any::Any;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use png::{BitDepth, Decoder, DecodingError, Limits, Transformations};

use crate::{Error, Image, jpeg};

/// The most pixels that an image may have, 8192 x 8192: a header that claims more is taken for
/// damage before anything is allocated.
pub const MAX_PIXELS: usize = residual_arch::MAX_PIXELS;

/// The most bytes that an image file may have, 256 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 28;

const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// The most that decoding one image may allocate: 16 bits of RGBA for [`MAX_PIXELS`], and room to work.
const MAX_ALLOCATION: usize = 1 << 30;

/// Decodes the bytes of an image file; `file` is named in errors.
///
/// Transparency is dropped, 16 bits are rounded to 8, palettes become RGB, CMYK becomes RGB. An
/// orientation recorded by a camera is not applied, as in torchvision. Grey stays grey:
/// [`Image::with_channels`] makes it RGB.
///
/// # Errors
/// [`Error::EmptyImage`], [`Error::UnknownImage`], [`Error::TruncatedImage`],
/// [`Error::CorruptImage`], [`Error::ImageTooLarge`] ([`MAX_PIXELS`]).
pub fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    if bytes.is_empty() {
        return Err(Error::EmptyImage { file: file.into() });
    }
    // A decoder's panic on a malformed file is a corrupt image to us.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        if jpeg::is_jpeg(bytes) {
            jpeg::decode(bytes, file)
        } else if bytes.starts_with(&PNG) {
            decode_png(bytes, file)
        } else {
            let start = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
            Err(Error::UnknownImage { file: file.into(), start: start.join(" ") })
        }
    }));
    decoded.unwrap_or_else(|panic| Err(corrupt(file, panic_message(&*panic))))
}

pub(crate) fn corrupt(file: &str, detail: impl ToString) -> Error {
    Error::CorruptImage { file: file.into(), detail: detail.to_string() }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic".to_owned(),
    }
}

/// [`Error::ImageTooLarge`] for what its header claims.
pub(crate) fn check_dimensions(width: usize, height: usize, file: &str) -> Result<(), Error> {
    if width.checked_mul(height).is_some_and(|pixels| pixels <= MAX_PIXELS) {
        return Ok(());
    }
    let (width, height, limit) = (width as u64, height as u64, MAX_PIXELS as u64);
    Err(Error::ImageTooLarge { file: file.into(), width, height, limit })
}

fn decode_png(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let failed = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::TruncatedImage { file: file.into() }
        }
        error => corrupt(file, error),
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_ALLOCATION });
    // Palettes and less than 8 bits become 8 bits a channel; text and colour profiles are not asked for.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(failed)?;
    let (width, height) = (header.width as usize, header.height as usize);
    check_dimensions(width, height, file)?;
    let mut reader = decoder.read_info().map_err(failed)?;
    let unlike = || corrupt(file, "the decoder gave another number of pixels than the header");
    let mut values = vec![0; reader.output_buffer_size().ok_or_else(unlike)?];
    let frame = reader.next_frame(&mut values).map_err(failed)?;
    let stored = frame.color_type.samples();
    let channels = if stored < 3 { 1 } else { 3 };
    let pixels = match frame.bit_depth {
        BitDepth::Sixteen => {
            let of = |pixel: &[[u8; 2]]| pixel[..channels].iter().map(|&v| to_8_bits(v)).collect::<Vec<_>>();
            values.as_chunks().0.chunks_exact(stored).flat_map(of).collect()
        }
        _ if stored == channels => values,
        _ => values.chunks_exact(stored).flat_map(|pixel| &pixel[..channels]).copied().collect(),
    };
    Image::new(width, height, channels, pixels).ok_or_else(unlike)
}

/// 65535 becomes 255, what lies between is rounded.
fn to_8_bits(value: [u8; 2]) -> u8 {
    ((u32::from(u16::from_be_bytes(value)) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

    use super::*;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.into().write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    #[test]
    fn every_png_becomes_8_bits_of_grey_or_rgb() {
        let pixels = |bytes: Vec<u8>| {
            let image = decode(&bytes, "x.png").unwrap();
            (image.channels(), image.pixels().to_vec())
        };
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Rgb([1u8, 2, 3])))), (3, vec![1, 2, 3]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Rgba([1u8, 2, 3, 0])))), (3, vec![1, 2, 3]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Luma([9u8])))), (1, vec![9]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, LumaA([9u8, 4])))), (1, vec![9]));
        let deep = ImageBuffer::from_pixel(1, 1, Rgb([0u16, 257 * 100 + 128, 65535]));
        assert_eq!(pixels(png(deep)), (3, vec![0, 100, 255]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Luma([257u16 * 7])))), (1, vec![7]));
    }

    #[test]
    fn a_cut_png_is_truncated_wherever_it_is_cut() {
        let whole = png(ImageBuffer::from_fn(40, 40, |x, y| Rgb([x as u8, y as u8, (x * y) as u8])));
        // The last 12 bytes are the empty IEND chunk; every pixel is there before it.
        for cut in 1..whole.len() - 12 {
            let error = decode(&whole[..cut], "a/b.png").expect_err("cut");
            assert!(error.is_bad_image() && error.to_string().starts_with("a/b.png: "), "{error}");
            if cut >= 8 {
                assert!(matches!(error, Error::TruncatedImage { .. }), "cut at {cut}: {error}");
            }
        }
    }

    #[test]
    fn damage_in_a_png_is_noticed() {
        let whole = png(ImageBuffer::from_fn(40, 40, |x, y| Rgb([x as u8, y as u8, (x * y) as u8])));
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        damaged[middle] ^= 0x55;
        assert!(matches!(decode(&damaged, "x"), Err(Error::CorruptImage { .. })));
    }

    #[test]
    fn what_is_no_image_is_named() {
        assert!(matches!(decode(b"", "x"), Err(Error::EmptyImage { .. })));
        let error = decode(b"GIF89a..", "holiday.jpg").unwrap_err().to_string();
        assert_eq!(
            error,
            "holiday.jpg: neither a JPEG nor a PNG image (it begins with 47 49 46 38 39 61 2e 2e)"
        );
    }

    #[test]
    fn a_header_that_claims_gigapixels_is_refused() {
        let mut bytes = png(ImageBuffer::from_pixel(1, 1, Luma([9u8])));
        // IHDR: width and height at 16, its CRC at 29.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(matches!(decode(&bytes, "x"), Err(Error::ImageTooLarge { width: 65536, height: 65536, .. })));
    }
}
