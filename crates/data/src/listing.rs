//! What a folder or an archive holds, by name, whatever its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::folder::list_folder;
use crate::store::{Location, Store};
use crate::tarball::{self, list_tar, list_tar_gz};
use crate::zipped::list_zip;
use crate::{Error, OpenOptions};

/// A path inside the data, from the top, without empty, `.` and `..` parts. Such a path is only
/// ever a name: nothing is written, and nothing outside is read, whatever an archive says.
pub(crate) type Parts = Vec<String>;

/// The files that matter, sorted by path, so that the order is the same everywhere.
#[derive(Debug)]
pub(crate) struct Listing {
    /// How errors call the whole.
    pub(crate) origin: String,
    /// Files whose name says JPEG or PNG.
    pub(crate) images: BTreeMap<Parts, Location>,
    /// Files named as in CIFAR-10's archives.
    pub(crate) cifar: BTreeMap<Parts, Location>,
    /// Every folder, with or without images.
    pub(crate) folders: BTreeSet<Parts>,
    /// What the locations refer to.
    pub(crate) store: Store,
}

/// What a file's name makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Cifar,
    Other,
}

/// Splits a path at its slashes. `None` for what is hidden (a part begins with a dot) or made by
/// an archiver for itself.
pub(crate) fn parts(path: &str) -> Option<Parts> {
    let parts: Parts =
        path.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | "..")).map(str::to_owned).collect();
    (!parts.is_empty() && !parts.iter().any(|part| is_hidden(part))).then_some(parts)
}

/// Whether a file or folder of this name is left out.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Sorts a file by its name.
pub(crate) fn kind(parts: &[String]) -> Kind {
    let name = parts.last().map_or("", String::as_str);
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if ["jpg", "jpeg", "jpe", "jfif", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known)) {
        return Kind::Image;
    }
    let stem = name.strip_suffix(".bin").unwrap_or(name);
    let batch = stem.strip_prefix("data_batch_").is_some_and(|number| number.parse::<u8>().is_ok());
    if batch || matches!(stem, "test_batch" | "batches.meta" | "batches.meta.txt") {
        return Kind::Cifar;
    }
    Kind::Other
}

impl Listing {
    pub(crate) fn new(origin: String) -> Self {
        Self {
            origin,
            images: BTreeMap::new(),
            cifar: BTreeMap::new(),
            folders: BTreeSet::new(),
            store: Store::default(),
        }
    }

    /// Notes a file. Of two files of one name the later counts, as when an archive is unpacked.
    pub(crate) fn add_file(&mut self, parts: Parts, location: Location) {
        self.add_folder(&parts[..parts.len() - 1]);
        match kind(&parts) {
            Kind::Image => self.images.insert(parts, location),
            Kind::Cifar => self.cifar.insert(parts, location),
            Kind::Other => None,
        };
    }

    /// Notes a folder and those above it.
    pub(crate) fn add_folder(&mut self, parts: &[String]) {
        for depth in (1..=parts.len()).rev() {
            if !self.folders.insert(parts[..depth].to_vec()) {
                break;
            }
        }
    }
}

/// Lists a folder or an archive, told apart by content.
pub(crate) fn list(path: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::io(path, source))?;
    if metadata.is_dir() {
        return list_folder(path);
    }
    let unknown = |found: &str| Err(Error::UnknownFormat { path: path.into(), found: found.into() });
    if !metadata.is_file() {
        return unknown("neither a file nor a folder");
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(tarball::BLOCK as u64).read_to_end(&mut start))
        .map_err(|source| Error::io(path, source))?;
    match start.as_slice() {
        [] => unknown("an empty file"),
        [0x1f, 0x8b, ..] => {
            list_tar_gz(File::open(path).map_err(|source| Error::io(path, source))?, path, options)
        }
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => list_zip(path),
        [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', ..] => unknown("a single image"),
        start if tarball::is_header(start) => list_tar(path),
        _ => unknown("not an archive of a known kind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_only_names() {
        assert_eq!(parts("./a//b.png").unwrap(), ["a", "b.png"]);
        assert_eq!(parts("/etc/../../a/b.png").unwrap(), ["etc", "a", "b.png"]);
        assert_eq!(parts("a\\b.png").unwrap(), ["a", "b.png"]);
        for hidden in ["", "..", "a/.DS_Store", ".git/a.png", "__MACOSX/a/b.png", "a/._b.png"] {
            assert_eq!(parts(hidden), None, "{hidden}");
        }
    }

    #[test]
    fn names_tell_what_a_file_is() {
        let of = |name: &str| kind(&parts(name).unwrap());
        for image in ["a/b.jpg", "a/b.JPEG", "a/b.PnG", "x.y.png"] {
            assert_eq!(of(image), Kind::Image, "{image}");
        }
        for batch in
            ["x/data_batch_1", "data_batch_5.bin", "test_batch", "test_batch.bin", "batches.meta.txt"]
        {
            assert_eq!(of(batch), Kind::Cifar, "{batch}");
        }
        for other in ["a/readme.txt", "a/png", "data_batch_x", "data_batch_", "a/b.jpg.txt"] {
            assert_eq!(of(other), Kind::Other, "{other}");
        }
    }
}
