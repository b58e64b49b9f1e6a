//! Folders and archives, told apart by content.

use std::io::Read;
use std::path::Path;

use crate::arrays::{is_idx_name, list_idx_set};
use crate::folder::list_folder;
use crate::listing::{Listing, shown};
use crate::tar_walk::BLOCK;
use crate::tarball::{self, list_tar, list_tar_gz};
use crate::zipped::list_zip;
use crate::{Error, OpenOptions};

/// Lists a folder or an archive, told apart by content.
pub(crate) fn list(path: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::io(path, source))?;
    if metadata.is_dir() {
        return list_folder(path, options).map(Listing::finish);
    }
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if is_idx_name(name) && metadata.is_file() {
        return list_idx_set(path, Listing::new(shown(path), options)).map(Listing::finish);
    }
    let unknown = |found: &str| Err(Error::UnknownFormat { path: path.into(), found: found.into() });
    if !metadata.is_file() {
        return unknown("neither a file nor a folder");
    }
    let mut start = Vec::new();
    residual_files::open(path)
        .and_then(|file| Ok(file.take(BLOCK as u64).read_to_end(&mut start)?))
        .map_err(|error| Error::file(path, error))?;
    let listing = match start.as_slice() {
        [] => return unknown("an empty file"),
        [0x1f, 0x8b, ..] => list_tar_gz(path, options),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => list_zip(path, options),
        [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', ..] => return unknown("a single image"),
        start if tarball::is_header(start) => list_tar(path, options),
        _ => return unknown("not an archive of a known kind"),
    };
    listing.map(Listing::finish)
}
