//! What a recipe and its data come to, before anything is written.

use residual_arch::NetSpec;
use residual_data::{DataSource, Dataset, ImageSet, Loader, LoaderOptions, Split, steps_per_epoch};
use residual_nn::{Mode, ResNet};

use crate::inventory::Inventory;
use crate::memory::{require_memory_to_evaluate, require_memory_to_train};
use crate::progress::{Fingerprint, Fnv};
use crate::settle::size;
use crate::{Error, LearningRate, Recipe};

/// What a recipe and its data come to, before anything is written.
pub(crate) struct Plan {
    pub(crate) recipe: Recipe,
    pub(crate) rate: LearningRate,
    pub(crate) steps_per_epoch: usize,
    pub(crate) spec: NetSpec,
    pub(crate) data: Dataset,
    pub(crate) train: ImageSet,
    pub(crate) evaluation: ImageSet,
    pub(crate) split: Split,
    /// `[channels, height, width]` of the first training image as the network sees it; `None` where none of the first
    /// ones can be decoded.
    pub(crate) image: Option<[usize; 3]>,
}

/// So many images are tried for one that can be decoded.
const TRIED: usize = 8;

impl Plan {
    /// Opens the data, decides what the recipe leaves open, and checks all that can be known before a network is
    /// built.
    pub(crate) fn of(recipe: &Recipe) -> Result<Self, Error> {
        // What is wrong with the recipe itself is said before the data are opened.
        recipe.validate()?;
        let data = recipe.data.open()?;
        data.check_trainable()?;
        let train = data.split(Split::Train)?;
        let split = data.resolve(Split::Val).map_err(|error| match error {
            residual_data::Error::MissingSplit { .. } => Error::NothingHeldOut(recipe.data.path.clone()),
            other => other.into(),
        })?;
        let evaluation = data.split(split)?;
        let (mut recipe, spec) = recipe.settle(&data.classes, train.len())?;
        recipe.make_paths_absolute()?;
        let batch_size = recipe.images_per_step();
        let steps_per_epoch = steps_per_epoch(train.len(), batch_size, recipe.drop_last == Some(true));
        let rate = LearningRate::new(
            recipe.rate(),
            recipe.schedule.clone(),
            recipe.warmup,
            recipe.epochs,
            steps_per_epoch as u64,
        )?;
        let mut plan =
            Self { recipe, rate, steps_per_epoch, spec, data, train, evaluation, split, image: None };
        plan.image = plan.check_images()?;
        Ok(plan)
    }

    /// How the images of an epoch are read for training.
    pub(crate) fn loader_options(recipe: &Recipe, spec: &NetSpec) -> LoaderOptions {
        LoaderOptions {
            shuffle: true,
            seed: recipe.seed,
            drop_last: recipe.drop_last == Some(true),
            augment: recipe.augment.clone().unwrap_or_default(),
            skip_bad: recipe.data.skip_bad,
            ..LoaderOptions::evaluation(recipe.images_per_step(), spec.preprocess.clone())
        }
    }

    /// Sends the first images through decoding, augmentation and preprocessing, and their sizes through the network;
    /// then asks for the memory of a step and of an evaluation.
    fn check_images(&self) -> Result<Option<[usize; 3]>, Error> {
        let batch = self.recipe.images_per_step().min(self.train.len());
        if size(&self.spec.preprocess).is_some() {
            // Before a single image is brought to that size.
            require_memory_to_train(&self.spec, None, batch, &self.recipe)?;
        }
        let training = Self::loader_options(&self.recipe, &self.spec);
        let evaluation = LoaderOptions::evaluation(1, self.spec.preprocess.clone());
        let trained_on = first_shape(&self.train, training)?;
        let judged = first_shape(&self.evaluation, evaluation)?;
        for image in [trained_on, judged].into_iter().flatten() {
            residual_arch::shape::flow(&self.spec, image)
                .map_err(|cause| Error::ImageSize { input: image, cause: Box::new(cause) })?;
        }
        require_memory_to_train(&self.spec, trained_on, batch, &self.recipe)?;
        let batch = self.recipe.eval_batch_size.unwrap_or(batch).min(self.evaluation.len());
        require_memory_to_evaluate(&self.spec, judged, batch)?;
        Ok(trained_on)
    }

    /// Whether every batch of an epoch is one that the network can train on.
    pub(crate) fn check_batches(&self, network: &ResNet) -> Result<(), Error> {
        let Some([channels, height, width]) = self.image else { return Ok(()) };
        let check = |images: usize| {
            network.check_input([images, channels, height, width], Mode::train(self.recipe.seed, 0))
        };
        let (images, batch_size) = (self.train.len(), self.recipe.images_per_step());
        check(batch_size.min(images))?;
        match images % batch_size {
            left if left > 0 && self.recipe.drop_last == Some(false) => {
                check(left).map_err(|cause| Error::LastBatch { images: left, cause: Box::new(cause) })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn sets(&self) -> [(Split, &ImageSet); 2] {
        [(Split::Train, &self.train), (self.split, &self.evaluation)]
    }

    /// The images as they are; `None` for those that are embedded.
    pub(crate) fn inventory(&self) -> Option<Inventory> {
        (self.recipe.data.source() != DataSource::Sample).then(|| Inventory::of(&self.sets()))
    }

    pub(crate) fn fingerprint(&self, inventory: Option<&Inventory>) -> Fingerprint {
        let mut hash = Fnv::new();
        for set in [&self.train, &self.evaluation] {
            for index in 0..set.len() {
                hash.write(set.name(index).as_bytes());
                hash.write(&(set.label(index) as u64).to_le_bytes());
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

/// The shape of the first image that can be decoded, of the first few. Images that cannot be are left to the training,
/// which names or skips them when their turn comes.
fn first_shape(set: &ImageSet, options: LoaderOptions) -> Result<Option<[usize; 3]>, Error> {
    let options = LoaderOptions {
        batch_size: 1,
        workers: 0,
        shuffle: false,
        drop_last: false,
        skip_bad: true,
        ..options
    };
    for batch in Loader::new(std::sync::Arc::new(set.clone()), options)?.take(TRIED) {
        if let [1, channels, height, width] = batch?.shape {
            return Ok(Some([channels, height, width]));
        }
    }
    Ok(None)
}
