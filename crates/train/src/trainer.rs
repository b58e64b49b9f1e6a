//! A training that is about to begin or to go on.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use residual_data::{DataSource, Dataset, ImageSet, Note, OpenOptions, Split, classes_summary};
use residual_nn::fused::Memory;
use residual_nn::{Compute, ResNet};
use residual_weights::{Checkpoint, Model, StateDict, Tensor};

use crate::changes::{self, Changes};
use crate::init::initial;
use crate::inventory::{Compared, Inventory};
use crate::metrics::MetricsFile;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::transfer::{from_model, to_state_dict};
use crate::{DataRecipe, Error, LearningRate, Recipe, ReplacedHead, RunFolder, Sgd};

/// A training with everything checked, opened and built, ready to [`run`](Trainer::run).
///
/// ```no_run
/// use std::sync::atomic::AtomicBool;
/// use residual_train::{Outcome, Recipe, Trainer};
///
/// let recipe = Recipe { model: Some("cifar_resnet20".into()), ..Recipe::default() };
/// let stop = AtomicBool::new(false);
/// match Trainer::begin(&recipe, "runs/first")?.run(&mut (), &stop)? {
///     Outcome::Finished { best } => println!("{:.2}%", 100.0 * best.top1),
///     // Another thread has raised `stop`.
///     Outcome::Interrupted { step, .. } => println!("stopped after {step} steps"),
/// }
/// // Where it was interrupted, this goes on to the same bits.
/// Trainer::resume("runs/first")?.run(&mut (), &stop)?;
/// # Ok::<(), residual_train::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    pub(crate) folder: RunFolder,
    pub(crate) recipe: Recipe,
    pub(crate) classes: Vec<String>,
    notes: Vec<Note>,
    pub(crate) train: ImageSet,
    pub(crate) evaluation: ImageSet,
    /// The split that `evaluation` is.
    pub(crate) split: Split,
    pub(crate) network: ResNet,
    pub(crate) sgd: Sgd,
    pub(crate) rate: LearningRate,
    pub(crate) steps_per_epoch: usize,
    pub(crate) progress: Progress,
    pub(crate) metrics: MetricsFile,
    replaced_head: Option<ReplacedHead>,
    remarks: Vec<String>,
}

impl DataRecipe {
    /// Opens the images.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn open(&self) -> Result<Dataset, Error> {
        let options = OpenOptions {
            split_seed: self.split_seed,
            holdout: self.validation,
            skip_bad: self.skip_bad,
            ..OpenOptions::default()
        };
        Ok(Dataset::open(&self.source(), &options)?)
    }

    /// Whether there is something where the images should be.
    fn check_place(&self) -> Result<(), Error> {
        match self.source() {
            DataSource::Path(path) if !path.exists() => Err(Error::DataGone(path)),
            _ => Ok(()),
        }
    }

    pub(crate) fn source(&self) -> DataSource {
        match self.path.to_str() {
            Some(text) => DataSource::from(text),
            None => DataSource::from(self.path.clone()),
        }
    }
}

impl Recipe {
    /// So that a run can be resumed, and its recipe repeated, from any folder.
    pub(crate) fn make_paths_absolute(&mut self) -> Result<(), Error> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io("find", path));
        if let DataSource::Path(path) = self.data.source() {
            self.data.path = absolute(&path)?;
        }
        if let Some(init) = &mut self.init {
            *init = absolute(init)?;
        }
        Ok(())
    }
}

impl Trainer {
    /// Begins a training in a folder that has none. Before anything is written, the recipe and the data are
    /// checked and the network is built; then the recipe and a first checkpoint are written, so that a full
    /// disk shows before the first step. Where it does not begin, no folder is left behind.
    ///
    /// # Errors
    /// Those of [`Recipe::settle`], [`RunFolder::create`] and [`DataRecipe::open`]; [`Error::Init`]
    /// for weights to begin with that are not the network's, or no numbers; [`Error::ImageSize`],
    /// [`Error::LastBatch`] and [`Error::Memory`] for a step or an evaluation that is not possible.
    pub fn begin(recipe: &Recipe, out: impl Into<PathBuf>) -> Result<Self, Error> {
        let out = out.into();
        RunFolder::check_free(&out)?;
        let plan = Plan::of(recipe)?;
        let (network, replaced_head) = initial(&plan.recipe, &plan.spec, &device())?;
        plan.check_batches(&network)?;
        let inventory = plan.inventory();
        let folder = RunFolder::tentative(out, &plan.recipe)?;
        let mut trainer = Self::first(plan, folder, network, inventory)?;
        trainer.folder.keep();
        Ok(Self { replaced_head, ..trainer })
    }

    /// A training before its first step, with everything written.
    fn first(
        plan: Plan,
        folder: RunFolder,
        network: ResNet,
        inventory: Option<Inventory>,
    ) -> Result<Self, Error> {
        if let Some(inventory) = &inventory {
            inventory.write(&folder.images())?;
        }
        let progress = Progress::new(plan.fingerprint(inventory.as_ref()), plan.recipe.clone());
        let trainer = Self::assemble(plan, folder, network, StateDict::new(), progress)?;
        trainer.save_last()?;
        Ok(trainer)
    }

