//! Where the bytes of each image are, and how they are read: files, spans of an archive or of
//! memory, members of a zip. Reading takes no lock, so that workers do not wait for each other.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use residual_files::Budget;

use crate::gzip::GzMembers;
use crate::limits::check_size;
use crate::packed::Packed;
use crate::shared_file::SharedFile;
use crate::{Error, MAX_FILE_BYTES, Stamp};

/// Bytes that spans refer to.
#[derive(Debug)]
pub(crate) enum Blob {
    Memory(Vec<u8>),
    File(SharedFile),
}

/// Location of the bytes of one file.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// A file of its own.
    File(PathBuf),
    /// `length` bytes of a blob.
    Span { blob: usize, offset: u64, length: u64 },
    /// A member of a zip archive.
    Packed(Packed),
    /// Place in a compressed archive that was not kept.
    Skipped,
}

impl Location {
    /// Bytes that it takes beside itself.
    pub(crate) fn bytes(&self) -> u64 {
        if let Self::File(path) = self { path.as_os_str().len() as u64 } else { 0 }
    }

    /// The location in a store that took its own behind `shift` blobs.
    pub(crate) fn shifted(self, shift: usize) -> Self {
        match self {
            Self::Span { blob, offset, length } => Self::Span { blob: blob + shift, offset, length },
            Self::Packed(member) => Self::Packed(Packed { blob: member.blob + shift, ..member }),
            other => other,
        }
    }
}

/// Bytes of a blob that stay where they are while the store is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned {
    pub(crate) blob: usize,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Pinned {
    pub(crate) fn location(self) -> Location {
        let Self { blob, offset, length } = self;
        Location::Span { blob, offset, length }
    }
}

pub(crate) fn modified(found: &std::fs::Metadata) -> Option<i64> {
    let since = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// Store that locations refer to.
#[derive(Debug, Default)]
pub(crate) struct Store {
    blobs: Vec<Blob>,
}

impl Store {
    /// A store of these blobs.
    pub(crate) fn of_blobs(blobs: Vec<Blob>) -> Self {
        Self { blobs }
    }

    /// The bytes at `location`; `file` is named in errors.
    pub(crate) fn read(&self, location: &Location, file: &str) -> Result<Cow<'_, [u8]>, Error> {
        match location {
            Location::File(path) => read_file(path, file).map(Cow::Owned),
            Location::Skipped => Err(Error::io(file, gone())),
            Location::Packed(packed) => match self.blobs.get(packed.blob) {
                Some(Blob::File(shared)) => packed.read(shared.clone(), file).map(Cow::Owned),
                _ => Err(Error::io(file, gone())),
            },
            &Location::Span { blob, offset, length } => {
                check_size(length, file)?;
                let bytes = match self.blobs.get(blob) {
                    Some(Blob::Memory(bytes)) => {
                        let start = offset as usize;
                        bytes
                            .get(start..start.saturating_add(length as usize))
                            .map(Cow::Borrowed)
                            .ok_or_else(gone)
                    }
                    Some(Blob::File(shared)) => shared.span(offset, length).map(Cow::Owned),
                    None => Err(gone()),
                };
                bytes.map_err(|source| Error::io(file, source))
            }
        }
    }

    /// Stamp of the bytes at `location`, as far as it is known without reading
    /// them; `file` is named in errors.
    pub(crate) fn stamp(&self, location: &Location, file: &str) -> Result<Stamp, Error> {
        let failed = |source| Error::io(file, source);
        Ok(match location {
            Location::File(path) => {
                let found = std::fs::metadata(path).map_err(failed)?;
                Stamp { size: found.len(), modified: modified(&found), crc: None }
            }
            &Location::Span { blob, length, .. } => {
                let modified = match self.blobs.get(blob) {
                    Some(Blob::File(shared)) => modified(&shared.metadata().map_err(failed)?),
                    Some(Blob::Memory(_)) | None => None,
                };
                Stamp { size: length, modified, crc: None }
            }
            Location::Packed(member) => member.stamp(),
            Location::Skipped => Stamp::default(),
        })
    }

    /// Makes `location` a span, of which parts can be named. What is packed is unpacked to memory, which `budget`
    /// allows; a file stays where it is.
    pub(crate) fn pin(
        &mut self,
        location: &Location,
        file: &str,
        budget: &mut Budget,
    ) -> Result<Pinned, Error> {
        let (blob, length) = match location {
            &Location::Span { blob, offset, length } => return Ok(Pinned { blob, offset, length }),
            Location::File(path) => {
                let shared = SharedFile::open(path)?;
                let length = shared.length();
                (Blob::File(shared), length)
            }
            Location::Packed(member) => {
                let Some(Blob::File(archive)) = self.blobs.get(member.blob) else {
                    return Err(Error::io(file, gone()));
                };
                let mut archive = archive.clone();
                if !member.deflated {
                    let offset = member.start(&mut archive, file)?;
                    let (blob, length) = (member.blob, member.size);
                    return match offset.checked_add(length) {
                        Some(end) if end <= archive.length() => Ok(Pinned { blob, offset, length }),
                        _ => Err(Error::io(file, gone())),
                    };
                }
                charge(budget, member.size, file)?;
                let bytes = member.unpack(archive, file)?;
                let length = bytes.len() as u64;
                (Blob::Memory(bytes), length)
            }
            Location::Skipped => return Err(Error::io(file, gone())),
        };
        self.blobs.push(blob);
        Ok(Pinned { blob: self.blobs.len() - 1, offset: 0, length })
    }

    /// As [`pin`](Self::pin); what is gzipped is unpacked to memory as well.
    pub(crate) fn pin_unzipped(
        &mut self,
        location: &Location,
        file: &str,
        budget: &mut Budget,
    ) -> Result<Pinned, Error> {
        let pinned = self.pin(location, file, budget)?;
        let failed = |source: io::Error| Error::io(file, source);
        let mut start = Vec::new();
        let first = self.reader(pinned.blob, pinned.offset, pinned.length.min(2)).map_err(failed)?;
        first.take(2).read_to_end(&mut start).map_err(failed)?;
        if start != [0x1f, 0x8b] {
            return Ok(pinned);
        }
        let packed = self.reader(pinned.blob, pinned.offset, pinned.length).map_err(failed)?;
        let bytes = unzip(packed, file, budget)?;
        let length = bytes.len() as u64;
        Ok(Pinned { blob: self.keep(bytes), offset: 0, length })
    }

    /// Blob of bytes in memory.
    pub(crate) fn keep(&mut self, bytes: Vec<u8>) -> usize {
        self.blobs.push(Blob::Memory(bytes));
        self.blobs.len() - 1
    }

    /// Takes the blobs of another store; its locations are [shifted](Location::shifted) by what is returned.
    pub(crate) fn absorb(&mut self, other: Self) -> usize {
        let shift = self.blobs.len();
        self.blobs.extend(other.blobs);
        shift
    }

    /// Reader of a part of a blob.
    pub(crate) fn reader(&self, blob: usize, offset: u64, length: u64) -> io::Result<Box<dyn Read + '_>> {
        match self.blobs.get(blob) {
            Some(Blob::Memory(bytes)) => {
                let start = usize::try_from(offset).map_err(|_| gone())?;
                let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
                let part = end.and_then(|end| bytes.get(start..end)).ok_or_else(gone)?;
                Ok(Box::new(part))
            }
            Some(Blob::File(shared)) => {
                let mut shared = shared.clone();
                shared.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(shared.take(length)))
            }
            None => Err(gone()),
        }
    }
}

