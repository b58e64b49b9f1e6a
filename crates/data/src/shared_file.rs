//! Files that any number of threads read at once.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::Error;

/// File that is read at given offsets, by any number of threads.
#[derive(Clone, Debug)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    length: u64,
    /// Position of this clone, for [`Read`] and [`Seek`].
    position: u64,
}

impl SharedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = residual_files::open(path).map_err(|error| Error::file(path, error))?;
        let length = file.metadata().map_err(|source| Error::io(path, source))?.len();
        Ok(Self { file: Arc::new(file), length, position: 0 })
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&*self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, offset);
        // Of a platform without files, such as WebAssembly in a browser, none was opened.
        #[cfg(not(any(unix, windows)))]
        {
            let _ = (buffer, offset);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(crate) fn span(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
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
