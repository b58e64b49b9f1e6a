//! Features of a frozen trunk, computed once by the engine.

use std::sync::Arc;

use residual_data::{Augment, Loader, LoaderOptions, Source};
use residual_engine::Images;
use residual_weights::Model;

use crate::evaluation::engine_plan::EnginePlan;
use crate::train_loop::session::Session;
use crate::{Error, Recipe};

/// Features of images, a row each, and their labels or targets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureSet {
    width: usize,
    values: Vec<f32>,
    labels: Vec<usize>,
    /// `[images][outputs]`, where the task is not single label.
    targets: Vec<f64>,
}

/// Truth about an image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Truth<'a> {
    Label(usize),
    Targets(&'a [f64]),
}

impl FeatureSet {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, values: Vec::new(), labels: Vec::new(), targets: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn push(&mut self, row: &[f32], label: usize) {
        self.values.extend_from_slice(row);
        self.labels.push(label);
    }

    #[cfg(test)]
    pub(crate) fn push_targets(&mut self, row: &[f32], targets: &[f64]) {
        self.push(row, 0);
        self.targets.extend_from_slice(targets);
    }

    /// Adds the rows of another set.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
        self.labels.extend_from_slice(&other.labels);
        self.targets.extend_from_slice(&other.targets);
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// `[images][width]`
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// `[images][outputs]`; empty for single labels.
    pub(crate) fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// Truth about an image.
    pub(crate) fn truth(&self, image: usize) -> Truth<'_> {
        match self.targets.len() / self.len().max(1) {
            0 => Truth::Label(self.labels[image]),
            outputs => Truth::Targets(&self.targets[image * outputs..(image + 1) * outputs]),
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }
}

/// View of the images that a pass over them sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum View {
    /// As in evaluation.
    Plain,
    /// Mirrored, left and right.
    Mirrored,
    /// Changed by the recipe's augmentations, drawn anew for each number.
    Augmented(u64),
}

/// Trunk whose features are taken: the layers of a model before the head's linear layer.
pub(crate) struct Trunk<'a, 's> {
    model: &'a Model,
    /// Settled recipe: seed, threads.
    recipe: &'a Recipe,
    /// Augmentations of the views that have some.
    pub(crate) augment: Vec<Augment>,
    session: &'a mut Session<'s>,
    plan: EnginePlan,
    /// Images that are done, of all passes, and those of all passes.
    done: usize,
    total: usize,
}

/// Images at a time.
const BATCH: usize = 32;

impl<'a, 's> Trunk<'a, 's> {
    /// Trunk for passes over `total` images.
    pub(crate) fn new(
        model: &'a Model,
        recipe: &'a Recipe,
        session: &'a mut Session<'s>,
        total: usize,
    ) -> Self {
        let plan = EnginePlan::new(recipe.workers(), BATCH);
        let augment = recipe.augment.clone().unwrap_or_default();
        Self { model, recipe, augment, session, plan, done: 0, total }
    }

    /// Features of a view of images, in their order; `None` where it was stopped.
    pub(crate) fn features(
        &mut self,
        images: &Arc<dyn Source>,
        view: View,
    ) -> Result<Option<FeatureSet>, Error> {
        let mut set: Option<FeatureSet> = None;
        for batch in Loader::new(images.clone(), self.options(view))? {
            if self.session.stops() {
                return Ok(None);
            }
            let batch = batch?;
            batch.skipped.iter().for_each(|bad| self.session.skipped(&bad.to_string()));
            self.done += batch.labels.len() + batch.skipped.len();
            self.session.evaluating(self.done.min(self.total), self.total);
            if batch.labels.is_empty() {
                continue;
            }
            let [_, channels, height, width] = batch.shape;
            let model = || Ok(self.model.clone());
            let (plan, scratch) = self.plan.for_images([channels, height, width], model)?;
            let values = plan.embed(Images::Planar(&batch.images), scratch)?;
            let set = set.get_or_insert_with(|| FeatureSet::new(values.len() / batch.labels.len()));
            set.values.extend(values);
            set.labels.extend(batch.labels);
            set.targets.extend(batch.targets);
        }
        set.map(Some).ok_or(Error::NothingToTrainOn)
    }

    fn options(&self, view: View) -> LoaderOptions {
        let recipe = self.recipe;
        LoaderOptions::evaluation(BATCH, self.model.spec().preprocess.clone()).with(|options| {
            options.workers = recipe.workers();
            options.skip_bad = recipe.data.skip_bad;
            options.seed = recipe.seed;
            match view {
                View::Plain => {}
                View::Mirrored => options.augment = vec![Augment::HorizontalFlip { probability: 1.0 }],
                View::Augmented(number) => {
                    // Apart from the draws of the training's epochs.
                    options.epoch = u64::MAX / 2 + number;
                    options.augment.clone_from(&self.augment);
                }
            }
        })
    }
}
