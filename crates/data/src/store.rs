//! Where the bytes of each image are, and how they are read: files, spans of an archive or of
//! memory, members of a zip. Reading takes no lock, so that workers do not wait for each other.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::zipped::Packed;
use crate::{Error, MAX_FILE_BYTES};

/// A file that is read at given offsets, by any number of threads.
#[derive(Clone, Debug)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    length: u64,
    /// Of this clone, for [`Read`] and [`Seek`].
    position: u64,
}

impl SharedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = residual_files::open(path).map_err(|error| Error::file(path, error))?;
        let length = file.metadata().map_err(|source| Error::io(path, source))?.len();
        Ok(Self { file: Arc::new(file), length, position: 0 })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&*self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, offset);
    }

    fn span(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut reader = self.clone();
        reader.position = offset;
        let mut bytes = Vec::with_capacity(length as usize);
        reader.take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
        }
        Ok(bytes)
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        Ok(self.position)
    }
}

/// Bytes that spans refer to.
#[derive(Debug)]
pub(crate) enum Blob {
    Memory(Vec<u8>),
    File(SharedFile),
}

/// Where the bytes of one file are.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// A file of its own.
    File(PathBuf),
    /// `length` bytes of a blob.
    Span { blob: usize, offset: u64, length: u64 },
    /// A member of the zip archive, which is blob 0.
    Packed(Packed),
    /// In a compressed archive, and not kept.
    Skipped,
}

impl Location {
    /// Bytes that it takes beside itself.
    pub(crate) fn bytes(&self) -> u64 {
        if let Self::File(path) = self { path.as_os_str().len() as u64 } else { 0 }
    }
}

/// What tells whether a stored image is the one that it was, without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of the last change of the file, or of the archive, in nanoseconds since 1970; none for what is held in
    /// memory.
    pub modified: Option<i64>,
    /// The checksum that a zip archive has of it.
    pub crc: Option<u32>,
}

fn modified(found: &std::fs::Metadata) -> Option<i64> {
    let since = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// All that locations refer to.
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

    /// What tells whether the bytes at `location` are those that they were, as far as it is known without reading
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
                    Some(Blob::File(shared)) => modified(&shared.file.metadata().map_err(failed)?),
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

pub(crate) fn check_size(size: u64, file: &str) -> Result<(), Error> {
    match size {
        0..=MAX_FILE_BYTES => Ok(()),
        _ => Err(Error::FileTooLarge { file: file.into(), size, limit: MAX_FILE_BYTES }),
    }
}

/// The bytes of a file on disk, [`MAX_FILE_BYTES`] at most; `file` is named where it is larger.
fn read_file(path: &Path, file: &str) -> Result<Vec<u8>, Error> {
    residual_files::read(path, MAX_FILE_BYTES).map_err(|error| match error {
        residual_files::Error::TooLarge { size, limit } => {
            Error::FileTooLarge { file: file.into(), size, limit }
        }
        error => Error::file(path, error),
    })
}
