//! The folder of a run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Error, Recipe};

const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";
const LOCK: &str = ".lock";

/// The folder of a run, held by this process alone.
///
/// | file | what |
/// | --- | --- |
/// | `recipe.toml` | the settled [`Recipe`] |
/// | `metrics.jsonl` | a line a pass: [`crate::Metrics`] |
/// | `last.safetensors` | network, optimiser and progress, for resuming |
/// | `best.safetensors` | the network with the best validation accuracy so far, for prediction |
///
/// Files are written beside and renamed, so that each is whole at any time. The lock, on a file `.lock`, ends
/// with the process, however it ends.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl RunFolder {
    /// Begins a run in a folder, which is made where it does not exist, by writing its recipe.
    ///
    /// # Errors
    /// [`Error::RunExists`] where the folder has a run, [`Error::Locked`], [`Error::Io`] and
    /// [`Error::Weights`] where the folder cannot be made or written.
    pub fn create(path: impl Into<PathBuf>, recipe: &Recipe) -> Result<Self, Error> {
        let path = path.into();
        let text = recipe.to_toml()?;
        refuse_existing(&path)?;
        fs::create_dir_all(&path).map_err(Error::io("create the folder", &path))?;
        let folder = Self::lock(path)?;
        // Another process may have begun one in between.
        refuse_existing(&folder.path)?;
        residual_weights::write_atomically(folder.path.join(RECIPE), |file| file.write_all(text.as_bytes()))?;
        Ok(folder)
    }

    /// Opens the folder of a run that was begun.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Locked`], [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        if !path.join(RECIPE).is_file() {
            return Err(Error::NoRun { path, missing: RECIPE });
        }
        Self::lock(path)
    }

    fn lock(path: PathBuf) -> Result<Self, Error> {
        let name = path.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&name);
        let file = file.map_err(Error::io("write", &name))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(path)),
            // Some network file systems have no locks. Training there is better than not at all.
            Err(TryLockError::Error(_)) => Ok(Self { path, _lock: file }),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The recipe that the run began with.
    ///
    /// # Errors
    /// Those of [`Recipe::read`].
    pub fn recipe(&self) -> Result<Recipe, Error> {
        Recipe::read(self.path.join(RECIPE))
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// `last.safetensors`.
    pub fn last(&self) -> PathBuf {
        self.path.join(LAST)
    }

    /// `best.safetensors`.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    match [RECIPE, METRICS, LAST, BEST].iter().any(|name| path.join(name).exists()) {
        true => Err(Error::RunExists(path.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_one_run_and_one_process() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/first");
        let missing = RunFolder::open(&path).unwrap_err();
        assert!(matches!(missing, Error::NoRun { missing: "recipe.toml", .. }), "{missing}");

        let recipe = Recipe { epochs: 7, ..Recipe::default() };
        let folder = RunFolder::create(&path, &recipe).unwrap();
        let error = RunFolder::create(&path, &recipe).unwrap_err();
        assert!(matches!(error, Error::RunExists(_)) && error.to_string().contains("--resume"), "{error}");
        let error = RunFolder::open(&path).unwrap_err();
        assert!(matches!(error, Error::Locked(_)), "{error}");
        drop(folder);
        assert_eq!(RunFolder::open(&path).unwrap().recipe().unwrap(), recipe);
    }

    #[test]
    fn weights_without_a_recipe_are_not_overwritten() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(BEST), b"precious").unwrap();
        let error = RunFolder::create(root.path(), &Recipe::default()).unwrap_err();
        assert!(matches!(error, Error::RunExists(_)), "{error}");
        assert_eq!(fs::read(root.path().join(BEST)).unwrap(), b"precious");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = RunFolder::create(file.join("run"), &Recipe::default()).unwrap_err();
        assert!(matches!(error, Error::Io { doing: "create the folder", .. }), "{error}");
        assert!(error.to_string().contains("file/run"), "{error}");
    }
}
