//! Runs side by side: what is said of a run by the files in its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Value;

use crate::run::ended::Ended;
use crate::run::run_folder::is_run;
use crate::{Error, Metrics, Recipe, read_metrics};

/// Run as its folder describes it: for comparisons. Nothing is written, and a run that goes on is not disturbed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunSummary {
    /// Folder.
    pub path: PathBuf,
    /// State of the training.
    pub state: RunState,
    /// Error that ended it, where one did.
    pub error: Option<String>,
    /// Recipe, settled.
    pub recipe: Recipe,
    /// Lines of its `metrics.jsonl`.
    pub metrics: Vec<Metrics>,
    /// Number of parameters; none where there are no weights yet, or they cannot be read.
    pub parameters: Option<u64>,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// A process holds its folder.
    Running,
    /// All epochs are done.
    Finished,
    /// Run that can be resumed.
    Interrupted,
    /// The loss was not finite.
    Diverged,
    /// Another error ended it; it can be resumed when that is mended.
    Failed,
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        })
    }
}

/// Depth to which folders are searched for runs.
const DEEPEST: usize = 6;

/// Fields of a recipe that do not make another training, and those that are said otherwise.
const OF_NO_INTEREST: [&str; 7] = [
    "threads",
    "low_memory",
    "checkpoint_every_steps",
    "eval_batch_size",
    "data.cache",
    "origin",
    "data.root",
];

impl RunSummary {
    /// Reads what a run's folder says of it.
    ///
    /// # Errors
    /// [`Error::NoRun`]; those of [`Recipe::read`] and [`read_metrics`].
    pub fn read(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = folder.into();
        if !is_run(&path) {
            return Err(Error::NoRun { path, missing: "recipe.toml" });
        }
        let recipe = Recipe::read(path.join("recipe.toml"))?;
        let lines = path.join("metrics.jsonl");
        let metrics = if lines.exists() { read_metrics(lines)? } else { Vec::new() };
        let ended = Ended::read(&path);
        let parameters = parameters(&path);
        let mut run = Self { state: RunState::Interrupted, error: None, recipe, metrics, parameters, path };
        run.state = match &ended {
            _ if is_locked(&run.path) => RunState::Running,
            Some(ended) if ended.diverged => RunState::Diverged,
            Some(_) => RunState::Failed,
            None if run.is_over() => RunState::Finished,
            None => RunState::Interrupted,
        };
        run.error = ended.map(|ended| ended.error);
        Ok(run)
    }

    /// Folders of runs in a folder, itself and those within it; by name.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be read.
    pub fn find(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
        let folder = folder.as_ref();
        let mut found = Vec::new();
        // Of the outermost folder it is said that it cannot be read; those within it are passed over.
        fs::read_dir(folder).map_err(Error::io("read the folder", folder))?;
        search(folder, DEEPEST, &mut found);
        Ok(found)
    }

    /// Name: that of the folder.
    pub fn name(&self) -> String {
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        absolute.file_name().unwrap_or(absolute.as_os_str()).to_string_lossy().into_owned()
    }

    /// Name of the network.
    pub fn model(&self) -> &str {
        let written = self.recipe.network.as_ref().map(|spec| spec.name.as_str());
        written.or(self.recipe.model.as_deref()).unwrap_or("small")
    }

    /// Lines of the evaluations that count: of the average of the weights where the run keeps one.
    pub fn evaluations(&self) -> impl Iterator<Item = &Metrics> {
        let counts = |split: &str| split != "train" && (self.recipe.ema.is_none() || split == "ema");
        self.metrics.iter().filter(move |line| counts(&line.split))
    }

    /// Line of the best evaluation, as `best.safetensors` is chosen.
    pub fn best(&self) -> Option<&Metrics> {
        Metrics::best(self.evaluations())
    }

    /// Least loss of an evaluation.
    pub fn least_loss(&self) -> Option<f64> {
        self.evaluations().map(|line| line.loss).reduce(f64::min)
    }

    /// Epochs that are done, their evaluation included.
    pub fn epochs_done(&self) -> usize {
        self.evaluations().map(|line| line.epoch).max().unwrap_or(0)
    }

    /// True after the last epoch, and where early stopping has ended the training.
    fn is_over(&self) -> bool {
        let has_ended = self.recipe.early_stop.is_some_and(|stop| stop.has_ended(&self.metrics));
        has_ended || self.epochs_done() >= self.recipe.epochs
    }

    /// Seconds of training up to the last line, without interruptions.
    pub fn seconds(&self) -> f64 {
        self.metrics.last().map_or(0.0, |line| line.seconds)
    }

    /// Fields in which the recipes of these runs differ, of each run: names such as `optimiser.kind`, and values as TOML
    /// has them. What does not change the result is left out.
    pub fn differences(runs: &[Self]) -> Vec<BTreeMap<String, String>> {
        let all: Vec<_> = runs.iter().map(|run| leaves(&run.recipe)).collect();
        let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
        let differ = |name: &&String| all.iter().any(|fields| fields.get(*name) != all[0].get(*name));
        let names: Vec<&String> = names.into_iter().filter(differ).collect();
        let of = |fields: &BTreeMap<String, String>| {
            let given = names.iter().filter_map(|&name| Some((name.clone(), fields.get(name)?.clone())));
            given.collect()
        };
        all.iter().map(of).collect()
    }
}

/// Fields of a recipe by their paths; a list counts as one value, and of a written-out network the name.
fn leaves(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    // What cannot be written as TOML has been read from it.
    if let Ok(value) = Value::try_from(recipe) {
        collect(String::new(), &value, &mut found);
    }
    found.retain(|name, _| !name.starts_with("network.") || name == "network.name");
    found
}

fn collect(field: String, value: &Value, found: &mut BTreeMap<String, String>) {
    if OF_NO_INTEREST.contains(&field.as_str()) {
        return;
    }
    let Value::Table(table) = value else {
        found.insert(field, value.to_string());
        return;
    };
    for (name, value) in table {
        let path = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
        collect(path, value, found);
    }
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if is_run(folder) {
        found.push(folder.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut inner: Vec<_> = entries.flatten().filter(is_folder).map(|entry| entry.path()).collect();
    inner.sort();
    if depth > 0 {
        inner.iter().for_each(|folder| search(folder, depth - 1, found));
    }
}

/// True where a process holds the folder.
fn is_locked(folder: &Path) -> bool {
    let lock = File::open(folder.join(".lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Number of parameters, by the shapes in a file of the run's weights.
fn parameters(folder: &Path) -> Option<u64> {
    let file = ["best.safetensors", "last.safetensors"].map(|name| folder.join(name));
    let weights = file.iter().find(|path| path.is_file()).map(residual_weights::map)?.ok()?;
    let is_parameter = |name: &str| {
        let kept = ["running_mean", "running_var", "num_batches_tracked"];
        !name.starts_with("optimiser.") && !kept.iter().any(|end| name.ends_with(end))
    };
    let counts = weights.iter().filter(|(name, _)| is_parameter(name));
    Some(counts.map(|(_, tensor)| tensor.shape().iter().product::<usize>() as u64).sum())
}
