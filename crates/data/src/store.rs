//! Where the bytes of each image are, and how they are read: files, spans of an archive or of
//! memory, members of a zip. Reading takes no lock, so that workers do not wait for each other.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;
use zip::result::ZipError;

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
        let file = File::open(path).map_err(|source| Error::io(path, source))?;
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
    /// A member of the zip archive.
    Zip(usize),
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
    zip: Option<ZipArchive<SharedFile>>,
}

impl Store {
    pub(crate) fn of_zip(zip: ZipArchive<SharedFile>) -> Self {
        Self { blobs: Vec::new(), zip: Some(zip) }
    }

    pub(crate) fn of_blob(blob: Blob) -> Self {
        Self { blobs: vec![blob], zip: None }
    }

    /// The bytes at `location`; `file` is named in errors.
    pub(crate) fn read(&self, location: &Location, file: &str) -> Result<Cow<'_, [u8]>, Error> {
        match location {
            Location::File(path) => read_file(path, file).map(Cow::Owned),
            Location::Zip(member) => self.read_zip(*member, file).map(Cow::Owned),
            &Location::Span { blob, offset, length } => {
                check_size(length, file)?;
                let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end");
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

    fn read_zip(&self, member: usize, file: &str) -> Result<Vec<u8>, Error> {
        let failed = |error: ZipError| match error {
            ZipError::Io(source) => Error::CorruptImage { file: file.into(), detail: source.to_string() },
            error => Error::CorruptImage { file: file.into(), detail: error.to_string() },
        };
        // A clone shares the directory and has a position of its own.
        let mut zip = self.zip.clone().ok_or_else(|| failed(ZipError::FileNotFound))?;
        let entry = zip.by_index(member).map_err(failed)?;
        check_size(entry.size(), file)?;
        // The size is the archive's claim: no memory is set aside for it, and more is not read.
        let mut bytes = Vec::new();
        entry.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|source| failed(source.into()))?;
        check_size(bytes.len() as u64, file)?;
        Ok(bytes)
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
            &Location::Zip(member) => {
                let mut zip = self.zip.clone().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                let entry = zip.by_index_raw(member).map_err(|error| failed(io::Error::other(error)))?;
                Stamp { size: entry.size(), modified: None, crc: Some(entry.crc32()) }
            }
        })
    }

    /// Makes `location` a span, of which parts can be named: `(blob, offset, length)`.
    pub(crate) fn pin(&mut self, location: &Location, file: &str) -> Result<(usize, u64, u64), Error> {
        let blob = match location {
            &Location::Span { blob, offset, length } => return Ok((blob, offset, length)),
            Location::File(path) => Blob::File(SharedFile::open(path)?),
            Location::Zip(member) => Blob::Memory(self.read_zip(*member, file)?),
        };
        let length = match &blob {
            Blob::Memory(bytes) => bytes.len() as u64,
            Blob::File(shared) => shared.length(),
        };
        self.blobs.push(blob);
        Ok((self.blobs.len() - 1, 0, length))
    }
}

fn check_size(size: u64, file: &str) -> Result<(), Error> {
    match size {
        0..=MAX_FILE_BYTES => Ok(()),
        _ => Err(Error::FileTooLarge { file: file.into(), size, limit: MAX_FILE_BYTES }),
    }
}

/// The bytes of a file on disk, [`MAX_FILE_BYTES`] at most; `file` is named where it is larger.
pub(crate) fn read_file(path: &Path, file: &str) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::io(path, source);
    let handle = File::open(path).map_err(failed)?;
    let size = handle.metadata().map_err(failed)?.len();
    check_size(size, file)?;
    let mut bytes = Vec::with_capacity(size as usize);
    handle.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    check_size(bytes.len() as u64, file)?;
    Ok(bytes)
}