/// Unpacks a gzip stream to memory, which `budget` allows.
fn unzip(packed: impl Read, file: &str, budget: &mut Budget) -> Result<Vec<u8>, Error> {
    /// Bytes that are unpacked at a time.
    const PIECE: u64 = 1 << 20;
    let mut unpacked = GzMembers::new(io::BufReader::with_capacity(1 << 16, packed));
    let mut bytes = Vec::new();
    loop {
        let length = bytes.len();
        let read = unpacked.by_ref().take(PIECE).read_to_end(&mut bytes);
        let read = read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                let detail =
                    format!("the gzip stream ends within megabyte {} of its content", length / (1 << 20) + 1);
                Error::TruncatedArchive { path: file.into(), detail }
            }
            _ => Error::CorruptArchive { path: file.into(), detail: source.to_string() },
        })?;
        if read == 0 {
            bytes.shrink_to_fit();
            return Ok(bytes);
        }
        charge(budget, read as u64, file)?;
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end")
}

fn charge(budget: &mut Budget, bytes: u64, file: &str) -> Result<(), Error> {
    let limit = budget.limit();
    budget.charge(bytes).map_err(|_| Error::ArchiveTooLarge { path: file.into(), limit })
}

/// The bytes of a file on disk, [`MAX_FILE_BYTES`] at most; `file` is named where it is larger.
pub(crate) fn read_file(path: &Path, file: &str) -> Result<Vec<u8>, Error> {
    residual_files::read(path, MAX_FILE_BYTES).map_err(|error| match error {
        residual_files::Error::TooLarge { size, limit } => {
            Error::FileTooLarge { file: file.into(), size, limit }
        }
        error => Error::file(path, error),
    })
}
