//! Where the bytes of each image are, and how they are read: files, spans of an archive or of
//! memory, members of a zip. Reading takes no lock, so that workers do not wait for each other.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

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
    /// A member of the zip archive, which is blob 0.
    Packed(Packed),
    /// Place in a compressed archive that was not kept.
    Skipped,
}

impl Location {
    /// Bytes that it takes beside itself.
    pub(crate) fn bytes(&self) -> u64 {
        if let Self::File(path) = self { path.as_os_str().len() as u64 } else { 0 }
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
    /// Bytes that may still be unpacked to memory.
    room: u64,
}

impl Store {
    /// A store of these blobs, which may take `room` bytes more.
    pub(crate) fn of_blobs(blobs: Vec<Blob>, room: u64) -> Self {
        Self { blobs, room }
    }

    /// The bytes at `location`; `file` is named in errors.
    pub(crate) fn read(&self, location: &Location, file: &str) -> Result<Cow<'_, [u8]>, Error> {
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end");
        match location {
            Location::File(path) => read_file(path, file).map(Cow::Owned),
            Location::Skipped => Err(Error::io(file, gone())),
            Location::Packed(packed) => match self.blobs.first() {
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

    /// Makes `location` a span, of which parts can be named: `(blob, offset, length)`.
    pub(crate) fn pin(&mut self, location: &Location, file: &str) -> Result<(usize, u64, u64), Error> {
        let blob = match location {
            &Location::Span { blob, offset, length } => return Ok((blob, offset, length)),
            Location::File(path) => Blob::File(SharedFile::open(path)?),
            other => {
                let bytes = self.read(other, file)?.into_owned();
                let left = self.room.checked_sub(bytes.len() as u64);
                let limit = self.room;
                self.room = left.ok_or_else(|| Error::ArchiveTooLarge { path: file.into(), limit })?;
                Blob::Memory(bytes)
            }
        };
        let length = match &blob {
            Blob::Memory(bytes) => bytes.len() as u64,
            Blob::File(shared) => shared.length(),
        };
        self.blobs.push(blob);
        Ok((self.blobs.len() - 1, 0, length))
    }
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
