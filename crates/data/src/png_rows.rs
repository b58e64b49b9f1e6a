//! PNG, row by row: whatever the depth, only a row of it is held beside the image.

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, Decoder, DecodingError, InterlaceInfo, Limits, Transformations, expand_interlaced_row};

use crate::limits::{check_dimensions, corrupt};
use crate::{Error, Image};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The most that the decoder may allocate: some rows of the widest image, 16 bits of RGBA.
const MAX_ALLOCATION: usize = 48 << 20;

/// Test for bytes that begin as a PNG file does.
pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE)
}

/// Decodes a PNG file; `file` is named in errors.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let failed = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
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
    let (colour, depth) = reader.output_color_type();
    let stored = colour.samples();
    let channels = if stored < 3 { 1 } else { 3 };
    // The system gives the pages of this when they are written to.
    let mut pixels = vec![0; width * height * channels];
    let stride = width * channels;
    let mut converted = Vec::with_capacity(stride);
    let mut next = 0;
    while let Some(row) = reader.next_interlaced_row().map_err(failed)? {
        converted.clear();
        match depth {
            BitDepth::Sixteen => {
                for pixel in row.data().as_chunks::<2>().0.chunks_exact(stored) {
                    converted.extend(pixel[..channels].iter().map(|&value| to_8_bits(value)));
                }
            }
            _ if stored == channels => converted.extend_from_slice(row.data()),
            _ => row
                .data()
                .chunks_exact(stored)
                .for_each(|pixel| converted.extend_from_slice(&pixel[..channels])),
        }
        match row.interlace() {
            InterlaceInfo::Adam7(pass) => {
                expand_interlaced_row(&mut pixels, stride, &converted, pass, 8 * channels as u8);
            }
            InterlaceInfo::Null(_) => {
                let target = pixels.get_mut(next..next + stride).filter(|_| converted.len() == stride);
                let unlike = || corrupt(file, "the decoder gave another number of pixels than the header");
                target.ok_or_else(unlike)?.copy_from_slice(&converted);
                next += stride;
            }
        }
    }
    Image::new(width, height, channels, pixels).map_err(|error| corrupt(file, error))
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
            assert!(error.bad_image().is_some() && error.to_string().starts_with("a/b.png: "), "{error}");
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
