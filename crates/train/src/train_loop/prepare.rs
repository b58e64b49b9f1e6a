//! A recipe and its images, opened and checked before anything is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual_arch::{NetSpec, Task};
use residual_data::{DataSource, Loader, LoaderOptions, Source, steps_per_epoch};
use residual_nn::{Mode, ResNet};

use crate::data::images::TrainingImages;
use crate::losses::task_loss::{TaskLoss, standardised};
use crate::recipes::settle::size;
use crate::train_loop::given::Given;
use crate::train_loop::memory::{require_memory_to_evaluate, require_memory_to_train};
use crate::{Error, LearningRate, Recipe, Sampling};

/// Recipe and images of a training, opened, settled and checked before anything is written.
pub(crate) struct Prepared {
    pub(crate) recipe: Recipe,
    pub(crate) rate: LearningRate,
    pub(crate) steps_per_epoch: usize,
    pub(crate) spec: NetSpec,
    pub(crate) loss: TaskLoss,
    pub(crate) images: TrainingImages,
    /// `[channels, height, width]` of the first training image as the network sees it; `None` where none of the first
    /// ones can be decoded.
    pub(crate) image: Option<[usize; 3]>,
}

/// Number of images that are tried for one that can be decoded.
const TRIED: usize = 8;

impl Prepared {
    /// Opens the images, decides what the recipe leaves open, and checks all that can be known before a network is
    /// built. Images that a program has `given` take the place of the recipe's.
    pub(crate) fn new(recipe: &Recipe, given: &Given) -> Result<Self, Error> {
        // What is wrong with the recipe itself is said before the data are opened.
        let mut recipe = recipe.clone();
        let brought = given.model.as_ref().map(|model| model.spec()).or(recipe.network.as_ref());
        let brought = brought.map(|spec| spec.task.clone());
        if let (true, Some(task)) = (recipe.task.is_single_label(), &brought) {
            recipe.task = task.kind();
        }
        if let Some(images) = &given.images {
            recipe.task = images.train.task();
        }
        recipe.validate()?;
        let images = match &given.images {
            Some(images) => {
                recipe.data.path = PathBuf::new();
                recipe.data.from_program = true;
                images.clone()
            }
            None if recipe.data.from_program => return Err(Error::ImagesNotGiven),
            None => TrainingImages::open(&recipe.data, recipe.task)?,
        };
        images.check()?;
        if let Some(model) = &given.model {
            // A head for other classes is replaced.
            let mut network = model.spec().clone().with_classes(images.classes().len());
            if network.task.kind() != recipe.task {
                network.task = Task::SingleLabel;
            }
            recipe.network = Some(network);
        }
        let (mut recipe, mut spec) = recipe.settle(images.classes(), images.train.len())?;
        spec.task = standardised(&spec.task, brought.as_ref(), &*images.train)?;
        let loss = TaskLoss::new(&recipe, &spec.task, &*images.train)?;
        recipe.make_paths_absolute()?;
        let batch_size = recipe.images_per_step();
        let drop_last = recipe.drop_last == Some(true);
        let steps_per_epoch = steps_per_epoch(images.train.len(), batch_size, drop_last);
        let rate = LearningRate::new(
            recipe.rate(),
            recipe.schedule.clone(),
            recipe.warmup,
            recipe.epochs,
            steps_per_epoch as u64,
        )?;
        let mut prepared = Self { recipe, rate, steps_per_epoch, spec, loss, images, image: None };
        prepared.image = prepared.check_images()?;
        Ok(prepared)
    }

    /// Options by which the images of an epoch are read for training.
    pub(crate) fn loader_options(recipe: &Recipe, spec: &NetSpec) -> LoaderOptions {
        LoaderOptions::evaluation(recipe.images_per_step(), spec.preprocess.clone()).with(|options| {
            options.shuffle = true;
            options.balanced = recipe.sampling == Sampling::Balanced;
            options.seed = recipe.seed;
            options.drop_last = recipe.drop_last == Some(true);
            options.augment = recipe.augment.clone().unwrap_or_default();
            options.repeats = recipe.augment_repeats;
            options.mix = recipe.mix.clone();
            options.skip_bad = recipe.data.skip_bad;
        })
    }

