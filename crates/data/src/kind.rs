//! Kinds of files that turn up under the names of images and are not read, known by their first bytes.

/// A sentence about a file of no kind that is read: what it is, and what can be done.
pub(crate) fn describe(bytes: &[u8]) -> String {
    if let Some(image) = image(bytes) {
        return format!(
            "{image}, whatever its name says, which is not read; help: convert it to JPEG, PNG or TIFF"
        );
    }
    if let Some((other, help)) = other(bytes) {
        return format!("{other} and no image; help: {help}");
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!(
        "no image of a kind that is known (it begins with {}); help: convert it to JPEG, PNG or TIFF, or leave it out",
        start.join(" ")
    )
}

/// Images by what stands at the start of the file.
const IMAGES: [(&[u8], &str); 15] = [
    (b"\0\0\x01\0", "a Windows icon"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"II\xbc\x01", "a JPEG XR image"),
    (b"8BPS", "a Photoshop image"),
    (b"qoif", "a QOI image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (b"DDS ", "a DDS texture"),
    (b"SIMPLE  =", "a FITS image"),
    (b"FUJIFILMCCD-RAW", "a camera's raw image"),
    (b"gimp xcf", "a GIMP image"),
];

fn image(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return iso_media(bytes);
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return Some("a DICOM image");
    }
    if let Some(&[b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n']) = bytes.first_chunk::<3>() {
        return Some("a Netpbm image");
    }
    if let Some(text) = text_start(bytes)
        && (text.starts_with("<svg")
            || (text.starts_with("<?xml") || text.starts_with("<!")) && text.contains("<svg"))
    {
        return Some("an SVG drawing");
    }
    IMAGES.iter().find(|(start, _)| bytes.starts_with(start)).map(|&(_, image)| image)
}

/// A file of ISO's base media format that is an image: the brands behind its name say which kind.
fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    let length = bytes.first_chunk().map_or(0, |&length| u32::from_be_bytes(length) as usize);
    let brands = &bytes[8..length.clamp(12, 264).min(bytes.len()).max(8)];
    let has = |wanted: &[&[u8; 4]]| brands.as_chunks::<4>().0.iter().any(|brand| wanted.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        Some("an AVIF image")
    } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"mif1", b"msf1", b"heif"])
    {
        Some("a HEIC image")
    } else if has(&[b"crx "]) {
        Some("a camera's raw image")
    } else {
        None
    }
}

const AGAIN: &str = "download it again, or leave it out";
const LEAVE: &str = "leave it out";

/// Other files by what stands at the start, with what can be done.
const OTHERS: [(&[u8], &str, &str); 16] = [
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS",
        "run `git lfs pull` to get the file itself",
    ),
    (b"\0\x05\x16\x07", "a file of macOS's about another one (AppleDouble)", LEAVE),
    (b"%PDF-", "a PDF document", "save its pages as JPEG or PNG"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"BZh", "a bzip2 archive", "unpack it"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "save its images as PNG"),
    (b"\x1aE\xdf\xa3", "a video", "save its frames as JPEG or PNG"),
    (b"\x7fELF", "a program", LEAVE),
    (b"MZ", "a program", LEAVE),
    (b"SQLite format 3\0", "a database", LEAVE),
    (b"bplist00", "a property list", LEAVE),
];

fn other(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    if let Some(&(_, kind, help)) = OTHERS.iter().find(|(start, ..)| bytes.starts_with(start)) {
        return Some((kind, help));
    }
    if bytes.get(4..8) == Some(b"ftyp") || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"AVI ") {
        return Some(("a video", "save its frames as JPEG or PNG"));
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Some(("a file of nothing but zeros", AGAIN));
    }
    let text = text_start(bytes)?;
    Some(if text.starts_with("<!doctype html") || text.starts_with("<html") || text.contains("<html") {
        ("an HTML page", AGAIN)
    } else if text.starts_with("<?xml") {
        ("an XML document", AGAIN)
    } else if text.starts_with(['{', '[']) {
        ("a JSON document", AGAIN)
    } else {
        ("a text file", AGAIN)
    })
}

/// The beginning of a text in small letters, without what may stand before its first character. `None` where it
/// is no text.
fn text_start(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(1024)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The cut may lie within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let plain = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
    let text = valid.trim_start_matches('\u{feff}').trim_start();
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_other_kinds_are_named() {
        for (bytes, kind) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "a HEIC image,"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0miafheic", "a HEIC image,"),
            (b"\0\0\0\x1cftypavif\0\0\0\0mif1miafMA1A", "an AVIF image,"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0avifmiafMA1A", "an AVIF image,"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "an SVG drawing,"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- x --><svg/>", "an SVG drawing,"),
            (b"P6\n2 2\n255\n", "a Netpbm image,"),
            (b"8BPS\0\x01", "a Photoshop image,"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image,"),
        ] {
            let text = describe(bytes);
            assert!(text.starts_with(kind) && text.contains("help: convert it"), "{text}");
        }
    }

    #[test]
    fn what_is_no_image_is_named_with_what_can_be_done() {
        for (bytes, wanted) in [
            (
                &b"\r\n <!DOCTYPE html><title>404</title>"[..],
                "an HTML page and no image; help: download it again",
            ),
            (b"<html>not found</html>", "an HTML page and no image; help: download it again"),
            (b"<!-- cached --><HTML>", "an HTML page and no image; help: download it again"),
            (b"{\"error\": 403}", "a JSON document and no image; help: download it again"),
            (b"Access denied \xc3\xa9", "a text file and no image; help: download it again"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:",
                "a pointer of Git LFS and no image; help: run",
            ),
            (b"%PDF-1.7\n", "a PDF document and no image; help: save"),
            (b"PK\x03\x04\x14\0", "a zip archive and no image; help: unpack it"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0isom", "a video and no image; help: save its frames"),
            (b"\0\0\0\0\0\0\0\0\0", "a file of nothing but zeros and no image; help: download"),
            (b"\0\x05\x16\x07\0\x02\0\0", "a file of macOS's about another one (AppleDouble) and no image"),
        ] {
            let text = describe(bytes);
            assert!(text.starts_with(wanted), "{text}");
        }
    }

    #[test]
    fn no_start_is_too_short_or_too_odd() {
        for length in 1..40 {
            for byte in 0..=255 {
                assert!(!describe(&vec![byte; length]).is_empty());
            }
            assert!(
                !describe(&b"\xff\xff\xff\xffftypheic\0\0\0\0mif1heicabcdefghijklmnop"[..length.min(36)])
                    .is_empty()
            );
        }
        assert!(describe(b"BMW 320i\x80").contains("begins with 42 4d 57"));
    }
}
