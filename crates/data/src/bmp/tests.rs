use super::decode;
use crate::Error;

/// A bitmap with a header of 40 bytes.
fn bitmap([width, height]: [i32; 2], bits: u16, compression: u32, rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"BM\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    for long in [40, width.cast_unsigned(), height.cast_unsigned()] {
        bytes.extend_from_slice(&long.to_le_bytes());
    }
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&bits.to_le_bytes());
    bytes.extend_from_slice(&compression.to_le_bytes());
    bytes.extend_from_slice(&[0; 12]);
    // As many colours as are listed.
    let colours = if bits <= 8 { rest[0].len() as u32 / 4 } else { 0 };
    bytes.extend_from_slice(&colours.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    rest.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// Blue, green, red and nothing of three colours, whose red is 1, 2 and 3.
const COLOURS: [u8; 12] = [0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0];

fn red(bytes: &[u8]) -> Vec<u8> {
    decode(bytes, "x.bmp").unwrap().pixels().iter().step_by(3).copied().collect()
}

#[test]
fn rows_are_read_from_the_bottom_or_the_top() {
    let rows: [&[u8]; 2] = [&[1, 2, 3, 0], &[4, 5, 6, 0]];
    let pixels = |height| decode(&bitmap([1, height], 24, 0, &rows), "x").unwrap().into_pixels();
    assert_eq!(pixels(2), [6, 5, 4, 3, 2, 1]);
    assert_eq!(pixels(-2), [3, 2, 1, 6, 5, 4]);
}

#[test]
fn sixteen_bits_are_cut_to_eight() {
    let pixel = 0x8421_u16.to_le_bytes();
    let masks = [0xf800u32, 0x7e0, 0x1f].map(u32::to_le_bytes).concat();
    assert_eq!(
        decode(&bitmap([1, 1], 16, 3, &[&masks, &pixel, &[0; 2]]), "x").unwrap().pixels(),
        [131, 133, 8]
    );
    assert_eq!(decode(&bitmap([1, 1], 16, 0, &[&pixel, &[0; 2]]), "x").unwrap().pixels(), [8, 8, 8]);
}

#[test]
fn runs_are_unpacked() {
    // The lower row: an absolute run of colours 2, 1 and 0; the upper: two of colour 1; the end leaves one of colour 0.
    let runs = [0, 3, 2, 1, 0, 0, 0, 0, 2, 1, 0, 1];
    assert_eq!(red(&bitmap([3, 2], 8, 1, &[&COLOURS, &runs])), [2, 2, 1, 3, 2, 1]);
    // Halves: three of 0, 1, 0.
    assert_eq!(red(&bitmap([3, 1], 4, 2, &[&COLOURS, &[3, 0x01, 0, 1]])), [1, 2, 1]);
}

#[test]
fn damage_is_an_error() {
    let whole = bitmap([3, 2], 8, 1, &[&COLOURS, &[3, 0, 0, 0, 3, 1]]);
    for cut in 18..whole.len() {
        assert!(matches!(decode(&whole[..cut], "x"), Err(Error::TruncatedImage { .. })), "{cut}");
    }
    let huge = bitmap([i32::MAX, i32::MAX], 24, 0, &[&[0; 8]]);
    assert!(matches!(decode(&huge, "x"), Err(Error::ImageTooLarge { .. })));
    let large = bitmap([8000, 8000], 24, 0, &[&[0; 8]]);
    assert!(matches!(decode(&large, "x"), Err(Error::TruncatedImage { .. })));
    let odd = bitmap([1, 1], 32, 3, &[&[1, 2, 3, 4].repeat(3), &[0; 4]]);
    assert!(matches!(decode(&odd, "x"), Err(Error::UnsupportedImage { .. })));
}
