//! The cache, and what is brought to it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::download::Download;
use crate::{Error, Remote, cache_folder, http};

/// Cache folder of downloaded files, and the way to fill it.
#[derive(Clone, Debug)]
pub struct Hub {
    folder: PathBuf,
    options: Options,
}

/// Choices of a [`Hub`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// True to use what is in the cache alone.
    pub offline: bool,
    /// True to verify a file that is in the cache already, and to fetch it again where it is not the published one.
    pub verify: bool,
    /// Time without a byte after which a transfer counts as broken.
    pub patience: Duration,
    /// How often in a row a broken transfer is taken up again.
    pub retries: u32,
    /// Pause before it is, as many times as long as it has failed in a row.
    pub pause: Duration,
}

/// What happens while a file is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another process fetches the same file, and this one waits for it.
    Waiting,
    /// The number of bytes that are there, and of the whole where it is known.
    Progress {
        /// Bytes that are there.
        received: u64,
        /// Size of the file.
        size: Option<u64>,
    },
    /// A transfer broke off, and is about to be taken up again.
    Again {
        /// Reason.
        reason: String,
    },
    /// The whole file is there, and its hash is computed.
    Verifying,
}

impl Default for Options {
    fn default() -> Self {
        let (patience, pause) = (Duration::from_secs(30), Duration::from_secs(1));
        Self { offline: false, verify: false, patience, retries: 4, pause }
    }
}

impl Options {
    /// Changes fields.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Hub {
    /// The user's cache: see [`cache_folder`].
    ///
    /// # Errors
    /// [`Error::NoCache`].
    pub fn new() -> Result<Self, Error> {
        Ok(Self::at(cache_folder()?))
    }

    /// A cache in this folder, which is made when it is needed.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), options: Options::default() }
    }

    /// Sets the options.
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// The path that a file has in the cache, whether it is there or not.
    pub fn path(&self, remote: &Remote) -> PathBuf {
        self.folder.join(&remote.path)
    }

    /// The path of a file, brought to the cache where it is not there; `watch` is told how that goes.
    ///
    /// What broke off earlier is taken up again where the server can, and what is there at the end is held against the
    /// published hash. It is renamed into its place then and only then.
    ///
    /// # Errors
    /// [`Error::Offline`], [`Error::Connect`], [`Error::Status`], [`Error::Redirect`], [`Error::Broken`],
    /// [`Error::TooLarge`], [`Error::Wrong`], [`Error::Io`], [`Error::Certificates`].
    pub fn get(&self, remote: &Remote, watch: &mut dyn FnMut(Event)) -> Result<PathBuf, Error> {
        let target = self.path(remote);
        if self.is_there(&target, remote)? {
            return Ok(target);
        }
        if self.options.offline {
            return Err(Error::Offline { name: remote.name.clone(), path: target });
        }
        let folder = target.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
        let _lock = lock(&target, watch)?;
        // Another process may have brought it meanwhile.
        if !self.is_there(&target, remote)? {
            let agent = http::agent(self.options.patience)?;
            Download { agent: &agent, options: &self.options, remote, watch }.run(&target)?;
        }
        Ok(target)
    }

    fn is_there(&self, target: &Path, remote: &Remote) -> Result<bool, Error> {
        if !target.is_file() {
            return Ok(false);
        }
        let Some(expected) = remote.digest.as_ref().filter(|_| self.options.verify) else { return Ok(true) };
        let mut file = File::open(target).map_err(Error::io(target, "read"))?;
        Ok(expected.compute(&mut file).map_err(Error::io(target, "read"))? == *expected)
    }
}

/// Keeps other processes from the same file for as long as the value lives.
fn lock(target: &Path, watch: &mut dyn FnMut(Event)) -> Result<File, Error> {
    let mut name = target.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(Error::io(&path, "write"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            watch(Event::Waiting);
            file.lock().map_err(Error::io(&path, "lock"))?;
        }
        Err(TryLockError::Error(error)) => return Err(Error::io(&path, "lock")(error)),
    }
    Ok(file)
}
