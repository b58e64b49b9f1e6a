//! The same training with several seeds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::schedules::monitor::judged;
use crate::{Best, Error, Metrics, Outcome, Recipe, RunFolder, Trainer, Training, read_metrics};

/// Name of the file of a [`SeedSummary`].
const SUMMARY: &str = "seeds.json";

/// Limit on the summary that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Training of one recipe with several seeds, each a run of its own in the folders `seed-0`, `seed-1`, ... of one
/// folder, whose `seeds.json` has their results, the mean and the deviation. The images and their split are the same
/// for all ([`DataRecipe::split_seed`](crate::DataRecipe::split_seed)).
///
/// ```no_run
/// use residual_train::{Recipe, SeedRuns, Training};
///
/// let runs = SeedRuns::new(&Recipe::from("cifar_resnet20"), [0, 1, 2], "runs/three")?;
/// // What is finished already is not trained again.
/// let summary = runs.run(|training| training)?;
/// println!("{:.2}% +- {:.2}", 100.0 * summary.mean, 100.0 * summary.deviation);
/// # Ok::<(), residual_train::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SeedRuns {
    recipe: Recipe,
    seeds: Vec<u64>,
    folder: PathBuf,
}

/// Results of several seeds: the file `seeds.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeedSummary {
    /// TOML text of the recipe, whose own seed counts for nothing.
    pub recipe: String,
    /// Seeds in the order in which they are trained.
    pub seeds: Vec<u64>,
    /// Runs that are finished.
    pub runs: Vec<SeedResult>,
    /// Mean of these runs' best accuracies, or of their best scores for a task that has another; 0 where there is none.
    pub mean: f64,
    /// Sample standard deviation of the same, divided by `n - 1`; 0 for fewer than two.
    pub deviation: f64,
}

/// Result of the run with one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeedResult {
    /// Seed.
    pub seed: u64,
    /// Best of its evaluations.
    pub best: Best,
    /// Number of epochs that were trained.
    pub epochs: usize,
}

impl SeedRuns {
    /// Runs in a folder, with these seeds in this order. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Seeds`] for no seed or one that is there twice, and for a folder that has runs of another recipe;
    /// those of [`Recipe::validate`]; [`Error::Io`].
    pub fn new(
        recipe: &Recipe,
        seeds: impl IntoIterator<Item = u64>,
        folder: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        let (seeds, folder) = (Vec::from_iter(seeds), folder.into());
        let wrong = |reason: String| Err(Error::Seeds { folder: folder.clone(), reason });
        let mut seen = BTreeSet::new();
        if let Some(seed) = seeds.iter().find(|&&seed| !seen.insert(seed)) {
            return wrong(format!("the seed {seed} is given twice; help: give each once"));
        }
        if seeds.is_empty() {
            return wrong("no seed is given; help: give one or more, such as 0,1,2".to_owned());
        }
        let mut recipe = recipe.clone().with(|recipe| recipe.seed = 0);
        // Seeds that are begun later may be from another folder.
        recipe.make_paths_absolute()?;
        for &seed in &seeds {
            recipe.clone().with(|recipe| recipe.seed = seed).validate()?;
        }
        let runs = Self { recipe, seeds, folder };
        match SeedSummary::read(&runs.folder)? {
            Some(before) if before.recipe != runs.recipe.to_toml()? => {
                let help = "help: choose another folder, or go on with --resume";
                Err(Error::Seeds {
                    reason: format!("has runs of another recipe; {help}"),
                    folder: runs.folder,
                })
            }
            _ => Ok(runs),
        }
    }

