//! Files as a whole: colours, cuts, stray bytes, damage.

use image::codecs::jpeg::JpegEncoder;

use crate::{Error, decode};

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
    // Ink is stored inverted, with Adobe's segment and, to Pillow, without: 200 * 204 / 255 = 160. In YCCK it is not
    // C but its complement that is stored, and so 204 - 155 * 204 / 255 = 80.
    assert_eq!(colour(&flat(&[200, 255, 0, 204], Some(0))), [160, 204, 0]);
    assert_eq!(colour(&flat(&[200, 255, 0, 204], None)), [160, 204, 0]);
    assert_eq!(colour(&flat(&[155, 128, 128, 204], Some(2))), [80, 80, 80]);
}

#[test]
fn a_cut_jpeg_is_truncated_wherever_it_is_cut() {
    for colour in [image::ExtendedColorType::Rgb8, image::ExtendedColorType::L8] {
        let whole = encode(40, 40, colour);
        let image = decode(&whole, "whole.jpg").unwrap();
        // The end marker alone may be missing.
        for cut in [1, 2] {
            assert_eq!(decode(&whole[..whole.len() - cut], "x").unwrap(), image);
        }
        for cut in 3..whole.len() - 2 {
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
    /// Damage of any kind: there is an image or an error, and never a panic or a hang.
    #[test]
    fn damage_never_panics(at in 2usize..1200, byte: u8, cut in 0usize..1200) {
        let mut bytes = encode(24, 24, image::ExtendedColorType::Rgb8);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut % bytes.len() / 2);
        let _ = crate::decode(&bytes, "x");
    }
}