    /// Goes on with the training in a folder, from its last checkpoint.
    ///
    /// # Errors
    /// Those of [`Trainer::resume_with`].
    pub fn resume(out: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::resume_with(out, &Changes::default())
    }

    /// Goes on with the training in a folder, from its last checkpoint, with changes. A run that was only just begun,
    /// which has its recipe and nothing else, begins.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Locked`]; [`Error::NoLast`] and [`Error::Checkpoint`] for a checkpoint that is not
    /// there or is damaged; [`Error::RecipeChanged`] for a recipe that makes another training;
    /// [`Error::DataChanged`] and [`Error::ImageChanged`] where the images are not those that the training began with;
    /// those of [`Trainer::begin`].
    pub fn resume_with(out: impl Into<PathBuf>, changes: &Changes) -> Result<Self, Error> {
        let folder = RunFolder::open(out)?;
        let mut recipe = folder.recipe()?;
        changes.apply(&mut recipe);
        if folder.has_got_on() && !folder.last().exists() {
            return Err(Error::NoLast { help: folder.help_without_last(), path: folder.path().to_owned() });
        }
        recipe.validate()?;
        recipe.data.check_place()?;
        let plan = Plan::of(&recipe)?;
        if !folder.last().exists() {
            // The process ended between the recipe and the first checkpoint.
            let (network, replaced_head) = initial(&plan.recipe, &plan.spec, &device())?;
            plan.check_batches(&network)?;
            if !changes.is_empty() {
                folder.write_recipe(&plan.recipe)?;
            }
            let inventory = plan.inventory();
            let begun = Self::first(plan, folder, network, inventory)?;
            let remarks = vec!["this run was only just begun: it begins with its first step".to_owned()];
            return Ok(Self { replaced_head, remarks, ..begun });
        }
        Self::go_on(plan, folder, changes)
    }

    fn go_on(plan: Plan, folder: RunFolder, changes: &Changes) -> Result<Self, Error> {
        let (checkpoint, mut progress) = Progress::read(&folder)?;
        let recipe = folder.path().join("recipe.toml");
        let mut remarks = changes::compare(&recipe, &plan.recipe, &progress)?;
        Progress::check_network(&folder.last(), &checkpoint.spec, &plan.spec)?;
        progress.check_metrics(&folder)?;
        remarks.extend(check_data(&plan, &folder, &progress)?);
        let model = Model::from_state_dict(&plan.spec, checkpoint.tensors).map_err(Error::from);
        let mut network = model.and_then(|model| from_model(model, &device())).map_err(|error| {
            let help = folder.help_without_last();
            Error::Checkpoint { path: folder.last(), reason: error.to_string(), help }
        })?;
        network.freeze_layers(&plan.recipe.freeze)?;
        plan.check_batches(&network)?;
        progress.recipe = Some(plan.recipe.clone());
        if !changes.is_empty() {
            folder.write_recipe(&plan.recipe)?;
        }
        let mut trainer = Self::assemble(plan, folder, network, checkpoint.optimiser, progress)?;
        remarks.extend(trainer.restore_best()?);
        Ok(Self { remarks, ..trainer })
    }

    /// Sees to it that the best network is there if it is spoken of: written again where it is the network as it
    /// stands, else forgotten while epochs follow; then the best of those will be kept. Gives what to tell of it.
    ///
    /// # Errors
    /// [`Error::BestGone`] where no epoch follows.
    pub(crate) fn restore_best(&mut self) -> Result<Option<String>, Error> {
        let path = self.folder.best();
        let Some(best) = self.progress.best.filter(|_| !path.is_file()) else { return Ok(None) };
        if best.epoch == self.progress.epoch && self.progress.batch == 0 {
            self.save_best()?;
            return Ok(Some(format!("best.safetensors was missing: written again (epoch {})", best.epoch)));
        }
        if self.progress.epoch >= self.recipe.epochs {
            return Err(Error::BestGone { path, epoch: best.epoch, last: self.folder.last() });
        }
        self.progress.best = None;
        let epoch = best.epoch;
        Ok(Some(format!(
            "best.safetensors (epoch {epoch}) is missing: the best of the epochs from now on is kept"
        )))
    }

    fn assemble(
        plan: Plan,
        folder: RunFolder,
        network: ResNet,
        velocity: StateDict,
        progress: Progress,
    ) -> Result<Self, Error> {
        let Plan { recipe, rate, steps_per_epoch, data, train, evaluation, split, .. } = plan;
        let mut network = network;
        network.set_compute(compute(recipe.low_memory));
        let mut sgd = Sgd::new(recipe.optimiser);
        sgd.load(velocity);
        let metrics = MetricsFile::start(folder.metrics(), &progress.history)?;
        Ok(Self {
            folder,
            recipe,
            notes: data.notes().to_vec(),
            classes: data.classes,
            train,
            evaluation,
            split,
            network,
            sgd,
            rate,
            steps_per_epoch,
            progress,
            metrics,
            replaced_head: None,
            remarks: Vec::new(),
        })
    }

