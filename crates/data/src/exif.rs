//! Orientation in the metadata of JPEG, PNG and WebP: EXIF, else XMP, as Pillow looks for it.

use crate::Orientation;
use crate::tiff::ifd::{Tiff, tag};

/// Name before which EXIF stands in a JPEG file, and in some others.
pub(crate) const EXIF: &[u8] = b"Exif\0\0";

/// Name before which XMP stands in a JPEG file.
pub(crate) const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Orientation in EXIF, with or without the name before it. What is damaged says nothing: the picture is still one.
pub(crate) fn of_exif(bytes: &[u8]) -> Option<Orientation> {
    let bytes = bytes.strip_prefix(EXIF).unwrap_or(bytes);
    let number = Tiff::open(bytes)?.first().ok()?.number(tag::ORIENTATION).ok()??;
    Some(Orientation::of_number(number as u64))
}

/// Orientation in XMP: `tiff:Orientation`, an attribute or an element.
pub(crate) fn of_xmp(bytes: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    for behind in
        bytes.windows(NAME.len()).enumerate().filter(|(_, part)| *part == NAME).map(|(at, _)| at + NAME.len())
    {
        let rest = &bytes[behind..];
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"));
        if let Some(&digit @ b'0'..=b'9') = value.and_then(<[u8]>::first) {
            return Some(Orientation::of_number(u64::from(digit - b'0')));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with one entry, an orientation.
    fn exif(number: u16, big_endian: bool) -> Vec<u8> {
        let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = if big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        for part in
            [&short(42)[..], &long(8), &short(1), &short(274), &short(3), &long(1), &short(number), &[0; 6]]
        {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    #[test]
    fn exif_is_read_in_both_orders() {
        for big_endian in [false, true] {
            let bytes = exif(6, big_endian);
            assert_eq!(of_exif(&bytes), Some(Orientation::Clockwise));
            assert_eq!(of_exif(&[EXIF, &bytes].concat()), Some(Orientation::Clockwise));
            assert_eq!(of_exif(&exif(77, big_endian)), Some(Orientation::Upright));
            // Only the offset of a next directory is missing.
            for length in 0..bytes.len() - 4 {
                assert!(of_exif(&bytes[..length]).is_none(), "{length}");
            }
        }
        let mut huge = exif(6, false);
        huge[14..18].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(of_exif(&huge), None);
    }

    #[test]
    fn xmp_is_read_as_attribute_and_element() {
        assert_eq!(of_xmp(b"<x tiff:Orientation=\"8\" y"), Some(Orientation::Counterclockwise));
        assert_eq!(of_xmp(b"<tiff:Orientation>3</tiff:Orientation>"), Some(Orientation::UpsideDown));
        assert_eq!(of_xmp(b"tiff:Orientation"), None);
        assert_eq!(of_xmp(b""), None);
    }
}
