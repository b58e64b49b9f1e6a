//! A training that is about to begin or to go on.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use residual_arch::NetSpec;
use residual_data::{
    DataSource, Dataset, ImageSet, Note, OpenOptions, Split, classes_summary, steps_per_epoch,
};
use residual_nn::fused::Memory;
use residual_nn::{Compute, ResNet};
use residual_weights::{Checkpoint, StateDict, Tensor};

use crate::init::initial;
use crate::metrics::MetricsFile;
use crate::progress::{Fingerprint, Fnv, Progress};
use crate::transfer::{from_state_dict, to_state_dict};
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
}

/// What a recipe and its data come to, before anything is written.
struct Plan {
    recipe: Recipe,
    rate: LearningRate,
    steps_per_epoch: usize,
    spec: NetSpec,
    data: Dataset,
    train: ImageSet,
    evaluation: ImageSet,
    split: Split,
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

    fn source(&self) -> DataSource {
        match self.path.to_str() {
            Some(text) => DataSource::from(text),
            None => DataSource::from(self.path.clone()),
        }
    }
}

impl Recipe {
    /// So that a run can be resumed, and its recipe repeated, from any folder.
    fn make_paths_absolute(&mut self) -> Result<(), Error> {
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
    /// disk shows before the first step.
    ///
    /// # Errors
    /// Those of [`Recipe::settle`], [`RunFolder::create`] and [`DataRecipe::open`]; [`Error::Init`] for
    /// weights to begin with that are not the network's.
    pub fn begin(recipe: &Recipe, out: impl Into<PathBuf>) -> Result<Self, Error> {
        let plan = Plan::of(recipe)?;
        let (network, replaced_head) = initial(&plan.recipe, &plan.spec, &device())?;
        let folder = RunFolder::create(out, &plan.recipe)?;
        let progress = Progress::new(plan.fingerprint());
        let trainer =
            Self { replaced_head, ..Self::assemble(plan, folder, network, StateDict::new(), progress)? };
        trainer.save_last()?;
        Ok(trainer)
    }

    /// Goes on with the training in a folder, from its last checkpoint.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Locked`], [`Error::Checkpoint`]; [`Error::DataChanged`] where the images are
    /// not those that the training began with; those of [`Trainer::begin`].
    pub fn resume(out: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = RunFolder::open(out)?;
        let plan = Plan::of(&folder.recipe()?)?;
        if !folder.last().exists() {
            // The process ended between the recipe and the first checkpoint.
            let (network, replaced_head) = initial(&plan.recipe, &plan.spec, &device())?;
            let progress = Progress::new(plan.fingerprint());
            let begun = Self::assemble(plan, folder, network, StateDict::new(), progress)?;
            return Ok(Self { replaced_head, ..begun });
        }
        let (checkpoint, progress) = Progress::read(&folder.last(), &plan.spec, &plan.fingerprint())?;
        let mut network = from_state_dict(&plan.spec, checkpoint.tensors, &device())
            .map_err(|error| Error::Checkpoint { path: folder.last(), reason: error.to_string() })?;
        network.freeze_layers(&plan.recipe.freeze)?;
        Self::assemble(plan, folder, network, checkpoint.optimiser, progress)
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
        let state = serde_json::to_value(&self.progress)
            .map_err(|error| Error::Checkpoint { path: path.clone(), reason: error.to_string() })?;
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
            tensors: to_state_dict(&self.network)?,
            optimiser: StateDict::new(),
            state: None,
        })
    }
}

impl Plan {
    fn of(recipe: &Recipe) -> Result<Self, Error> {
        // What is wrong with the recipe itself is said before the data are opened.
        recipe.validate()?;
        let data = recipe.data.open()?;
        data.check_trainable()?;
        let train = data.split(Split::Train)?;
        let split = data.resolve(Split::Val)?;
        let evaluation = data.split(split)?;
        let (mut recipe, spec) = recipe.settle(&data.classes, train.len())?;
        recipe.make_paths_absolute()?;
        let steps_per_epoch = steps_per_epoch(train.len(), recipe.batch_size, recipe.drop_last == Some(true));
        let rate = LearningRate::new(
            recipe.lr,
            recipe.schedule.clone(),
            recipe.warmup,
            recipe.epochs,
            steps_per_epoch as u64,
        )?;
        Ok(Self { recipe, rate, steps_per_epoch, spec, data, train, evaluation, split })
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Fnv::new();
        for set in [&self.train, &self.evaluation] {
            for index in 0..set.len() {
                hash.write(set.name(index).as_bytes());
                hash.write(&(set.label(index) as u64).to_le_bytes());
            }
        }
        Fingerprint { train: self.train.len(), evaluation: self.evaluation.len(), files: hash.finish() }
    }
}

fn compute(low_memory: bool) -> Compute {
    let memory = if low_memory { Memory::Low } else { Memory::Keep };
    Compute { memory, ..Compute::default() }
}

/// Where networks are trained.
fn device() -> Device {
    Device::flex().autodiff()
}