    /// Runs that a folder has, to be gone on with.
    ///
    /// # Errors
    /// [`Error::NoRun`] for a folder without `seeds.json`; those of [`new`](Self::new).
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        let Some(summary) = SeedSummary::read(&folder)? else {
            return Err(Error::NoRun { path: folder, missing: SUMMARY });
        };
        let recipe = toml::from_str(&summary.recipe)
            .map_err(|reason| Error::Recipe { path: folder.join(SUMMARY), reason: Box::new(reason) })?;
        Self::new(&recipe, summary.seeds, folder)
    }

    /// True for a folder that has runs with several seeds.
    pub fn are_in(folder: &Path) -> bool {
        folder.join(SUMMARY).is_file()
    }

    /// Folder of all runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Seeds, in the order in which they are trained.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// Folder of the run with this seed.
    pub fn run_folder(&self, seed: u64) -> PathBuf {
        self.folder.join(format!("seed-{seed}"))
    }

    /// Trainer of the run with this seed: begun, or resumed where it was begun before. `prepare` gives the training its
    /// observer, its stop flag and its images.
    ///
    /// # Errors
    /// Those of [`Training::begin`] and [`Training::resume`].
    pub fn trainer<'a>(
        &self,
        seed: u64,
        prepare: impl FnOnce(Training<'a>) -> Training<'a>,
    ) -> Result<Trainer<'a>, Error> {
        let folder = self.run_folder(seed);
        let training = prepare(Training::new(self.recipe.clone().with(|recipe| recipe.seed = seed)));
        match RunFolder::check_free(&folder) {
            Ok(()) => {
                let trainer = training.begin(folder)?;
                self.write(&self.summary()?)?;
                Ok(trainer)
            }
            Err(_) => training.resume(folder),
        }
    }

    /// Trains every seed to its end, and writes the summary after each.
    ///
    /// # Errors
    /// Those of [`trainer`](Self::trainer) and [`Trainer::run`]; [`Error::Stopped`] where the stop flag was raised or
    /// an observer asked to stop: called again, it goes on.
    pub fn run<'a>(
        &self,
        mut prepare: impl FnMut(Training<'a>) -> Training<'a>,
    ) -> Result<SeedSummary, Error> {
        for &seed in &self.seeds {
            if let Outcome::Interrupted { .. } = self.trainer(seed, &mut prepare)?.run()? {
                return Err(Error::Stopped { seed });
            }
            self.write(&self.summary()?)?;
        }
        self.summary()
    }

    /// Results of the runs that are finished.
    ///
    /// # Errors
    /// [`Error::Recipe`] and [`Error::Metrics`] for a run that is damaged.
    pub fn summary(&self) -> Result<SeedSummary, Error> {
        let results = self.seeds.iter().map(|&seed| self.result(seed));
        let runs: Vec<SeedResult> = results.filter_map(Result::transpose).collect::<Result<_, Error>>()?;
        let n = runs.len() as f64;
        let value = |run: &SeedResult| run.best.score.map_or(run.best.top1, |score| score.value);
        let mean = runs.iter().map(value).sum::<f64>() / n.max(1.0);
        let squares = runs.iter().map(|run| (value(run) - mean).powi(2)).sum::<f64>();
        let deviation = if runs.len() < 2 { 0.0 } else { (squares / (n - 1.0)).sqrt() };
        Ok(SeedSummary { recipe: self.recipe.to_toml()?, seeds: self.seeds.clone(), runs, mean, deviation })
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// [`Error::Weights`] where it cannot be written.
    pub fn write(&self, summary: &SeedSummary) -> Result<(), Error> {
        let path = self.folder.join(SUMMARY);
        let text = serde_json::to_string_pretty(summary);
        let text = text.map_err(|error| Error::io("write", &path)(error.into()))? + "\n";
        Ok(residual_weights::write_atomically(path, |file| file.write_all(text.as_bytes()))?)
    }

    /// Result of a run, where it is finished.
    fn result(&self, seed: u64) -> Result<Option<SeedResult>, Error> {
        let folder = self.run_folder(seed);
        let [recipe, metrics] = ["recipe.toml", "metrics.jsonl"].map(|name| folder.join(name));
        if !(recipe.is_file() && metrics.is_file()) {
            return Ok(None);
        }
        let (recipe, history) = (Recipe::read(recipe)?, read_metrics(metrics)?);
        let judged = judged(&history);
        let epochs = judged.len();
        let ended = recipe.early_stop.is_some_and(|stop| stop.has_ended(&history));
        let best = Metrics::best(judged);
        let result = best.map(|line| SeedResult { seed, best: Best::of(line, None), epochs });
        Ok(result.filter(|_| epochs >= recipe.epochs || ended))
    }
}

impl SeedSummary {
    /// Reads the `seeds.json` of a folder; `None` where it has none.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Seeds`] where it is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(SUMMARY);
        if !path.is_file() {
            return Ok(None);
        }
        let text = residual_files::read_text(&path, LONGEST)
            .map_err(|error| Error::io("read", &path)(error.into()))?;
        let damaged = |error: serde_json::Error| Error::Seeds {
            folder: path.clone(),
            reason: format!("{error}; help: remove it, and give the seeds and the recipe again"),
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }
}
