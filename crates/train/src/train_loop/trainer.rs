//! A training that goes on.

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use residual_arch::{Task, TaskKind};
use residual_data::{CacheLimit, CachePlan, Loader, Note, Split, classes_summary, targets_summary};
use residual_nn::fused::Memory;
use residual_nn::{Compute, ResNet};
use residual_weights::{Checkpoint, Model, StateDict, Tensor};

use crate::data::images::TrainingImages;
use crate::data::inventory::{Compared, Inventory};
use crate::losses::task_loss::TaskLoss;
use crate::losses::teacher::TeacherModel;
use crate::optimiser::average::Average;
use crate::ranks::agreement;
use crate::run::changes::{self, Changes};
use crate::run::ended::Ended;
use crate::run::metrics::MetricsFile;
use crate::run::progress::Progress;
use crate::schedules::unfreeze::StillSteps;
use crate::train_loop::given::Given;
use crate::train_loop::init::{Initial, initial};
use crate::train_loop::prepare::Prepared;
use crate::train_loop::session::Session;
use crate::train_loop::transfer::{from_model, to_model, to_state_dict};
use crate::{Error, LearningRate, Observer, Optimiser, PlaceRates, Recipe, ReplacedHead, RunFolder};

/// Training with everything checked, opened and built, which [`Training`](crate::Training) begins or resumes:
/// ready to [`run`](Trainer::run), or to be taken [step by step](Trainer::step).
///
/// ```no_run
/// use std::sync::Arc;
/// use std::sync::atomic::AtomicBool;
/// use residual_train::{Outcome, Training};
///
/// let stop = Arc::new(AtomicBool::new(false));
/// let mut trainer = Training::new("cifar_resnet20").data("photos").stop(stop.clone()).begin("runs/first")?;
/// match trainer.run()? {
///     Outcome::Finished { best, .. } => println!("{:.2}%", 100.0 * best.top1),
///     // Another thread has raised `stop`.
///     Outcome::Interrupted { step, .. } => println!("stopped after {step} steps"),
/// }
/// drop(trainer);
/// // Where it was interrupted, this goes on to the same bits.
/// Training::default().resume("runs/first")?.run()?;
/// # Ok::<(), residual_train::Error>(())
/// ```
pub struct Trainer<'a> {
    pub(crate) folder: RunFolder,
    pub(crate) recipe: Recipe,
    pub(crate) images: TrainingImages,
    pub(crate) network: ResNet,
    pub(crate) loss: TaskLoss,
    pub(crate) teacher: Option<TeacherModel>,
    pub(crate) optimiser: Optimiser,
    pub(crate) average: Option<Average>,
    pub(crate) rate: LearningRate,
    pub(crate) steps_per_epoch: usize,
    pub(crate) progress: Progress,
    pub(crate) metrics: MetricsFile,
    pub(crate) session: Session<'a>,
    /// Batches of the epoch that is going on, from the next one.
    pub(crate) loader: Option<Loader>,
    /// Decoded images that stay in memory: of those to train on, and of those to evaluate on.
    pub(crate) cache: CachePlan,
    replaced_head: Option<ReplacedHead>,
    remarks: Vec<String>,
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("folder", &self.folder)
            .field("recipe", &self.recipe)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl<'a> Trainer<'a> {
    /// Begins a training in a folder that has none: see [`Training::begin`](crate::Training::begin).
    pub(crate) fn begin(
        recipe: &Recipe,
        given: Given,
        out: PathBuf,
        session: Session<'a>,
    ) -> Result<Self, Error> {
        let mut trainer = Self::tentative(recipe, given, out, session)?;
        trainer.folder.keep();
        Ok(trainer)
    }

    /// Begins a training whose folder is removed with the trainer, unless it is [kept](RunFolder::keep).
    pub(crate) fn tentative(
        recipe: &Recipe,
        given: Given,
        out: PathBuf,
        session: Session<'a>,
    ) -> Result<Self, Error> {
        let is_first = session.is_first_rank();
        if is_first {
            RunFolder::check_free(&out)?;
        }
        let mut recipe = recipe.clone();
        agreement::check_shards(&**session.ranks(), &recipe)?;
        if given.model.is_some() {
            recipe.model = None;
            recipe.init = Some(out.join(RunFolder::INIT));
        }
        let mut prepared = Prepared::new(&recipe, &given)?;
        let Initial { network, replaced_head, remarks } = initial(&prepared, given.model.clone(), &device())?;
        prepared.check_batches(&network)?;
        prepared.images.note_overlap();
        agreement::agree(&**session.ranks(), &prepared)?;
        if !is_first {
            let trainer = Self::first(prepared, RunFolder::of_other_rank(out), network, None, session)?;
            return Ok(Self { replaced_head, remarks, ..trainer });
        }
        let inventory = prepared.images.inventory();
        let folder = RunFolder::tentative(out, &prepared.recipe)?;
        if let Some(model) = &given.model {
            model.save(folder.init())?;
        }
        let trainer = Self::first(prepared, folder, network, inventory, session)?;
        Ok(Self { replaced_head, remarks, ..trainer })
    }

    /// A training before its first step, with everything written.
    fn first(
        prepared: Prepared,
        folder: RunFolder,
        network: ResNet,
        inventory: Option<Inventory>,
        session: Session<'a>,
    ) -> Result<Self, Error> {
        if let Some(inventory) = &inventory {
            inventory.write(&folder.images())?;
        }
        let fingerprint = prepared.images.fingerprint(inventory.as_ref());
        let progress = Progress::new(fingerprint, prepared.recipe.clone());
        let state = State { network, optimiser: StateDict::new(), progress };
        let trainer = Self::assemble(prepared, folder, state, session)?;
        if trainer.session.is_first_rank() {
            trainer.save_last()?;
        }
        Ok(trainer)
    }

    /// Resumes the training in a folder: see [`Training::resume`](crate::Training::resume).
    pub(crate) fn resume(
        out: PathBuf,
        changes: &Changes,
        given: Given,
        session: Session<'a>,
    ) -> Result<Self, Error> {
        let folder = match session.is_first_rank() {
            true => RunFolder::open(out)?,
            false => RunFolder::of_other_rank(out),
        };
        // The first rank holds the folder now; nothing is written until all have read it.
        agreement::meet(&**session.ranks())?;
        let mut recipe = folder.recipe()?;
        changes.apply(&mut recipe);
        if folder.has_got_on() && !folder.last().exists() {
            return Err(Error::NoLast { help: folder.help_without_last(), path: folder.path().to_owned() });
        }
        recipe.validate()?;
        recipe.data.check_place()?;
        agreement::check_shards(&**session.ranks(), &recipe)?;
        let prepared = Prepared::new(&recipe, &given)?;
        agreement::agree(&**session.ranks(), &prepared)?;
        let is_first = session.is_first_rank();
        if !folder.last().exists() {
            agreement::meet(&**session.ranks())?;
            // The process ended between the recipe and the first checkpoint.
            let Initial { network, replaced_head, .. } = initial(&prepared, None, &device())?;
            prepared.check_batches(&network)?;
            if is_first && !changes.is_empty() {
                folder.write_recipe(&prepared.recipe)?;
            }
            let inventory = if is_first { prepared.images.inventory() } else { None };
            let begun = Self::first(prepared, folder, network, inventory, session)?;
            let remarks = vec!["this run was only just begun: it begins with its first step".to_owned()];
            return Ok(Self { replaced_head, remarks, ..begun });
        }
        Self::go_on(prepared, folder, changes, session)
    }

    fn go_on(
        prepared: Prepared,
        folder: RunFolder,
        changes: &Changes,
        session: Session<'a>,
    ) -> Result<Self, Error> {
        let (checkpoint, mut progress) = Progress::read(&folder)?;
        let recipe = folder.path().join("recipe.toml");
        let mut remarks = changes::compare(&recipe, &prepared.recipe, &progress)?;
        Progress::check_network(&folder.last(), &checkpoint.spec, &prepared.spec)?;
        progress.check_metrics(&folder)?;
        remarks.extend(check_data(&prepared.images, &folder, &progress)?);
        let model = Model::from_state_dict(&prepared.spec, checkpoint.tensors).map_err(Error::from);
        let mut network = model.and_then(|model| from_model(model, &device())).map_err(|error| {
            let help = folder.help_without_last();
            Error::Checkpoint { path: folder.last(), reason: error.to_string(), help }
        })?;
        prepared.recipe.freeze_for_epoch(&mut network, progress.epoch)?;
        prepared.check_batches(&network)?;
        progress.recipe = Some(prepared.recipe.clone());
        agreement::meet(&**session.ranks())?;
        if session.is_first_rank() && !changes.is_empty() {
            folder.write_recipe(&prepared.recipe)?;
        }
        let state = State { network, optimiser: checkpoint.optimiser, progress };
        let mut trainer = Self::assemble(prepared, folder, state, session)?;
        if trainer.session.is_first_rank() {
            remarks.extend(trainer.restore_best()?);
        }
        Ok(Self { remarks, ..trainer })
    }

    /// Restores a missing file of the best network: written again where it is the network as it stands, else forgotten
    /// while epochs follow, of which the best will be kept. Gives a remark on it.
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
        if self.is_over() {
            return Err(Error::BestGone { path, epoch: best.epoch, last: self.folder.last() });
        }
        self.progress.best = None;
        let epoch = best.epoch;
        Ok(Some(format!(
            "best.safetensors (epoch {epoch}) is missing: the best of the epochs from now on is kept"
        )))
    }

    fn assemble(
        prepared: Prepared,
        folder: RunFolder,
        state: State,
        session: Session<'a>,
    ) -> Result<Self, Error> {
        let Prepared { recipe, mut rate, steps_per_epoch, images, loss, .. } = prepared;
        let State { mut network, optimiser: mut kept, mut progress } = state;
        rate.follow(&progress.history);
        network.set_compute(compute(recipe.low_memory));
        if let Some(threads) = recipe.threads {
            network.set_threads(threads);
        }
        let teacher = TeacherModel::open(&recipe, network.spec(), images.classes())?;
        if let Some(teacher) = &teacher {
            let hash = teacher.hash();
            teacher.check(progress.teacher.as_deref(), &hash)?;
            progress.teacher = Some(hash);
        }
        let averaged = kept.split_prefix(AVERAGE)?;
        let average = recipe.ema.map(|ema| Average::load(ema, &network, averaged));
        let rates = PlaceRates::new(&recipe, network.spec())?;
        let still = StillSteps::new(&recipe, network.spec(), steps_per_epoch)?;
        let optimiser = Optimiser::new(recipe.optimiser).with_clip(recipe.clip).with_rates(rates);
        let mut optimiser = optimiser.with_still_steps(still);
        optimiser.load(kept);
        let metrics = match session.is_first_rank() {
            true => MetricsFile::start(folder.metrics(), &progress.history)?,
            false => MetricsFile::of_other_rank(folder.metrics()),
        };
        if session.is_first_rank() {
            Ended::remove(folder.path());
        }
        let cache = images.plan_cache(&recipe, network.spec())?;
        Ok(Self {
            folder,
            recipe,
            images,
            network,
            loss,
            teacher,
            optimiser,
            average,
            rate,
            steps_per_epoch,
            progress,
            metrics,
            session,
            loader: None,
            cache,
            replaced_head: None,
            remarks: Vec::new(),
        })
    }

    /// Tells this observer from now on, in place of the one that the training was begun with: for an observer that is
    /// made for the trainer, such as a progress bar.
    pub fn observe(&mut self, observer: impl Observer + Send + 'a) {
        self.session.observe(Box::new(observer));
    }

    /// Recipe, settled.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Folder of the run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Network as it stands.
    pub fn network(&self) -> &ResNet {
        &self.network
    }

    /// Network as it stands, in place of the trainer. The best network so far is in the folder's `best.safetensors`.
    pub fn into_network(self) -> ResNet {
        self.network
    }

    /// Model of the network as it stands, with the names of its classes: to be saved, or to classify with.
    ///
    /// # Errors
    /// [`Error::Weights`], which a network that is trained cannot give.
    pub fn model(&self) -> Result<Model, Error> {
        Ok(to_model(&self.network)?.with_classes(self.classes().to_vec())?)
    }

    /// Number of images to train on.
    pub fn training_images(&self) -> usize {
        self.images.train.len()
    }

    /// Number of classes, or of the targets of a regression, and the names of the first ten.
    pub fn classes_summary(&self) -> String {
        match self.loss.task.kind() {
            TaskKind::Regression => targets_summary(self.images.classes()),
            _ => classes_summary(self.images.classes()),
        }
    }

    /// Notes of what was noticed while the data were opened.
    pub fn notes(&self) -> &[Note] {
        &self.images.notes
    }

    /// Notes of what was noticed in the images that were read so far.
    pub fn image_notes(&self) -> Vec<Note> {
        let mut notes = self.images.train.notes();
        notes.extend(self.images.evaluation.notes());
        notes.truncate(1);
        notes
    }

    /// Split that is evaluated on, and its number of images.
    pub fn evaluation_images(&self) -> (Split, usize) {
        (self.images.split, self.images.evaluation.len())
    }

    /// Number of epochs that are done, their evaluation included.
    pub fn epochs_done(&self) -> usize {
        self.progress.epoch
    }

    /// Number of steps that are done.
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    /// Number of steps of the whole training.
    pub fn total_steps(&self) -> u64 {
        self.rate.total_steps()
    }

    /// Head that was not taken over from `init`.
    pub fn replaced_head(&self) -> Option<ReplacedHead> {
        self.replaced_head
    }

    /// Names of the classes, in the order of the outputs.
    pub fn classes(&self) -> &[String] {
        self.images.classes()
    }

    /// Remarks on the weights that a training begins with, or on one that was resumed: changes of its recipe, and files
    /// that are missing.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Number of images in a step: those of a batch, or all where they are fewer.
    pub fn images_per_step(&self) -> usize {
        self.recipe.images_per_step().min(self.images.train.len())
    }

    /// Sets the number of threads that compute, and that decode, whatever the recipe says. Does not change the
    /// result.
    pub fn set_threads(&mut self, threads: usize) {
        self.network.set_threads(threads);
        self.recipe.threads = Some(threads.max(1));
        self.loader = None;
    }

    /// Sets [`Recipe::low_memory`], whatever the recipe says. Does not change the result.
    pub fn set_low_memory(&mut self, low: bool) {
        self.recipe.low_memory = low;
        self.network.set_compute(compute(low));
    }

    /// Sets [`DataRecipe::skip_bad`](crate::DataRecipe::skip_bad), whatever the recipe says: to resume a training that
    /// stopped at an image that cannot be decoded.
    pub fn set_skip_bad(&mut self, skip_bad: bool) {
        self.recipe.data.skip_bad = skip_bad;
        self.loader = None;
    }

    /// Sets [`DataRecipe::cache`](crate::DataRecipe::cache), whatever the recipe says. Does not change the result.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn set_cache(&mut self, cache: CacheLimit) -> Result<(), Error> {
        self.recipe.data.cache = cache;
        self.loader = None;
        self.cache = self.images.plan_cache(&self.recipe, self.network.spec())?;
        Ok(())
    }

    /// Plan of the decoded images that stay in memory.
    pub fn cache(&self) -> &CachePlan {
        &self.cache
    }

    /// Writes `last.safetensors`.
    pub(crate) fn save_last(&self) -> Result<(), Error> {
        let path = self.folder.last();
        let state =
            serde_json::to_value(&self.progress).map_err(|error| Error::io("write", &path)(error.into()))?;
        let mut optimiser = self.optimiser.state()?;
        if let Some(average) = &self.average {
            for (path, tensor) in average.state()?.into_tensors() {
                optimiser.insert(format!("{AVERAGE}{path}"), tensor)?;
            }
        }
        let checkpoint = Checkpoint { optimiser, state: Some(state), ..self.for_prediction(&self.network)? };
        self.check_finite(checkpoint.tensors.iter().chain(checkpoint.optimiser.iter()))?;
        Ok(checkpoint.write(path)?)
    }

    /// A step can break the weights while its own loss was still finite; that must not replace a good file.
    fn check_finite<'t>(
        &self,
        mut tensors: impl Iterator<Item = (&'t str, &'t Tensor)>,
    ) -> Result<(), Error> {
        match tensors.find(|(_, tensor)| !tensor.data().iter().all(|value| value.is_finite())) {
            Some((name, _)) => Err(Error::NotFinite { tensor: name.to_owned(), step: self.progress.step }),
            None => Ok(()),
        }
    }

    /// Writes `best.safetensors`: the average of the weights, where there is one.
    pub(crate) fn save_best(&self) -> Result<(), Error> {
        let averaged = self.average.as_ref().map(|average| average.network(&self.network)).transpose()?;
        let mut checkpoint = self.for_prediction(averaged.as_ref().unwrap_or(&self.network))?;
        let chosen = self.progress.best.and_then(|best| best.threshold);
        if let (Task::MultiLabel { threshold }, Some(chosen)) = (&mut checkpoint.spec.task, chosen) {
            *threshold = chosen;
        }
        self.check_finite(checkpoint.tensors.iter())?;
        Ok(checkpoint.write(self.folder.best())?)
    }

    fn for_prediction(&self, network: &ResNet) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            spec: network.spec().clone(),
            classes: self.images.classes().to_vec(),
            tensors: to_state_dict(network, network.spec().naming)?,
            optimiser: StateDict::new(),
            state: None,
        })
    }
}

/// Compares the images with those that the run began with. Gives a remark where that is not certain.
fn check_data(
    images: &TrainingImages,
    folder: &RunFolder,
    progress: &Progress,
) -> Result<Option<String>, Error> {
    let then = &progress.data;
    let list = then.inventory.as_ref().and_then(|hash| {
        let list = Inventory::read(&folder.images())?;
        (list.hash() == *hash).then_some(list)
    });
    let compared = match &list {
        Some(list) => list.compare(&images.sets(), &progress.bad)?,
        None => Compared::default(),
    };
    then.compare(&images.fingerprint(None))?;
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

/// Prefix of the averaged weights among the tensors of the optimiser.
const AVERAGE: &str = "average.";

/// Tensors and progress of a training.
struct State {
    network: ResNet,
    optimiser: StateDict,
    progress: Progress,
}

fn compute(low_memory: bool) -> Compute {
    let memory = if low_memory { Memory::Low } else { Memory::Keep };
    Compute { memory, ..Compute::default() }
}

/// Device on which networks are trained.
fn device() -> Device {
    Device::flex().autodiff()
}