    /// The settled recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The network as it stands.
    pub fn network(&self) -> &ResNet {
        &self.network
    }

    /// How many images it trains on.
    pub fn training_images(&self) -> usize {
        self.train.len()
    }

    /// How many classes the data have, and the names of the first ten.
    pub fn classes_summary(&self) -> String {
        classes_summary(&self.classes)
    }

    /// What was noticed while the data were opened.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The split that it evaluates on, and how many images that has.
    pub fn evaluation_images(&self) -> (Split, usize) {
        (self.split, self.evaluation.len())
    }

    /// Steps that are done already.
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    /// Steps of the whole training.
    pub fn total_steps(&self) -> u64 {
        self.rate.total_steps()
    }

    /// The head that was not taken over from `init`.
    pub fn replaced_head(&self) -> Option<ReplacedHead> {
        self.replaced_head
    }

    /// The names of the classes, in the order of the outputs.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What is worth saying of a training that goes on: what was changed, what is missing.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Images in a step: those of a batch, or all where they are fewer.
    pub fn images_per_step(&self) -> usize {
        self.recipe.images_per_step().min(self.train.len())
    }

    /// Computes and decodes with so many threads from now on, whatever the recipe says. Does not change the
    /// result.
    pub fn set_threads(&mut self, threads: usize) {
        residual_nn::fused::set_threads(threads.max(1));
        self.recipe.threads = Some(threads.max(1));
    }

    /// Keeps as little between forward and backward pass as [`Recipe::low_memory`] says, whatever the recipe
    /// says. Does not change the result.
    pub fn set_low_memory(&mut self, low: bool) {
        self.recipe.low_memory = low;
        self.network.set_compute(compute(low));
    }

    /// Leaves out images that cannot be decoded from now on, whatever the recipe says: for going on with a
    /// training that stopped at one.
    pub fn set_skip_bad(&mut self, skip_bad: bool) {
        self.recipe.data.skip_bad = skip_bad;
    }

    /// Writes `last.safetensors`.
    pub(crate) fn save_last(&self) -> Result<(), Error> {
        let path = self.folder.last();
        let state =
            serde_json::to_value(&self.progress).map_err(|error| Error::io("write", &path)(error.into()))?;
        let checkpoint =
            Checkpoint { optimiser: self.sgd.state()?, state: Some(state), ..self.for_prediction()? };
        self.check_finite(checkpoint.tensors.iter().chain(checkpoint.optimiser.iter()))?;
        Ok(checkpoint.write(path)?)
    }

    /// A step can break the weights while its own loss was still finite; that must not replace a good file.
    fn check_finite<'a>(
        &self,
        mut tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
    ) -> Result<(), Error> {
        match tensors.find(|(_, tensor)| !tensor.data().iter().all(|value| value.is_finite())) {
            Some((name, _)) => Err(Error::NotFinite { tensor: name.to_owned(), step: self.progress.step }),
            None => Ok(()),
        }
    }

    /// Writes `best.safetensors`.
    pub(crate) fn save_best(&self) -> Result<(), Error> {
        let checkpoint = self.for_prediction()?;
        self.check_finite(checkpoint.tensors.iter())?;
        Ok(checkpoint.write(self.folder.best())?)
    }

    fn for_prediction(&self) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            spec: self.network.spec().clone(),
            classes: self.classes.clone(),
            tensors: to_state_dict(&self.network, self.network.spec().naming)?,
            optimiser: StateDict::new(),
            state: None,
        })
    }
}

/// Holds the images against those that the run began with; gives what to tell of them.
fn check_data(plan: &Plan, folder: &RunFolder, progress: &Progress) -> Result<Option<String>, Error> {
    let then = &progress.data;
    let list = then.inventory.as_ref().and_then(|hash| {
        let list = Inventory::read(&folder.images())?;
        (list.hash() == *hash).then_some(list)
    });
    let compared = match &list {
        Some(list) => list.compare(&plan.sets(), &progress.bad)?,
        None => Compared::default(),
    };
    then.compare(&plan.fingerprint(None))?;
    let missing = then.inventory.is_some() && list.is_none();
    Ok(match compared.undecided {
        _ if missing => {
            Some("images.jsonl is missing or damaged: whether images have changed is not known".to_owned())
        }
        0 => None,
        undecided => Some(format!(
            "{undecided} images have the sizes that they had, and another time: they are taken to be the same"
        )),
    })
}

fn compute(low_memory: bool) -> Compute {
    let memory = if low_memory { Memory::Low } else { Memory::Keep };
    Compute { memory, ..Compute::default() }
}

/// Where networks are trained.
fn device() -> Device {
    Device::flex().autodiff()
}
