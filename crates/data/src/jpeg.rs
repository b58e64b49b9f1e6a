//! JPEG. The decoder by itself fills what is missing of a cut file with grey; here the file's
//! markers are followed to the end first, and the decoder is told to be strict. What remains is
//! damage inside a scan that happens to decode: JPEG has no checksum, and nobody notices that.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::decode::{check_dimensions, corrupt};
use crate::{Error, Image};

/// Whether the bytes begin as a JPEG file does.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// What the markers of a whole file say.
#[derive(Default)]
struct Markers {
    /// There is an Adobe segment: CMYK is stored inverted.
    adobe: bool,
    /// There are bytes between segments that belong to none. Harmless, and libjpeg reads on with a
    /// warning, but the strict decoder does not.
    stray_bytes: bool,
}

/// Follows the markers from the start of the image to its end (ITU-T T.81, annex B). `None` where
/// the bytes end first.
fn follow_markers(bytes: &[u8]) -> Option<Markers> {
    let mut markers = Markers::default();
    let mut at = 2;
    let mut in_scan = false;
    loop {
        let step = bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        markers.stray_bytes |= step > 0 && !in_scan;
        at += step + 1;
        let code = *bytes.get(at)?;
        match code {
            // Fill bytes before a marker; the next one decides.
            0xff => continue,
            // A stuffed 255 or a restart, part of a scan.
            0x00 | 0xd0..=0xd7 => {
                markers.stray_bytes |= !in_scan;
                at += 1;
                continue;
            }
            0xd9 => return Some(markers),
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 1)?, *bytes.get(at + 2)?]));
        markers.adobe |= code == 0xee && bytes.get(at + 3..at + 8) == Some(b"Adobe");
        in_scan = code == 0xda;
        at += 1 + length.max(2);
    }
}

/// Decodes a JPEG file; `file` is named in errors.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let markers = follow_markers(bytes).ok_or_else(|| Error::TruncatedImage { file: file.into() })?;
    let failed = |error: DecodeErrors| corrupt(file, format!("{error:?}"));
    let options = DecoderOptions::default()
        .set_strict_mode(!markers.stray_bytes)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let (Some(info), Some(stored)) = (decoder.info(), decoder.input_colorspace()) else {
        return Err(corrupt(file, "no header"));
    };
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    check_dimensions(width, height, file)?;
    let plain_cmyk = stored == ColorSpace::CMYK && !markers.adobe;
    let wanted = match stored {
        ColorSpace::Luma => ColorSpace::Luma,
        ColorSpace::CMYK if plain_cmyk => ColorSpace::CMYK,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let mut pixels = decoder.decode().map_err(failed)?;
    if plain_cmyk {
        pixels = pixels.chunks_exact(4).flat_map(|p| cmyk_to_rgb([p[0], p[1], p[2], p[3]])).collect();
    }
    let channels = if wanted == ColorSpace::Luma { 1 } else { 3 };
    Image::new(width, height, channels, pixels)
        .ok_or_else(|| corrupt(file, "the decoder gave another number of pixels than the header"))
}

