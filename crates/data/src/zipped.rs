//! Zip archives, read in place.

use std::path::Path;

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use crate::Error;
use crate::listing::{Listing, parts};
use crate::store::{Location, SharedFile, Store};

pub(crate) fn list_zip(path: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::new(path.display().to_string());
    let origin = listing.origin.clone();
    let zip = open(SharedFile::open(path)?).map_err(|error| sort_error(&origin, &error))?;
    for member in 0..zip.len() {
        let Some(name) = zip.name_for_index(member) else { continue };
        let name = name.map_err(|error| sort_error(&origin, &error))?;
        match parts(&name) {
            Some(parts) if name.ends_with(['/', '\\']) => listing.add_folder(&parts),
            Some(parts) => listing.add_file(parts, Location::Zip(member)),
            None => {}
        }
    }
    listing.store = Store::of_zip(zip);
    Ok(listing)
}

/// Reads the directory where the archive says that it is. A guess from its size goes wrong where zip64 records as long
/// as its first entry lie behind it; and an archive behind other bytes, as one that unpacks itself, is not begun.
fn open(file: SharedFile) -> Result<ZipArchive<SharedFile>, ZipError> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, file)
}

/// A zip's directory is at its end: where it cannot be found, the end is missing.
fn sort_error(origin: &str, error: &ZipError) -> Error {
    let (path, detail) = (origin.to_owned(), error.to_string());
    match error {
        ZipError::InvalidArchive(_)
            if detail.contains("Could not find EOCD") || detail.contains("Unexpected end") =>
        {
            Error::TruncatedArchive { path, detail: "the directory at its end is missing".into() }
        }
        _ => Error::CorruptArchive { path, detail },
    }
}
