//! The folder of a study.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use residual_report::Page;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Study};

const CONFIG: &str = "study.toml";
const RESULTS: &str = "results.jsonl";
const LOCK: &str = ".lock";

/// The most bytes of `results.jsonl`, 256 MiB.
const MAX_RESULTS: u64 = 1 << 28;

/// The folder of a study, held by this process alone.
///
/// | file | what |
/// | --- | --- |
/// | `study.toml` | the [`Study`], to repeat it |
/// | `results.jsonl` | a line for each finished cell, only ever added to |
/// | `cell.safetensors` | the training that was interrupted, to go on from |
/// | `report.html` | figures, tables and words in one file |
/// | `*.svg` | the figures |
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl Folder {
    /// Begins a study in a folder, or goes on with it where the folder has the same study. A line that a
    /// killed process left without its end is cut off.
    ///
    /// # Errors
    /// [`Error::OtherStudy`], [`Error::NotAStudy`], [`Error::Locked`], [`Error::Io`].
    pub fn open(path: &Path, study: &Study) -> Result<Self, Error> {
        let config = path.join(CONFIG);
        if config.exists() && Study::read(&config)? != *study {
            return Err(Error::OtherStudy { path: path.to_owned() });
        }
        if !config.exists() && is_taken(path) {
            return Err(Error::NotAStudy { path: path.to_owned() });
        }
        fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        if !config.exists() {
            let text = toml::to_string(study)?;
            residual_weights::write_atomically(config, |file| file.write_all(text.as_bytes()))?;
        }
        folder.cut_torn_line()?;
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn cut_torn_line(&self) -> Result<(), Error> {
        let path = self.path.join(RESULTS);
        if !path.exists() {
            return Ok(());
        }
        let bytes = residual_files::read(&path, MAX_RESULTS).map_err(unread(&path))?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path).map_err(Error::io("open", &path))?;
            file.set_len(whole as u64).map_err(Error::io("mend", &path))?;
        }
        Ok(())
    }

    /// The finished cells.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Results`].
    pub fn results<R: DeserializeOwned>(&self) -> Result<Vec<R>, Error> {
        let path = self.path.join(RESULTS);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = residual_files::read_text(&path, MAX_RESULTS).map_err(unread(&path))?;
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|cause| Error::Results {
                path: path.clone(),
                line: index + 1,
                cause,
            })
        };
        text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
    }

    /// Adds a finished cell, as one write of one line.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, row: &impl Serialize) -> Result<(), Error> {
        let path = self.path.join(RESULTS);
        let write = || {
            let line = serde_json::to_string(row)? + "\n";
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.sync_data()
        };
        write().map_err(Error::io("write", &path))
    }

    /// Writes the report and its figures.
    ///
    /// # Errors
    /// [`Error::Weights`] where a file cannot be written.
    pub fn write(&self, page: &Page) -> Result<(), Error> {
        let write = |name: &str, text: String| {
            residual_weights::write_atomically(self.path.join(name), |file| file.write_all(text.as_bytes()))
        };
        for (name, figure) in page.figures() {
            write(&format!("{name}.svg"), figure.svg())?;
        }
        Ok(write("report.html", page.html())?)
    }
}

fn unread(path: &Path) -> impl FnOnce(residual_files::Error) -> Error {
    let error = Error::io("read", path);
    move |cause| error(cause.into())
}

/// True where the folder holds files of somebody else; names with a dot first do not count.
fn is_taken(path: &Path) -> bool {
    let visible = |name: &OsStr| !name.as_encoded_bytes().starts_with(b".");
    fs::read_dir(path)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|found| visible(&found.file_name()))))
}

fn lock(path: &Path) -> Result<File, Error> {
    let name = path.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&name);
    let file = file.map_err(Error::io("write", &name))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Locked(path.to_owned())),
        // Some network file systems have no locks. A study there is better than none.
        Err(TryLockError::Error(_)) => Ok(file),
        Ok(()) => {
            // Nobody else writes here: what a killed process was writing.
            let is_ours = |name: &str| {
                [CONFIG, "report.html"].contains(&name)
                    || name.ends_with(".svg")
                    || name.ends_with(".safetensors")
            };
            residual_weights::remove_temporaries(path, is_ours);
            residual_weights::remove_temporaries(path.join("networks"), is_ours);
            Ok(file)
        }
    }
}
