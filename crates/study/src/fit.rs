//! Training for a number of steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Tensor, TensorData};
use residual_data::{Batch, ImageSet, Loader, LoaderOptions, score};
use residual_nn::{Mode, ResNet, cross_entropy};
use residual_train::{At, LearningRate, Optimiser, Recipe};
use serde::{Deserialize, Serialize};

use crate::Error;

/// A training that is counted in steps and not in epochs.
pub(crate) struct Fit<'a> {
    /// Settled.
    pub(crate) recipe: &'a Recipe,
    pub(crate) images: &'a ImageSet,
    pub(crate) steps: u64,
}

/// Report of one step.
pub(crate) struct Step {
    /// Steps done.
    pub(crate) done: u64,
    /// Sum of the losses of the batch's images, before the update.
    pub(crate) loss: f64,
    /// Images told wrong, before the update.
    pub(crate) wrong: usize,
    /// Images.
    pub(crate) images: usize,
}

/// End of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    /// The loss ceased to be finite.
    Diverged,
    Stopped,
}

/// Training as it stands: all that going on from here takes.
pub(crate) struct Course {
    pub(crate) network: ResNet,
    pub(crate) optimiser: Optimiser,
    pub(crate) position: Position,
}

/// Position in the order of the images: all that is random is a function of it, of the recipe's seed, and of the sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Steps done.
    pub(crate) done: u64,
    /// Epoch, counted from 0.
    pub(crate) epoch: u64,
    /// Batches done of it, those of which every image was left out included.
    pub(crate) batch: usize,
}

impl Course {
    /// Training of this network before its first step.
    pub(crate) fn new(network: ResNet, recipe: &Recipe) -> Self {
        let optimiser = Optimiser::new(recipe.optimiser).with_clip(recipe.clip);
        Self { network, optimiser, position: Position::default() }
    }
}

impl Fit<'_> {
    /// Trains; `after` sees the training after every step.
    pub(crate) fn run(
        &self,
        course: &mut Course,
        stop: &AtomicBool,
        mut after: impl FnMut(&Course, Step) -> Result<(), Error>,
    ) -> Result<End, Error> {
        let recipe = self.recipe;
        // The schedule over the steps that there are: one long epoch.
        let rate = LearningRate::new(recipe.rate(), recipe.schedule.clone(), recipe.warmup, 1, self.steps)?;
        loop {
            for batch in Loader::new(Arc::new(self.images.clone()), self.options(course))? {
                let done = course.position.done;
                if done == self.steps {
                    return Ok(End::Finished);
                }
                if stop.load(Ordering::Relaxed) {
                    return Ok(End::Stopped);
                }
                let batch = batch?;
                course.position.batch += 1;
                if batch.labels.is_empty() {
                    continue;
                }
                let step = step(course, recipe, batch, At { lr: rate.at(done), step: done + 1 })?;
                if !step.loss.is_finite() {
                    return Ok(End::Diverged);
                }
                course.position.done += 1;
                after(course, step)?;
            }
            if course.position.done == 0 {
                return Err(residual_train::Error::NothingToTrainOn.into());
            }
            course.position = Position { epoch: course.position.epoch + 1, batch: 0, ..course.position };
        }
    }

    fn options(&self, course: &Course) -> LoaderOptions {
        let recipe = self.recipe;
        let preprocess = course.network.spec().preprocess.clone();
        LoaderOptions::evaluation(recipe.images_per_step(), preprocess).with(|options| {
            options.workers = recipe.workers().div_ceil(2);
            options.shuffle = true;
            options.seed = recipe.seed;
            options.epoch = course.position.epoch;
            options.first_batch = course.position.batch;
            options.drop_last = recipe.drop_last == Some(true);
            options.augment = recipe.augment.clone().unwrap_or_default();
            options.skip_bad = recipe.data.skip_bad;
        })
    }
}

/// Forward, loss, backward, update.
fn step(course: &mut Course, recipe: &Recipe, batch: Batch, at: At) -> Result<Step, Error> {
    let Course { network, optimiser, .. } = course;
    let mode = Mode::train(recipe.seed, at.step - 1);
    network.check_input(batch.shape, mode)?;
    let (x, labels) = tensor(batch, network);
    let logits = network.forward(x, mode);
    let rows = logits.clone().inner().into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
    let classes = network.spec().head.classes;
    let scores: Vec<_> =
        rows.chunks_exact(classes).zip(&labels).map(|(row, &label)| score(row, label)).collect();
    let loss = scores.iter().map(|score| score.0).sum();
    let wrong = scores.iter().filter(|score| score.1 > 0).count();
    let gradients = cross_entropy(logits, &labels, recipe.label_smoothing)?.backward();
    optimiser.step(network, gradients, at);
    Ok(Step { done: at.step, loss, wrong, images: labels.len() })
}

/// The images where the network is, and the labels.
pub(crate) fn tensor(batch: Batch, network: &ResNet) -> (Tensor<4>, Vec<usize>) {
    (Tensor::from_data(TensorData::new(batch.images, batch.shape), &network.device()), batch.labels)
}