/// `(255 - c) (255 - k) / 255`, rounded.
fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| ((u32::from(255 - ink) * u32::from(255 - k) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;

    use super::*;

    fn encode(width: u32, height: u32, colour: image::ExtendedColorType) -> Vec<u8> {
        let channels = u32::from(colour.channel_count());
        let pixels: Vec<u8> = (0..width * height * channels).map(|i| (i * i / 7 % 256) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90).encode(&pixels, width, height, colour).unwrap();
        bytes
    }

    /// An 8x8 JPEG of one colour a component, stored as it is: DC coefficients alone, quantised by
    /// 8, so that the difference d gives the value 128 + d.
    fn flat(values: &[u8], adobe: Option<u8>) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
        bytes.extend([8; 64]);
        if let Some(transform) = adobe {
            bytes.extend([0xff, 0xee, 0, 14]);
            bytes.extend(b"Adobe\0\x64\0\0\0\0");
            bytes.push(transform);
        }
        let components = values.len() as u8;
        bytes.extend([0xff, 0xc0, 0, 8 + 3 * components, 8, 0, 8, 0, 8, components]);
        (1..=components).for_each(|id| bytes.extend([id, 0x11, 0]));
        // DC: nine codes of 4 bits for categories 0 to 8. AC: one code of 1 bit, end of block.
        bytes.extend([0xff, 0xc4, 0, 28, 0x00, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(0..=8);
        bytes.extend([0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0xff, 0xda, 0, 6 + 2 * components, components]);
        (1..=components).for_each(|id| bytes.extend([id, 0]));
        bytes.extend([0, 63, 0]);
        let mut bits = String::new();
        for &value in values {
            let difference = i32::from(value) - 128;
            let category = (32 - difference.unsigned_abs().leading_zeros()) as usize;
            let amplitude = if difference < 0 { difference + (1 << category) - 1 } else { difference };
            bits += &format!("{category:04b}");
            if category > 0 {
                bits += &format!("{amplitude:0category$b}");
            }
            bits.push('0');
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        for byte in bits.as_bytes().chunks(8) {
            let byte = byte.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
            bytes.push(byte);
            if byte == 0xff {
                bytes.push(0);
            }
        }
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    fn colour(bytes: &[u8]) -> Vec<u8> {
        let image = decode(bytes, "x.jpg").unwrap();
        assert_eq!((image.width(), image.height()), (8, 8));
        let first = image.pixels()[..image.channels()].to_vec();
        assert!(image.pixels().chunks(image.channels()).all(|pixel| pixel == first));
        first
    }

    #[test]
    fn grey_rgb_and_cmyk() {
        assert_eq!(colour(&flat(&[200], None)), [200]);
        assert_eq!(colour(&flat(&[77, 128, 128], None)), [77, 77, 77]);
        assert_eq!(colour(&flat(&[10, 20, 250], Some(0))), [10, 20, 250]);
        // Without Adobe's segment ink is ink: (255 - 55) (255 - 51) / 255 = 160.
        assert_eq!(colour(&flat(&[55, 0, 255, 51], None)), [160, 204, 0]);
        // With it, the same colour is stored inverted, as CMYK or, with K inverted, as YCCK.
        assert_eq!(colour(&flat(&[200, 255, 0, 204], Some(0))), [160, 204, 0]);
        assert_eq!(colour(&flat(&[155, 128, 128, 204], Some(2))), [80, 80, 80]);
    }

    #[test]
    fn a_cut_jpeg_is_truncated_wherever_it_is_cut() {
        for colour in [image::ExtendedColorType::Rgb8, image::ExtendedColorType::L8] {
            let whole = encode(40, 40, colour);
            decode(&whole, "whole.jpg").unwrap();
            for cut in 3..whole.len() {
                let error = decode(&whole[..cut], "a/b.jpg").expect_err("cut");
                assert!(matches!(error, Error::TruncatedImage { .. }), "cut at {cut}: {error}");
            }
        }
    }

    #[test]
    fn stray_bytes_between_segments_and_after_the_end_are_read_over() {
        let whole = encode(16, 16, image::ExtendedColorType::Rgb8);
        let image = decode(&whole, "x").unwrap();
        let mut longer = whole.clone();
        longer.extend(b"appended by a camera");
        assert_eq!(decode(&longer, "x").unwrap(), image);
        let table = whole.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
        let mut stray = whole[..table].to_vec();
        stray.extend(*b"stray");
        stray.extend(&whole[table..]);
        assert_eq!(decode(&stray, "x").unwrap(), image);
    }

    #[test]
    fn a_header_that_claims_gigapixels_is_refused() {
        let mut bytes = flat(&[200], None);
        let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[frame + 5..frame + 9].fill(0xff);
        assert!(matches!(decode(&bytes, "x"), Err(Error::ImageTooLarge { width: 65535, .. })));
    }

    proptest::proptest! {
        /// Whatever is damaged, there is an image or an error, and never a panic or a hang.
        #[test]
        fn damage_never_panics(at in 2usize..1200, byte: u8, cut in 0usize..1200) {
            let mut bytes = encode(24, 24, image::ExtendedColorType::Rgb8);
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len() / 2);
            let _ = crate::decode(&bytes, "x");
        }
    }
}
