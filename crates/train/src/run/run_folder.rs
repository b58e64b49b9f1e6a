//! Folder of a run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::ended::ENDED;
use crate::{Error, Recipe};

const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";
const IMAGES: &str = "images.jsonl";
const INIT: &str = "init.safetensors";
const REPORT: &str = "report.html";
const LOCK: &str = ".lock";

/// The files of a run, in the order in which they are written.
const FILES: [&str; 8] = [RECIPE, INIT, IMAGES, METRICS, LAST, BEST, REPORT, ENDED];

/// Folder of a run, held by this process alone.
///
/// | file | what |
/// | --- | --- |
/// | `recipe.toml` | the settled [`Recipe`] |
/// | `init.safetensors` | the model that a program gave to begin with, where it did |
/// | `images.jsonl` | size, time and hash of every image, so that changes are noticed |
/// | `metrics.jsonl` | a line a pass: [`crate::Metrics`] |
/// | `last.safetensors` | network, optimiser and progress, for resuming |
/// | `best.safetensors` | the network with the best validation accuracy so far, for prediction |
/// | `report.html` | curves, and after the last epoch what the best network is worth |
/// | `error.json` | the error that ended the training, until it goes on |
///
/// Files are written beside and renamed, so that each is whole at any time. The lock, on a file `.lock`, ends
/// with the process, however it ends. What a killed process was writing is removed when the folder is next opened.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    // Held for its lock; none where another rank holds it.
    _lock: Option<File>,
    /// While the run may still fail to begin: the folders that were made for it, the outermost first.
    tentative: Option<Vec<PathBuf>>,
}

impl RunFolder {
    /// Name of the file of weights to begin with, in the folder of a run that a program has given them.
    pub(crate) const INIT: &str = INIT;

    /// Begins a run in a folder, which is made where it does not exist, by writing its recipe.
    ///
    /// # Errors
    /// [`Error::RunExists`] where the folder has a run, [`Error::Locked`], [`Error::Io`] and
    /// [`Error::Weights`] where the folder cannot be made or written; nothing is left behind then.
    pub fn create(path: impl Into<PathBuf>, recipe: &Recipe) -> Result<Self, Error> {
        let mut folder = Self::tentative(path, recipe)?;
        folder.keep();
        Ok(folder)
    }

    /// Begins a run as [`create`](Self::create) does; what was made is removed when the folder is dropped, unless it is
    /// [kept](Self::keep).
    pub(crate) fn tentative(path: impl Into<PathBuf>, recipe: &Recipe) -> Result<Self, Error> {
        let path = path.into();
        let text = recipe.to_toml()?;
        Self::check_free(&path)?;
        let made = make_folders(&path)?;
        let mut folder = Self::lock(path).inspect_err(|_| remove_folders(&made))?;
        // Another process may have begun one in between.
        Self::check_free(&folder.path)?;
        folder.tentative = Some(made);
        folder.write_recipe_text(&text)?;
        Ok(folder)
    }

