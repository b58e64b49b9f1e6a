//! A file on its way: `NAME.part`, and which version of the file it is a part of.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// The most characters of a validator that are kept.
const LONGEST: usize = 1000;

/// What has come of a file.
pub(crate) struct Partial {
    path: PathBuf,
    /// Holds the validator (`ETag`, `Last-Modified`) of the file that the part is of.
    note: PathBuf,
    file: File,
    size: u64,
    /// The file's validator; `None` where the server gave none.
    validator: Option<String>,
}

impl Partial {
    /// Opens the part of a file that is to be at `target`.
    pub(crate) fn open(target: &Path) -> Result<Self, Error> {
        let beside = |ending: &str| {
            let mut name = target.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (path, note) = (beside(".part"), beside(".part.version"));
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            fs::remove_file(&path).map_err(Error::io(&path, "replace"))?;
        }
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(Error::io(&path, "write"))?;
        let size = file.metadata().map_err(Error::io(&path, "read"))?.len();
        let validator = residual_files::read_text(&note, LONGEST as u64).ok().filter(|text| is_header(text));
        Ok(Self { path, note, file, size, validator })
    }

    /// Number of bytes that are there.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The validator of the file that the part is of.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// Begins again, with a file of this validator.
    pub(crate) fn restart(&mut self, validator: Option<&str>) -> Result<(), Error> {
        self.file.set_len(0).map_err(Error::io(&self.path, "write"))?;
        self.size = 0;
        self.validator = validator.filter(|text| text.len() <= LONGEST && is_header(text)).map(str::to_owned);
        match &self.validator {
            Some(validator) => fs::write(&self.note, validator).map_err(Error::io(&self.note, "write")),
            None => {
                // There may be none.
                let _ = fs::remove_file(&self.note);
                Ok(())
            }
        }
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.file.seek(SeekFrom::Start(self.size));
        end.and_then(|_| self.file.write_all(bytes)).map_err(Error::io(&self.path, "write"))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The file from its beginning, to be read.
    pub(crate) fn rewound(&mut self) -> Result<&mut File, Error> {
        self.file.rewind().map_err(Error::io(&self.path, "read"))?;
        Ok(&mut self.file)
    }

    /// Puts the whole file into its place.
    pub(crate) fn finish(self, target: &Path) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io(&self.path, "write"))?;
        drop(self.file);
        fs::rename(&self.path, target).map_err(Error::io(target, "write"))?;
        let _ = fs::remove_file(&self.note);
        Ok(())
    }

    /// Removes the part.
    pub(crate) fn discard(self) {
        drop(self.file);
        for path in [&self.path, &self.note] {
            let _ = fs::remove_file(path);
        }
    }
}

/// True for a text that may stand in a header.
fn is_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..0x7f).contains(&byte))
}
