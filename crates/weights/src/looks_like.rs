//! The kind of a file that holds no weights, by its first bytes.

/// Kind of a file, as an error names it.
pub(crate) fn looks_like(head: &[u8]) -> &'static str {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if let Some(&(.., kind)) = MAGIC.iter().find(|&&(offset, magic, _)| at(offset, magic)) {
        return kind;
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        "a web page (the download was answered by a page, not by the file)"
    } else if text.starts_with(b"version https://git-lfs") {
        "a Git LFS pointer (fetch the file itself with `git lfs pull`)"
    } else if is_onnx(head) {
        "an ONNX file (its network and weights are read by other programs; take the file that it was exported from)"
    } else if head.len() < 9 {
        "a few bytes"
    } else if text.starts_with(b"{") || text.starts_with(b"[") {
        "a text file (JSON)"
    } else if is_text(head) {
        "a text file"
    } else {
        "something unknown"
    }
}

/// Kind of a zip archive without a pickle, by the names of its entries.
pub(crate) fn looks_like_archive(names: &[impl AsRef<str>]) -> Option<&'static str> {
    let has = |is_it: &dyn Fn(&str) -> bool| names.iter().any(|name| is_it(name.as_ref()));
    let ends = |end: &'static str| move |name: &str| name.ends_with(end);
    if has(&ends(".weights.h5")) {
        Some("a Keras model; help: this library reads PyTorch's weights and safetensors")
    } else if has(&|name| name == "[Content_Types].xml") {
        Some("an office document")
    } else if has(&ends(".npy")) {
        Some("NumPy arrays (.npz); help: write them with safetensors.numpy.save_file")
    } else if has(&|name| {
        name.contains("__MACOSX/") || name.ends_with(".pth") || name.ends_with(".safetensors")
    }) {
        Some("an archive around other files; help: unpack it and use the file inside")
    } else if has(&|name| {
        [".jpg", ".jpeg", ".png"].iter().any(|end| name.to_ascii_lowercase().ends_with(end))
    }) {
        Some("a dataset of images")
    } else {
        None
    }
}

/// First bytes of formats, with the place where they stand.
const MAGIC: [(usize, &[u8], &str); 24] = [
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"BM", "a BMP image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (0, b"%PDF", "a PDF document"),
    (0, b"GGUF", "a GGUF file, which holds a language model"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"\x89HDF", "an HDF5 file (Keras keeps its weights so)"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"SQLite format 3", "an SQLite database"),
    (0, b"\x7fELF", "a program"),
    (4, b"ftyp", "a film"),
    (0, b"\x1aE\xdf\xa3", "a film"),
];

/// True for a message of protobuf that begins as ONNX's do: the version of the format, then the producer or the graph.
fn is_onnx(head: &[u8]) -> bool {
    matches!(head, [0x08, 1..=30, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..])
}

/// True for UTF-8 without zeros; a character may be cut off at the end.
fn is_text(head: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !head.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let cases: [(&[u8], &str); 8] = [
            (b"\x08\x07\x12\x07pytorch\x1a\x05", "ONNX"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
            (b"GGUF\x03\0\0\0\0\0\0\0", "GGUF"),
            (b"{\"a\": 1, \"b\": 2}", "JSON"),
            (b"some words in a file", "a text file"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
            (b"<!DOCTYPE html><html>", "web page"),
            (b"\x01\x02\x03\x04\x05\x06\x07\x80\xff\xfe", "something unknown"),
        ];
        for (head, kind) in cases {
            assert!(looks_like(head).contains(kind), "{kind}: {}", looks_like(head));
        }
    }
}
