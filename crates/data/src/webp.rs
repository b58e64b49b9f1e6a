//! WebP, lossy and lossless: the pixels of libwebp, which are Pillow's.

use std::io::{Cursor, ErrorKind};

use image_webp::{DecodingError, WebPDecoder};

use crate::image::Sequence;
use crate::limits::{check_dimensions, corrupt};
use crate::{Error, Image, Orientation, exif};

/// The most that the decoder may allocate for metadata.
const MAX_ALLOCATION: usize = 1 << 24;

/// Test for bytes that begin as a WebP file does.
pub(crate) fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

/// Decodes a WebP file, of an animation the first frame; `file` is named in errors.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let failed = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::TruncatedImage { file: file.into() }
        }
        error => corrupt(file, error),
    };
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    decoder.set_memory_limit(MAX_ALLOCATION);
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    check_dimensions(width, height, file)?;
    let size = decoder.output_buffer_size().ok_or_else(|| crate::limits::too_large(width, height, file))?;
    let mut pixels = vec![0; size];
    decoder.read_image(&mut pixels).map_err(failed)?;
    let mut opacity = Vec::new();
    if decoder.has_alpha() {
        opacity = pixels.iter().skip(3).step_by(4).map(|&value| u16::from(value) * 257).collect();
        let mut place = 0;
        pixels.retain(|_| {
            place += 1;
            place % 4 != 0
        });
    }
    let image = Image::new(width, height, 3, pixels).map_err(|error| corrupt(file, error))?;
    let image = if opacity.is_empty() { image } else { image.with_opacity(opacity) };
    let several = decoder.is_animated() && decoder.num_frames() > 1;
    Ok(image.with_orientation(orientation(bytes)).with_sequence(several.then_some(Sequence::First)))
}

/// Orientation in the metadata: EXIF, else XMP.
pub(crate) fn orientation(bytes: &[u8]) -> Orientation {
    let (mut rest, mut xmp) = (bytes.get(12..).unwrap_or_default(), None);
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some(chunk) = behind.get(..length) else { break };
        match &head[..4] {
            b"EXIF" => {
                if let Some(turn) = exif::of_exif(chunk) {
                    return turn;
                }
            }
            b"XMP " => xmp = xmp.or_else(|| exif::of_xmp(chunk)),
            _ => {}
        }
        rest = behind.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    xmp.unwrap_or_default()
}
