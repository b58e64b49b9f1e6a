//! Images of a training: those to train on, and those to evaluate on.

use std::sync::Arc;

use residual_arch::{NetSpec, TaskKind};
use residual_data::{
    CachePlan, DataSource, Dataset, MOST_COMPARED, Note, OpenOptions, Source, Split, overlap,
};

use crate::data::inventory::Inventory;
use crate::run::progress::{Fingerprint, Fnv};
use crate::train_loop::prepare::Prepared;
use crate::{DataRecipe, Error, Recipe};

impl DataRecipe {
    /// Opens the images at [`path`](Self::path).
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn open(&self) -> Result<Dataset, Error> {
        self.open_for(TaskKind::SingleLabel)
    }

    /// Opens the images at [`path`](Self::path) for a task.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn open_for(&self, task: TaskKind) -> Result<Dataset, Error> {
        let options = OpenOptions::default().with(|options| {
            options.split_seed = self.split_seed;
            options.holdout = self.validation;
            options.skip_bad = self.skip_bad;
            options.columns.clone_from(&self.columns);
            options.root.clone_from(&self.root);
            options.task = task;
        });
        Ok(Dataset::open(&self.source(), &options)?)
    }

    /// Checks that there is something where the images should be.
    pub(crate) fn check_place(&self) -> Result<(), Error> {
        match self.source() {
            source if self.from_program || source.is_there() => Ok(()),
            _ => Err(Error::DataGone(self.path.clone())),
        }
    }

    pub(crate) fn source(&self) -> DataSource {
        match self.path.to_str() {
            Some(text) => DataSource::from(text),
            None => DataSource::from(self.path.clone()),
        }
    }
}

/// Images of a training, opened.
#[derive(Clone)]
pub(crate) struct TrainingImages {
    pub(crate) train: Arc<dyn Source>,
    pub(crate) evaluation: Arc<dyn Source>,
    /// Split that `evaluation` is.
    pub(crate) split: Split,
    pub(crate) notes: Vec<Note>,
    /// False for the embedded images, which do not change.
    may_change: bool,
}

impl TrainingImages {
    /// Images that a program gives.
    pub(crate) fn given(train: Arc<dyn Source>, evaluation: Arc<dyn Source>) -> Self {
        Self { train, evaluation, split: Split::Val, notes: Vec::new(), may_change: true }
    }

    /// Images where the recipe says.
    pub(crate) fn open(recipe: &DataRecipe, task: TaskKind) -> Result<Self, Error> {
        let data = recipe.open_for(task)?;
        data.check_trainable()?;
        let train = data.split(Split::Train)?;
        let split = data.resolve(Split::Val).map_err(|error| match error {
            residual_data::Error::MissingSplit { .. } => Error::NothingHeldOut(recipe.path.clone()),
            other => other.into(),
        })?;
        let evaluation = data.split(split)?;
        Ok(Self {
            train: Arc::new(train),
            evaluation: Arc::new(evaluation),
            split,
            notes: data.notes().to_vec(),
            may_change: recipe.source() != DataSource::Sample,
        })
    }

    /// Checks that both parts are there and have the same classes.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (train, evaluation) = (self.train.classes(), self.evaluation.classes());
        if train != evaluation {
            let (train, evaluation) = (train.to_vec(), evaluation.to_vec());
            return Err(Error::SplitsDiffer { train, evaluation });
        }
        let (found, expected) = (self.evaluation.task(), self.train.task());
        if found != expected {
            let reason =
                format!("{expected} to train on, and {found} to evaluate on; help: give both the same");
            return Err(Error::Task { field: "task", reason });
        }
        match (self.train.is_empty(), self.evaluation.is_empty()) {
            (true, _) => Err(Error::NothingToTrainOn),
            (_, true) => Err(Error::NothingToEvaluate),
            _ => Ok(()),
        }
    }

    /// Notes images that are both trained on and judged by, as far as a quick comparison shows. Changes nothing else.
    pub(crate) fn note_overlap(&mut self) {
        if !self.may_change {
            return;
        }
        let found = overlap(self.split, &*self.evaluation, &*self.train, MOST_COMPARED);
        let found = found.filter(|found| found.images() > 0 || found.uncompared > 0);
        self.notes.extend(found.map(Note::Overlap));
    }

    /// Names of the classes, in the order of the outputs.
    pub(crate) fn classes(&self) -> &[String] {
        self.train.classes()
    }

    pub(crate) fn sets(&self) -> [(Split, &dyn Source); 2] {
        [(Split::Train, &*self.train), (self.split, &*self.evaluation)]
    }

    /// Caches of the training images and of those that are evaluated on, which share the recipe's memory.
    pub(crate) fn plan_cache(&self, recipe: &Recipe, spec: &NetSpec) -> Result<CachePlan, Error> {
        let options = [Prepared::loader_options(recipe, spec), Prepared::evaluation_options(spec)];
        let sources = [(&*self.train, &options[0]), (&*self.evaluation, &options[1])];
        Ok(CachePlan::new(recipe.data.cache, &sources)?)
    }

    /// Inventory of the images as they are; `None` for those that are embedded.
    pub(crate) fn inventory(&self) -> Option<Inventory> {
        self.may_change.then(|| Inventory::of(&self.sets()))
    }

    pub(crate) fn fingerprint(&self, inventory: Option<&Inventory>) -> Fingerprint {
        let mut hash = Fnv::new();
        for (_, set) in self.sets() {
            for index in 0..set.len() {
                hash.write(set.name(index).as_bytes());
                hash.write(&(set.label(index) as u64).to_le_bytes());
                if !set.task().is_single_label() {
                    set.targets(index).iter().for_each(|target| hash.write(&target.to_le_bytes()));
                }
            }
        }
        Fingerprint {
            train: self.train.len(),
            evaluation: self.evaluation.len(),
            files: hash.finish(),
            inventory: inventory.map(Inventory::hash),
        }
    }
}