    /// Options by which the images are read for evaluation, as far as what is done to them goes.
    pub(crate) fn evaluation_options(spec: &NetSpec) -> LoaderOptions {
        LoaderOptions::evaluation(1, spec.preprocess.clone())
    }

    /// Sends the first images through decoding, augmentation and preprocessing, and their sizes through the network;
    /// then asks for the memory of a step and of an evaluation.
    fn check_images(&self) -> Result<Option<[usize; 3]>, Error> {
        let batch = self.recipe.images_at_a_time().min(self.images.train.len());
        if size(&self.spec.preprocess).is_some() {
            // Before a single image is brought to that size.
            require_memory_to_train(&self.spec, None, batch, &self.recipe)?;
        }
        let training = Self::loader_options(&self.recipe, &self.spec);
        let evaluation = Self::evaluation_options(&self.spec);
        let trained_on = first_shape(&self.images.train, training)?;
        let judged = first_shape(&self.images.evaluation, evaluation)?;
        for image in [trained_on, judged].into_iter().flatten() {
            residual_arch::shape::flow(&self.spec, image)
                .map_err(|cause| Error::ImageSize { input: image, cause: Box::new(cause) })?;
        }
        require_memory_to_train(&self.spec, trained_on, batch, &self.recipe)?;
        let batch = self.recipe.eval_batch_size.unwrap_or(batch).min(self.images.evaluation.len());
        require_memory_to_evaluate(&self.spec, judged, batch)?;
        Ok(trained_on)
    }

    /// Checks that the network can train on every batch of an epoch.
    pub(crate) fn check_batches(&self, network: &ResNet) -> Result<(), Error> {
        let Some([channels, height, width]) = self.image else { return Ok(()) };
        let whole = [self.spec.input[1], self.spec.input[2]];
        let resized = self.recipe.resize.as_ref().map(|resize| resize.sizes(self.recipe.epochs, whole));
        for size in resized.into_iter().flatten().chain([[height, width]]) {
            self.check_batches_of(network, [channels, size[0], size[1]])?;
        }
        Ok(())
    }

    fn check_batches_of(&self, network: &ResNet, [channels, height, width]: [usize; 3]) -> Result<(), Error> {
        let check = |images: usize| {
            network.check_input([images, channels, height, width], Mode::train(self.recipe.seed, 0))
        };
        let (images, batch_size) = (self.images.train.len(), self.recipe.images_per_step());
        // A step of several batches has them as even as can be.
        let least = |images: usize| match self.recipe.shards {
            1 => images / images.div_ceil(self.recipe.images_at_a_time()),
            // Shards without images are passed over.
            shards => (images / shards).max(1),
        };
        check(least(batch_size.min(images)))?;
        match images % batch_size {
            left if left > 0 && self.recipe.drop_last == Some(false) => {
                check(least(left)).map_err(|cause| Error::LastBatch { images: left, cause: Box::new(cause) })
            }
            _ => Ok(()),
        }
    }
}

impl Recipe {
    /// Makes the paths absolute, so that a run can be resumed, and its recipe repeated, from any folder.
    pub(crate) fn make_paths_absolute(&mut self) -> Result<(), Error> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io("find", path));
        if let (DataSource::Path(path), false) = (self.data.source(), self.data.from_program) {
            self.data.path = absolute(&path)?;
        }
        if let Some(root) = &mut self.data.root {
            *root = absolute(root)?;
        }
        if let Some(init) = &mut self.init {
            *init = absolute(init)?;
        }
        if let Some(teacher) = &mut self.teacher {
            teacher.path = absolute(&teacher.path)?;
        }
        Ok(())
    }
}

/// Shape of the first image that can be decoded, of the first few. Images that cannot be are left to the training,
/// which names or skips them when their turn comes.
fn first_shape(set: &Arc<dyn Source>, options: LoaderOptions) -> Result<Option<[usize; 3]>, Error> {
    let options = options.with(|options| {
        options.batch_size = 1;
        options.repeats = 1;
        options.workers = 0;
        options.shuffle = false;
        options.drop_last = false;
        options.skip_bad = true;
    });
    for batch in Loader::new(set.clone(), options)?.take(TRIED) {
        if let [1, channels, height, width] = batch?.shape {
            return Ok(Some([channels, height, width]));
        }
    }
    Ok(None)
}
