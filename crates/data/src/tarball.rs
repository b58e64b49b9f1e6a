//! Tar archives: a plain one is indexed and read in place, a compressed one is unpacked to memory,
//! of which the image files are kept as they are.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::listing::{Kind, Listing, kind, parts};
use crate::store::{Blob, Location, SharedFile, Store};
use crate::{Error, MAX_FILE_BYTES, OpenOptions};

/// Tar is made of blocks of this many bytes.
pub(crate) const BLOCK: usize = 512;

/// Whether a block is a tar header, by its checksum, or the end of an empty archive.
pub(crate) fn is_header(block: &[u8]) -> bool {
    if block.len() != BLOCK {
        return false;
    }
    let claimed: String =
        block[148..156].iter().map(|&byte| byte as char).filter(|c| c.is_ascii_digit()).collect();
    let sum: u32 =
        block.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u32::from(b) }).sum();
    u32::from_str_radix(&claimed, 8) == Ok(sum) || block.iter().all(|&byte| byte == 0)
}

/// What went wrong, as one of the two ways in which an archive can be bad.
fn sort_error(origin: &str, error: &io::Error) -> Error {
    let (path, detail) = (origin.to_owned(), error.to_string());
    // The tar crate says the latter where a header is cut.
    if error.kind() == io::ErrorKind::UnexpectedEof || detail.contains("entire block") {
        return Error::TruncatedArchive { path, detail };
    }
    Error::CorruptArchive { path, detail }
}

pub(crate) fn list_tar(path: &Path) -> Result<Listing, Error> {
    let file = SharedFile::open(path)?;
    let mut listing = Listing::new(path.display().to_string());
    let origin = listing.origin.clone();
    let failed = |error: io::Error| sort_error(&origin, &error);
    let truncated = |detail: String| Error::TruncatedArchive { path: origin.clone(), detail };
    let mut archive = tar::Archive::new(file.clone());
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        let (offset, length) = (entry.raw_file_position(), entry.size());
        if kind.is_file() || kind.is_contiguous() {
            end = offset.saturating_add(length);
            if end > file.length() {
                return Err(truncated(format!("`{name}` ends {} bytes later", end - file.length())));
            }
        }
        match parts(&name) {
            Some(parts) if kind.is_dir() => listing.add_folder(&parts),
            Some(parts) if kind.is_file() || kind.is_contiguous() => {
                listing.add_file(parts, Location::Span { blob: 0, offset, length });
            }
            _ => {}
        }
    }
    // A tar ends with blocks of zeros; one that was cut between two files has none.
    let block = BLOCK as u64;
    if end.div_ceil(block).saturating_add(1).saturating_mul(block) > file.length() {
        return Err(truncated("the end marker is missing".into()));
    }
    listing.store = Store::of_blob(Blob::File(file));
    Ok(listing)
}

/// As [`unpack`], of a file.
pub(crate) fn list_tar_gz(file: File, path: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file));
    let mut first = Vec::new();
    let origin = path.display().to_string();
    decoder
        .by_ref()
        .take(BLOCK as u64)
        .read_to_end(&mut first)
        .map_err(|error| sort_error(&origin, &error))?;
    if !is_header(&first) {
        let found = "a gzip file that holds no tar archive".into();
        return Err(Error::UnknownFormat { path: path.into(), found });
    }
    unpack(Cursor::new(first).chain(decoder), origin, options.memory_limit)
}

/// Reads a tar stream from its start; image and CIFAR files are kept in memory, `limit` bytes of
/// them at most.
pub(crate) fn unpack(stream: impl Read, origin: String, limit: u64) -> Result<Listing, Error> {
    let mut listing = Listing::new(origin);
    let origin = listing.origin.clone();
    let failed = |error: io::Error| sort_error(&origin, &error);
    let mut bytes = Vec::new();
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let entry_type = entry.header().entry_type();
        let Some(parts) = parts(&name) else { continue };
        if entry_type.is_dir() {
            listing.add_folder(&parts);
        }
        if !entry_type.is_file() && !entry_type.is_contiguous() {
            continue;
        }
        let (offset, length) = (bytes.len() as u64, entry.size());
        if kind(&parts) == Kind::Other {
            listing.add_file(parts, Location::Span { blob: 0, offset: 0, length: 0 });
            continue;
        }
        if length > MAX_FILE_BYTES {
            let file = format!("{origin}: {name}");
            return Err(Error::FileTooLarge { file, size: length, limit: MAX_FILE_BYTES });
        }
        if offset + length > limit {
            return Err(Error::ArchiveTooLarge { path: origin.clone(), limit });
        }
        let read = entry.take(length).read_to_end(&mut bytes).map_err(failed)? as u64;
        if read < length {
            let detail = format!("`{name}` has {read} of {length} bytes");
            return Err(Error::TruncatedArchive { path: origin.clone(), detail });
        }
        listing.add_file(parts, Location::Span { blob: 0, offset, length });
    }
    // What follows the last file carries the checksum of the compressed stream.
    io::copy(&mut archive.into_inner().take(1 << 30), &mut io::sink()).map_err(failed)?;
    listing.store = Store::of_blob(Blob::Memory(bytes));
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_by_its_checksum() {
        let mut header = tar::Header::new_old();
        header.set_path("a/b").unwrap();
        header.set_size(3);
        header.set_cksum();
        assert!(is_header(header.as_bytes()));
        let mut damaged = *header.as_bytes();
        damaged[0] ^= 1;
        assert!(!is_header(&damaged));
        assert!(is_header(&[0; BLOCK]));
        assert!(!is_header(&[7; BLOCK]));
        assert!(!is_header(&[0; 20]));
    }
}
