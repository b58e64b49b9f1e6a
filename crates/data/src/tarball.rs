//! Tar archives: a plain one is indexed and read in place, a compressed one is unpacked to memory,
//! of which the image files are kept as they are.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use residual_files::escaped_bytes;

use crate::gzip::GzMembers;
use crate::links::{Link, Member, Members};
use crate::listing::{Listing, shown};
use crate::path::{InnerPath, is_image, is_record_file};
use crate::shared_file::SharedFile;
use crate::store::{Blob, Location, Store};
use crate::tar_walk::{BLOCK, Entry, EntryKind, Seekable, Skip, Stream, Walk};
use crate::{Error, MAX_FILE_BYTES, OpenOptions};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;
/// Bytes of a blob that small files share; one of more than an eighth has its own, so that little room is lost.
const FULL: usize = 1 << 20;

/// Test for a tar header, by its checksum, or the end of an empty archive.
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

/// Error of an archive, in one of the two ways in which it can be bad.
pub(crate) fn sort_error(origin: &str, error: &io::Error) -> Error {
    let (path, detail) = (origin.to_owned(), escaped_bytes(error.to_string().as_bytes()).to_string());
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::TruncatedArchive { path, detail };
    }
    Error::CorruptArchive { path, detail }
}

/// The member that an entry is, with its bytes at `location`.
fn member(kind: EntryKind, location: Location) -> Member {
    match kind {
        EntryKind::File => Member::File(location),
        EntryKind::Folder => Member::Folder,
        EntryKind::HardLink(target) => Member::Link(Link { target, symbolic: false }),
        EntryKind::SymbolicLink(target) => Member::Link(Link { target, symbolic: true }),
        EntryKind::Other(kind) => Member::Unread(kind.to_owned()),
    }
}

pub(crate) fn list_tar(path: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let file = SharedFile::open(path)?;
    let mut listing = Listing::new(shown(path), options);
    let origin = listing.origin.clone();
    let failed = |error: io::Error| sort_error(&origin, &error);
    let mut members = Members::default();
    let mut walk = Walk::new(Seekable(file.clone()));
    while let Some(Entry { name, kind, offset, length }) = walk.next().map_err(failed)? {
        let end = offset.saturating_add(length);
        if end > file.length() {
            let detail = format!("`{}` ends {} bytes later", escaped_bytes(&name), end - file.length());
            return Err(Error::TruncatedArchive { path: origin.clone(), detail });
        }
        let location = Location::Span { blob: 0, offset, length };
        members.add(&mut listing, InnerPath::of_slashed(&name), member(kind, location))?;
    }
    // A tar ends with blocks of zeros; one that was cut between two files has none.
    if !walk.ended() {
        let detail = "the end marker is missing".into();
        return Err(Error::TruncatedArchive { path: origin.clone(), detail });
    }
    members.list(&mut listing)?;
    listing.store = Store::of_blobs(vec![Blob::File(file)]);
    Ok(listing)
}

pub(crate) fn list_tar_gz(path: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let origin = shown(path);
    let open = || -> Result<_, Error> {
        let file = residual_files::open(path).map_err(|error| Error::file(path, error))?;
        let mut decoder = GzMembers::new(BufReader::with_capacity(PIECE, file));
        let mut first = Vec::new();
        let start = decoder.by_ref().take(BLOCK as u64).read_to_end(&mut first);
        start.map_err(|error| sort_error(&origin, &error))?;
        if !is_header(&first) {
            let found = "a gzip file that holds no tar archive".into();
            return Err(Error::UnknownFormat { path: path.into(), found });
        }
        Ok(Cursor::new(first).chain(decoder))
    };
    let (listing, wanted) = unpack(open()?, &origin, options, &BTreeSet::new())?;
    if wanted.is_empty() {
        return Ok(listing);
    }
    // Links call files images that are not named so: these are read in a second pass.
    drop(listing);
    Ok(unpack(open()?, &origin, options, &wanted)?.0)
}