    /// Folder of a run that another rank holds and writes: it is read alone.
    pub(crate) fn of_other_rank(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), _lock: None, tentative: None }
    }

    /// The run has begun: it stays.
    pub(crate) fn keep(&mut self) {
        self.tentative = None;
    }

    /// Refuses a folder that has a run.
    pub(crate) fn check_free(path: &Path) -> Result<(), Error> {
        match FILES.iter().any(|name| exists(&path.join(name))) {
            true => Err(Error::RunExists(path.to_owned())),
            false => Ok(()),
        }
    }

    /// Replaces the recipe.
    pub(crate) fn write_recipe(&self, recipe: &Recipe) -> Result<(), Error> {
        self.write_recipe_text(&recipe.to_toml()?)
    }

    fn write_recipe_text(&self, text: &str) -> Result<(), Error> {
        let path = self.path.join(RECIPE);
        Ok(residual_weights::write_atomically(path, |file| file.write_all(text.as_bytes()))?)
    }

    /// Opens the folder of a run that was begun.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Locked`], [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        if !is_run(&path) {
            return Err(Error::NoRun { path, missing: RECIPE });
        }
        Self::lock(path)
    }

    fn lock(path: PathBuf) -> Result<Self, Error> {
        let name = path.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&name);
        let file = file.map_err(Error::io("write", &name))?;
        match try_lock(&file) {
            Ok(()) => {
                // Nobody else writes here.
                residual_weights::remove_temporaries(&path, |name| FILES.contains(&name));
                Ok(Self { path, _lock: Some(file), tentative: None })
            }
            Err(TryLockError::WouldBlock) => Err(Error::Locked(path)),
            // Some network file systems have no locks. Training there is better than not at all.
            Err(TryLockError::Error(_)) => Ok(Self { path, _lock: Some(file), tentative: None }),
        }
    }

    /// True where the run has got beyond its recipe: it has weights, or a pass that was written down.
    pub(crate) fn has_got_on(&self) -> bool {
        let lines = std::fs::metadata(self.metrics()).is_ok_and(|metrics| metrics.len() > 0);
        exists(&self.last()) || exists(&self.best()) || lines
    }

    /// Help for a run without a `last.safetensors`.
    pub(crate) fn help_without_last(&self) -> String {
        match exists(&self.best()) {
            true => format!(
                "to begin a new run with its best network: residual train --recipe {} --init {} --out ANOTHER_FOLDER",
                self.path.join(RECIPE).display(),
                self.best().display()
            ),
            false => format!(
                "it has no best.safetensors to go on from either; to begin it anew: residual train --recipe {} --out \
                 ANOTHER_FOLDER",
                self.path.join(RECIPE).display()
            ),
        }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Recipe that the run began with.
    ///
    /// # Errors
    /// Those of [`Recipe::read`].
    pub fn recipe(&self) -> Result<Recipe, Error> {
        Recipe::read(self.path.join(RECIPE))
    }

    /// `images.jsonl`.
    pub fn images(&self) -> PathBuf {
        self.path.join(IMAGES)
    }

    /// `init.safetensors`.
    pub(crate) fn init(&self) -> PathBuf {
        self.path.join(INIT)
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// `last.safetensors`.
    pub fn last(&self) -> PathBuf {
        self.path.join(LAST)
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// `best.safetensors`.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let Some(made) = &self.tentative else { return };
        // The error that led here is the one to report.
        for name in FILES.iter().chain(&[LOCK]) {
            let _ = fs::remove_file(self.path.join(name));
        }
        remove_folders(made);
    }
}

/// True for the folder of a run that was begun.
pub(crate) fn is_run(path: &Path) -> bool {
    path.join(RECIPE).is_file()
}

/// Tries for a fifth of a second: a process that another thread of this one is just starting holds a copy of a lock
/// that was given back, until it runs its own program.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..10 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    file.try_lock()
}

/// Test for something of this name, a link into nowhere included.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes a folder and those above it; gives the ones that were not there, the outermost first.
fn make_folders(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !exists(folder));
    let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    missing.reverse();
    let made = fs::create_dir_all(path).map_err(Error::io("create the folder", path));
    made.inspect_err(|_| remove_folders(&missing))?;
    Ok(missing)
}

/// Removes folders, the outermost given first, as far as they are empty.
fn remove_folders(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        let _ = fs::remove_dir(folder);
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
    fn what_was_made_for_a_run_that_does_not_begin_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/run");
        drop(RunFolder::tentative(&path, &Recipe::default()).unwrap());
        assert!(!root.path().join("a").exists());
        // A folder that was there stays, and so does what lies in it.
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        drop(RunFolder::tentative(&path, &Recipe::default()).unwrap());
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
    }

    #[test]
    fn what_a_killed_process_was_writing_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        drop(RunFolder::create(root.path(), &Recipe::default()).unwrap());
        let ours = [".last.safetensors.123-0.tmp", ".recipe.toml.9-17.tmp", ".images.jsonl.1-1.tmp"];
        let others = [
            ".notes.txt.123-0.tmp",
            "last.safetensors.123-0.tmp",
            ".last.safetensors.tmp",
            ".last.safetensors.a-0.tmp",
            ".last.safetensors.1-.tmp",
            ".last.safetensors.123-0.tmp.bak",
        ];
        for name in ours.iter().chain(&others) {
            fs::write(root.path().join(name), "half").unwrap();
        }
        drop(RunFolder::open(root.path()).unwrap());
        for name in ours {
            assert!(!root.path().join(name).exists(), "{name}");
        }
        for name in others {
            assert!(root.path().join(name).exists(), "{name}");
        }
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
