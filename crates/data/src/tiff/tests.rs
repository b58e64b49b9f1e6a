use super::decode;
use crate::{Error, Image};

/// A page: its tags, of which 273 (the strip's place) is left to [`tiff`], and its only strip.
struct Page {
    tags: Vec<(u16, u32)>,
    strip: Vec<u8>,
}

/// A little-endian file of pages.
fn tiff(pages: &[Page]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for (number, page) in pages.iter().enumerate() {
        let mut tags = page.tags.clone();
        let strip = bytes.len() + 2 + (tags.len() + 2) * 12 + 4;
        tags.extend([(273, strip as u32), (279, page.strip.len() as u32)]);
        let end = strip + page.strip.len();
        bytes.extend((tags.len() as u16).to_le_bytes());
        for (tag, value) in tags {
            bytes.extend([&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat());
        }
        let next = if number + 1 < pages.len() { end as u32 } else { 0 };
        bytes.extend(next.to_le_bytes());
        bytes.extend_from_slice(&page.strip);
    }
    bytes
}

fn grey(width: u32, pixels: &[u8]) -> Page {
    Page { tags: vec![(256, width), (257, 1), (258, 8), (262, 1)], strip: pixels.to_vec() }
}

fn image(pages: &[Page]) -> Image {
    decode(&tiff(pages), "x.tif").unwrap()
}

#[test]
fn grey_pages_of_one_size_are_channels() {
    let stack = image(&[grey(2, &[1, 2]), grey(2, &[3, 4]), grey(2, &[5, 6])]);
    assert_eq!(
        (stack.channels(), stack.pixels(), stack.is_first_of_several()),
        (3, &[1, 3, 5, 2, 4, 6][..], false)
    );
    let first = stack.with_channels(1, "x").unwrap();
    assert_eq!((first.pixels(), first.is_first_of_several()), (&[1, 2][..], true));
    let unlike = image(&[grey(2, &[1, 2]), grey(1, &[3])]);
    assert_eq!((unlike.channels(), unlike.pixels(), unlike.is_first_of_several()), (1, &[1, 2][..], true));
    let many: Vec<Page> = (0..33).map(|page| grey(1, &[page])).collect();
    assert_eq!((image(&many[..32]).channels(), image(&many).channels()), (32, 1));
}

#[test]
fn pages_in_a_circle_come_to_an_end() {
    let mut bytes = tiff(&[grey(1, &[7])]);
    // The offset of the next directory is that of the first.
    let next = bytes.len() - 1 - 4;
    bytes[next] = 8;
    let found = decode(&bytes, "x").unwrap();
    assert_eq!((found.pixels(), found.is_first_of_several()), (&[7][..], true));
}

#[test]
fn floats_are_put_together_from_sorted_differences() {
    let values = [0.5f32, -1.25, 3.0];
    // All highest bytes first, then the differences of neighbours.
    let sorted: Vec<u8> = (0..4).flat_map(|weight| values.map(|value| value.to_be_bytes()[weight])).collect();
    let mut strip = sorted.clone();
    (1..strip.len()).for_each(|at| strip[at] = sorted[at].wrapping_sub(sorted[at - 1]));
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &strip).unwrap();
    let tags = vec![(256, 3), (257, 1), (258, 32), (259, 8), (262, 1), (317, 3), (339, 3)];
    let found = image(&[Page { tags, strip: encoder.finish().unwrap() }]);
    assert_eq!(found.values(), Some(&values[..]));
}

#[test]
fn kinds_that_are_not_read_are_named() {
    for (tags, kind) in [
        (vec![(259, 4)], "a fax's compression"),
        (vec![(259, 50000)], "Zstandard"),
        (vec![(258, 12)], "an unusual number of bits"),
        (vec![(262, 8)], "L*a*b*"),
        (vec![(277, 9)], "more than 8 samples"),
    ] {
        let mut page = grey(1, &[0]);
        page.tags.retain(|(tag, _)| tags.iter().all(|(other, _)| other != tag));
        page.tags.extend(tags);
        let error = decode(&tiff(&[page]), "x.tif").unwrap_err();
        assert!(
            matches!(error, Error::UnsupportedImage { .. }) && error.to_string().contains(kind),
            "{error}"
        );
    }
}
