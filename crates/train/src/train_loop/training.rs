//! A training that is put together, and then begun or resumed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use residual_arch::NetSpec;
use residual_data::Source;
use residual_ranks::{Alone, Communicator};
use residual_weights::Model;

use crate::data::images::TrainingImages;
use crate::train_loop::given::Given;
use crate::train_loop::session::{Session, session_setters};
use crate::{Changes, Error, Observer, Recipe, Trainer};

/// Training put together from a recipe, images, an observer and a stop flag, to be [begun](Self::begin) in a folder or
/// [resumed](Self::resume) from one.
///
/// ```
/// use residual_data::{Image, LabelledImages};
/// use residual_train::{Outcome, Training};
///
/// let image = |value: u8| Image::new(32, 32, 1, vec![value; 1024]).unwrap();
/// let images = (0..60).map(|i| (image(4 * i), usize::from(i >= 30))).collect();
/// let (train, held_out) = LabelledImages::new(["dark", "bright"], images)?.hold_out(0.2, 0)?;
/// let training = || {
///     let recipe = Training::new("cifar_resnet8").with(|recipe| (recipe.epochs, recipe.seed) = (2, 7));
///     recipe.images(train.clone(), held_out.clone())
/// };
/// # let folder = tempfile::tempdir()?;
/// # let runs = folder.path();
///
/// // Some steps now, and the others another day: the same bits as at one go.
/// let mut trainer = training().begin(runs.join("first"))?;
/// for _ in 0..5 {
///     let report = trainer.step()?.unwrap();
///     assert!(report.loss.is_finite());
/// }
/// trainer.save()?;
/// drop(trainer);
///
/// let mut trainer = training().resume(runs.join("first"))?;
/// let Outcome::Finished { best, .. } = trainer.run()? else { panic!("nobody stops it") };
/// println!("{:.1}% after epoch {}", 100.0 * best.top1, best.epoch);
/// let network = trainer.into_network();
/// # assert_eq!(network.spec().head.classes, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Training<'a> {
    recipe: Recipe,
    given: Given,
    changes: Changes,
    observer: Box<dyn Observer + Send + 'a>,
    stop: Arc<AtomicBool>,
    ranks: Arc<dyn Communicator>,
}

impl Default for Training<'_> {
    /// Training by [`Recipe::default`]; enough for [`resume`](Training::resume), which has the folder's recipe.
    fn default() -> Self {
        Self::new(Recipe::default())
    }
}

impl<'a> Training<'a> {
    /// Training by a recipe, or of a network by the default one: the name of a family member, or a [`NetSpec`].
    pub fn new(recipe: impl Into<Recipe>) -> Self {
        Self {
            recipe: recipe.into(),
            given: Given::default(),
            changes: Changes::default(),
            observer: Box::new(()),
            stop: Arc::default(),
            ranks: Arc::new(Alone),
        }
    }

    /// Fine-tunes a model: begins with its network and its weights, its head excepted where it is for another number of
    /// classes. The model is kept in the run's folder, and the recipe's `init` is its file there, so that the recipe
    /// can be repeated.
    pub fn model(mut self, model: Model) -> Self {
        self.given.model = Some(model);
        self
    }

    /// Changes the recipe.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Recipe) -> R) -> Self {
        change(&mut self.recipe);
        self
    }

    /// Trains on the images of a folder or an archive, as [`residual_data`] reads them.
    pub fn data(mut self, path: impl Into<PathBuf>) -> Self {
        self.recipe.data.path = path.into();
        self.given.images = None;
        self
    }

    /// Trains on images that the program gives, and evaluates on others of the same classes. They are not in the run's
    /// folder: to resume it, give them again.
    pub fn images(mut self, train: impl Source + 'static, evaluation: impl Source + 'static) -> Self {
        self.given.images = Some(TrainingImages::given(Arc::new(train), Arc::new(evaluation)));
        self
    }

    session_setters!();

    /// Trains together with other ranks, each of which begins or resumes the same training: they share the
    /// [shards](Recipe::shards) of every batch. The first one writes the folder; one that [resumes](Self::resume) reads it,
    /// on whichever rank. The weights have the same bits for any number of ranks. Where one ends, the others have
    /// [`Error::Ranks`].
    pub fn ranks(mut self, ranks: Arc<dyn Communicator>) -> Self {
        self.ranks = ranks;
        self
    }

    /// Changes what may change of a run that is resumed.
    pub fn changes(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self
    }

    /// Begins the training in a folder that has none. Before anything is written, the recipe and the images are
    /// checked and the network is built; then the recipe and a first checkpoint are written, so that a full
    /// disk shows before the first step. Where it does not begin, no folder is left behind.
    ///
    /// # Errors
    /// Those of [`Recipe::settle`] and [`DataRecipe::open`](crate::DataRecipe::open); [`Error::RunExists`],
    /// [`Error::Locked`] and [`Error::Io`] for the folder; [`Error::Init`] for weights to begin with that are not the
    /// network's, or no numbers; [`Error::ImageSize`], [`Error::LastBatch`] and [`Error::Memory`] for a step or an
    /// evaluation that is not possible; [`Error::ImagesNotGiven`] for a recipe of images that a program gave; of several ranks
    /// [`Error::Shards`], [`Error::RanksDiffer`] and [`Error::Ranks`].
    pub fn begin(self, folder: impl Into<PathBuf>) -> Result<Trainer<'a>, Error> {
        Trainer::begin(
            &self.recipe,
            self.given,
            folder.into(),
            Session::new(self.observer, self.stop).with_ranks(self.ranks),
        )
    }

    /// Begins the training in a temporary folder, which is removed with the trainer.
    pub(crate) fn begin_tentative(self) -> Result<Trainer<'a>, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("residual-range-test-{}-{number}", std::process::id()));
        Trainer::tentative(&self.recipe, self.given, folder, Session::new(self.observer, self.stop))
    }

    /// Resumes the training in a folder from its last checkpoint, by the folder's own recipe, to the same bits as if
    /// it had never stopped. A run that was only just begun, which has its recipe and nothing else, begins.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Locked`]; [`Error::NoLast`] and [`Error::Checkpoint`] for a checkpoint that is not
    /// there or is damaged; [`Error::RecipeChanged`] for a recipe that makes another training;
    /// [`Error::DataChanged`], [`Error::ImageChanged`] and [`Error::ImagesNotGiven`] where the images are not those
    /// that the training began with; those of [`begin`](Self::begin).
    pub fn resume(self, folder: impl Into<PathBuf>) -> Result<Trainer<'a>, Error> {
        let session = Session::new(self.observer, self.stop).with_ranks(self.ranks);
        Trainer::resume(folder.into(), &self.changes, self.given, session)
    }
}

/// Default recipe for the family member of this name.
impl From<&str> for Recipe {
    fn from(family: &str) -> Self {
        Self { model: Some(family.to_owned()), ..Self::default() }
    }
}

/// Default recipe for a network that is written out.
impl From<NetSpec> for Recipe {
    fn from(network: NetSpec) -> Self {
        Self { network: Some(network), ..Self::default() }
    }
}

impl From<&Recipe> for Recipe {
    fn from(recipe: &Recipe) -> Self {
        recipe.clone()
    }
}