/// Reads a tar stream from its start; files of images, and those in `wanted`, are kept in memory. Returned
/// with the listing are other files that links give the name of an image.
pub(crate) fn unpack(
    stream: impl Read,
    origin: &str,
    options: &OpenOptions,
    wanted: &BTreeSet<InnerPath>,
) -> Result<(Listing, BTreeSet<InnerPath>), Error> {
    let mut listing = Listing::new(origin.to_owned(), options);
    let failed = |error: io::Error| sort_error(origin, &error);
    let mut members = Members::default();
    let mut kept = Kept::new(origin);
    let mut walk = Walk::new(Stream(stream));
    while let Some(Entry { name, kind, length, .. }) = walk.next().map_err(failed)? {
        let path = InnerPath::of_slashed(&name);
        let named = (is_image(path.last()) || is_record_file(path.last())) && !path.is_hidden();
        let location = match kind == EntryKind::File && (named || wanted.contains(&path)) {
            true => kept.keep(&mut walk, &mut listing, &path, length)?,
            false => Location::Skipped,
        };
        members.add(&mut listing, path, member(kind, location))?;
    }
    // What follows the last file carries the checksum of the compressed stream.
    io::copy(&mut walk.into_inner().take(1 << 30), &mut io::sink()).map_err(failed)?;
    let missing = members.list(&mut listing)?;
    listing.store = Store::of_blobs(kept.blobs.into_iter().map(Blob::Memory).collect());
    Ok((listing, missing))
}

/// Files held in memory.
struct Kept<'a> {
    blobs: Vec<Vec<u8>>,
    /// The blob that small files share.
    shared: usize,
    origin: &'a str,
}

impl<'a> Kept<'a> {
    fn new(origin: &'a str) -> Self {
        Self { blobs: vec![Vec::new()], shared: 0, origin }
    }

    /// A blob with room for `length` bytes more, charged as a whole: it never grows, for growing copies it.
    fn blob(&mut self, listing: &mut Listing, length: usize) -> Result<usize, Error> {
        let is_large = length > FULL / 8;
        let room = self.blobs[self.shared].capacity() - self.blobs[self.shared].len();
        if !is_large && length <= room {
            return Ok(self.shared);
        }
        let left = usize::try_from(listing.budget.left()).unwrap_or(usize::MAX);
        let capacity = if is_large { length } else { FULL.min(left / 2).max(length) };
        listing.budget.charge(capacity as u64).map_err(|_| Error::ArchiveTooLarge {
            path: self.origin.to_owned(),
            limit: listing.budget.limit(),
        })?;
        self.blobs.push(Vec::with_capacity(capacity));
        let place = self.blobs.len() - 1;
        if !is_large {
            self.shared = place;
        }
        Ok(place)
    }

    /// Reads the member that the walk is at.
    fn keep<S: Skip>(
        &mut self,
        walk: &mut Walk<S>,
        listing: &mut Listing,
        path: &InnerPath,
        length: u64,
    ) -> Result<Location, Error> {
        if length > MAX_FILE_BYTES {
            let file = format!("{}: {path}", self.origin);
            return Err(Error::FileTooLarge { file, size: length, limit: MAX_FILE_BYTES });
        }
        let place = self.blob(listing, length as usize)?;
        let blob = &mut self.blobs[place];
        let offset = blob.len();
        let mut piece = [0; PIECE];
        let mut left = length;
        while left > 0 {
            let piece = &mut piece[..left.min(PIECE as u64) as usize];
            walk.read(piece).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    let detail = format!("`{path}` has {length} bytes, and the archive ends within them");
                    Error::TruncatedArchive { path: self.origin.to_owned(), detail }
                }
                _ => sort_error(self.origin, &error),
            })?;
            blob.extend_from_slice(piece);
            left -= piece.len() as u64;
        }
        Ok(Location::Span { blob: place, offset: offset as u64, length })
    }
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
