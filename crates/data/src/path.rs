//! Paths inside the data, as bytes: a folder and an archive of it give the same ones.

use std::fmt;

use residual_files::{escaped_bytes, unambiguous};

use crate::arrays::is_idx_name;
use crate::cifar::{is_cifar_10, is_cifar_100};

/// Folders deeper than this hold no images of anybody, and make every other path long.
pub(crate) const MAX_DEPTH: usize = 64;

/// Between two parts: a byte that no part has, and that sorts before every other, so that paths are sorted part by
/// part.
const JOINT: u8 = 0;

/// A path inside the data, from the top, without empty, `.` and `..` parts. Such a path is only ever a name:
/// nothing is written, and nothing outside is read, whatever an archive says.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InnerPath(Vec<u8>);

impl InnerPath {
    /// The path of a name in an archive, split at its slashes; the top itself for `.` and the like. A name ends
    /// at its first zero byte, as in C.
    pub(crate) fn of_slashed(name: &[u8]) -> Self {
        let name = name.split(|&byte| byte == 0).next().unwrap_or(&[]);
        let parts = name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"." | b".."));
        parts.fold(Self::default(), |path, part| path.joined(part))
    }

    /// The path with one more part.
    pub(crate) fn joined(mut self, part: &[u8]) -> Self {
        if !self.0.is_empty() {
            self.0.push(JOINT);
        }
        self.0.extend_from_slice(part);
        self
    }

    /// The path with all the parts of `other` behind it.
    pub(crate) fn followed_by<'a>(self, parts: impl Iterator<Item = &'a [u8]>) -> Self {
        parts.fold(self, Self::joined)
    }

    /// The parts, from the top.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == JOINT).filter(|part| !part.is_empty())
    }

    /// Part number `index`.
    pub(crate) fn part(&self, index: usize) -> Option<&[u8]> {
        self.parts().nth(index)
    }

    /// The file's or folder's own name; empty for the top.
    pub(crate) fn last(&self) -> &[u8] {
        self.0.rsplit(|&byte| byte == JOINT).next().unwrap_or(&[])
    }

    /// Number of parts.
    pub(crate) fn depth(&self) -> usize {
        match self.0.is_empty() {
            true => 0,
            false => 1 + self.0.iter().filter(|&&byte| byte == JOINT).count(),
        }
    }

    /// Number of bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The folder that it is in; `None` for the top.
    pub(crate) fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == JOINT).unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// Path of the first `depth` parts.
    pub(crate) fn up_to(&self, depth: usize) -> Self {
        Self::default().followed_by(self.parts().take(depth))
    }

    /// True where it is `folder` or inside it.
    pub(crate) fn is_within(&self, folder: &Self) -> bool {
        folder.0.is_empty()
            || (self.0.starts_with(&folder.0) && matches!(self.0.get(folder.0.len()), None | Some(&JOINT)))
    }

    /// True where a part of it is hidden, or made by a program for itself.
    pub(crate) fn is_hidden(&self) -> bool {
        self.parts().any(is_hidden)
    }

    /// Text that stands for it: no two paths have the same.
    pub(crate) fn text(&self) -> String {
        self.parts().map(unambiguous).collect::<Vec<_>>().join("/")
    }
}

impl fmt::Display for InnerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts().enumerate() {
            let slash = if i == 0 { "" } else { "/" };
            write!(f, "{slash}{}", escaped_bytes(part))?;
        }
        Ok(())
    }
}

impl fmt::Debug for InnerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Folders and files that programs make for themselves, in small letters.
const OF_PROGRAMS: [&[u8]; 11] = [
    b"__macosx",
    b"__pycache__",
    b"@eadir",
    b"#recycle",
    b"$recycle.bin",
    b"system volume information",
    b"lost+found",
    b"node_modules",
    b"thumbs.db",
    b"ehthumbs.db",
    b"desktop.ini",
];

/// Test for the name of a file or folder that is left out without a word.
pub(crate) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") || OF_PROGRAMS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Names that end like this are taken for images, of whatever kind their content is.
const IMAGES: [&[u8]; 13] = [
    b"jpg", b"jpeg", b"jpe", b"jfif", b"png", b"apng", b"webp", b"bmp", b"dib", b"gif", b"tif", b"tiff",
    b"npy",
];

/// The end of a name behind its last dot; empty where there is none.
pub(crate) fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => &[],
    }
}

/// Test for the name of an image file.
pub(crate) fn is_image(name: &[u8]) -> bool {
    IMAGES.iter().any(|known| extension(name).eq_ignore_ascii_case(known))
}

/// Test for the name of a file that may hold many images or their labels: of CIFAR's archives, IDX, `.npz`.
pub(crate) fn is_record_file(name: &[u8]) -> bool {
    is_cifar_10(name)
        || is_cifar_100(name)
        || is_idx_name(name)
        || extension(name).eq_ignore_ascii_case(b"npz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_only_names() {
        let text = |name: &str| InnerPath::of_slashed(name.as_bytes()).text();
        assert_eq!(text("./a//b.png"), "a/b.png");
        assert_eq!(text("/etc/../../a/b.png"), "etc/a/b.png");
        assert_eq!(text("a/b\0c"), "a/b");
        assert_eq!(text("./"), "");
    }

    #[test]
    fn parts_can_be_taken_one_by_one() {
        let path = InnerPath::of_slashed(b"a/bc/d");
        assert_eq!((path.depth(), path.last(), path.part(1)), (3, &b"d"[..], Some(&b"bc"[..])));
        assert_eq!(path.parent().unwrap().text(), "a/bc");
        assert_eq!(path.up_to(1).parent(), Some(InnerPath::default()));
        assert_eq!((InnerPath::default().parent(), InnerPath::default().depth()), (None, 0));
        assert!(path.is_within(&path.up_to(2)) && path.is_within(&InnerPath::default()));
        assert!(!InnerPath::of_slashed(b"a/b").is_within(&InnerPath::of_slashed(b"a/bc")));
        assert!(!path.is_within(&InnerPath::of_slashed(b"a/b")));
        assert!(InnerPath::of_slashed(b"cat/1") < InnerPath::of_slashed(b"cat-2/1"), "sorted part by part");
    }

    #[test]
    fn hidden_names() {
        let hidden = |name: &str| InnerPath::of_slashed(name.as_bytes()).is_hidden();
        for name in ["a/.DS_Store", ".git/a.png", "__MACOSX/a/b.png", "a/._b.png", "@eaDir/x", "a/Thumbs.db"]
        {
            assert!(hidden(name), "{name}");
        }
        assert!(!hidden("a/b.png") && !hidden("cache/b..png"));
    }

    #[test]
    fn names_tell_what_a_file_is() {
        for image in ["b.jpg", "b.JPEG", "b.PnG", "x.y.png", "a.jfif", "a.JPE", "a.WebP", "a.tif", "a.npy"] {
            assert!(is_image(image.as_bytes()), "{image}");
        }
        for records in [
            "data_batch_1",
            "data_batch_5.bin",
            "test_batch",
            "test_batch.bin",
            "batches.meta.txt",
            "train",
            "t10k-images-idx3-ubyte.gz",
            "x.NPZ",
        ] {
            assert!(is_record_file(records.as_bytes()) && !is_image(records.as_bytes()), "{records}");
        }
        for other in ["readme.txt", "png", "data_batch_x", "data_batch_", "b.jpg.txt", ".jpg"] {
            assert!(!is_image(other.as_bytes()) && !is_record_file(other.as_bytes()), "{other}");
        }
    }
}
