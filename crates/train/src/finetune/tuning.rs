//! Fine-tuning of a model on other images: the head first, then the whole network.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use residual_arch::{Field, HeadPart, LayerPath, NetSpec, Task, TaskKind, TensorPath};
use residual_data::{Augment, Source, TaskScore};
use residual_kernels::Cpu;
use residual_weights::{Model, Tensor};

use crate::data::images::TrainingImages;
use crate::finetune::features::{FeatureSet, Trunk, View};
use crate::finetune::head_task::{HeadTask, Judgement};
use crate::finetune::regression::{Fit, LinearHead, fit, judge};
use crate::finetune::rules::{Facts, shorter_side};
use crate::losses::task_loss::standardised;
use crate::train_loop::given::Given;
use crate::train_loop::session::{Session, session_setters};
use crate::{DataRecipe, Error, Observer, Recipe, RunFolder, Trainer};

/// Rows of features that augmented views of few images are added up to.
const ENOUGH_ROWS: usize = 3000;

/// Limit on the augmented views of each image.
const MOST_VIEWS: usize = 6;

/// Loss in accuracy of mirrored images up to which they are taken to belong to their class, in standard errors.
const MIRROR_TOLERANCE: f64 = 2.0;

/// Fine-tuning of a model on other images, by a recipe that is chosen from them.
///
/// ```no_run
/// use residual_train::{DataRecipe, FineTuning, Outcome};
/// use residual_weights::Model;
///
/// let data = DataRecipe::default().with(|data| data.path = "flowers".into());
/// let tuning = FineTuning::new(Model::open("resnet18.safetensors")?, &data)?;
/// println!("{} epochs", tuning.recipe().epochs);
/// let Some(mut tuned) = tuning.with(|recipe| recipe.seed = 7).begin("runs/flowers")? else {
///     panic!("nobody stops it")
/// };
/// println!("the head alone: {:.1}%", 100.0 * tuned.head.top1);
/// let Outcome::Finished { best, .. } = tuned.trainer.run()? else { panic!("nobody stops it") };
/// println!("{:.1}% after epoch {}", 100.0 * best.top1, best.epoch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FineTuning<'a> {
    model: Model,
    recipe: Recipe,
    images: TrainingImages,
    /// Augmentations that were chosen, and are chosen anew by the mirrored images.
    augment: Option<Vec<Augment>>,
    facts: [usize; 2],
    /// True where the images come from a program, and are in no file.
    given: bool,
    observer: Box<dyn Observer + Send + 'a>,
    stop: Arc<AtomicBool>,
}

/// Training that begins with a fitted head.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tuned<'a> {
    /// Training of the whole network, with everything written.
    pub trainer: Trainer<'a>,
    /// Report on the head.
    pub head: HeadReport,
}

/// Report on a head that was fitted on the features of a frozen trunk.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeadReport {
    /// Number of views of each training image.
    pub views: usize,
    /// Fraction of the mirrored validation images that a head for unmirrored ones classifies correctly, and of those as
    /// they are, or values of another task's [score](Self::score); `None` where the augmentations were given, or have no
    /// flip.
    pub mirrored: Option<[f64; 2]>,
    /// True where flips are among the augmentations.
    pub flips: bool,
    /// Strength of the L2 penalty; `None` where the model's own head judges better.
    pub strength: Option<f64>,
    /// Mean loss of the validation images: cross-entropy, binary cross-entropy of a label, or the squared error of a
    /// standardised number.
    pub loss: f64,
    /// Fraction of them that was classified correctly; 0 of a task other than single label.
    pub top1: f64,
    /// Score of a task other than single label.
    pub score: Option<TaskScore>,
}

impl<'a> FineTuning<'a> {
    /// Opens images for the model's task, and chooses the recipe.
    ///
    /// # Errors
    /// [`Error::Data`]; [`Error::NothingHeldOut`] and [`Error::SplitsDiffer`] for data that have nothing to judge by.
    pub fn new(model: Model, data: &DataRecipe) -> Result<Self, Error> {
        let task = model.spec().task.kind();
        Self::for_task(model, data, task)
    }

    /// Opens images for a task, and chooses the recipe.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn for_task(model: Model, data: &DataRecipe, task: TaskKind) -> Result<Self, Error> {
        let images = TrainingImages::open(data, task)?;
        let mut tuning = Self::of(model, images, false)?;
        tuning.recipe.data = data.clone();
        Ok(tuning)
    }

    /// Chooses the recipe for images that a program gives. To resume the run, give them again.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_images(
        model: Model,
        train: impl Source + 'static,
        evaluation: impl Source + 'static,
    ) -> Result<Self, Error> {
        Self::of(model, TrainingImages::given(Arc::new(train), Arc::new(evaluation)), true)
    }

    fn of(model: Model, images: TrainingImages, given: bool) -> Result<Self, Error> {
        model.require_float32()?;
        images.check()?;
        let side = shorter_side(&*images.train);
        let facts = Facts { images: images.train.len(), spec: model.spec(), shorter_side: side };
        let recipe = facts.recipe().with(|recipe| recipe.task = images.train.task());
        let (augment, facts) = (recipe.augment.clone(), [images.train.len(), side.unwrap_or(0)]);
        Ok(Self {
            model,
            recipe,
            images,
            augment,
            facts,
            given,
            observer: Box::new(()),
            stop: Arc::default(),
        })
    }

    /// Changes the recipe.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Recipe) -> R) -> Self {
        change(&mut self.recipe);
        self
    }

    /// Recipe that was chosen, with what was changed of it.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Number of training images, and the median of their shorter sides (0 where none of the first could be decoded).
    pub fn facts(&self) -> [usize; 2] {
        self.facts
    }

    session_setters!();

    /// Fits the head, and begins the training in a folder that has none, as
    /// [`Training::begin`](crate::Training::begin) does: the model with its new head is in the folder, and the recipe's
    /// `init`. `None` where it was stopped before; nothing is left behind then.
    ///
    /// # Errors
    /// Those of [`Training::begin`](crate::Training::begin); [`Error::Features`] for features that are not finite;
    /// [`Error::Task`] for a recipe of another task than the images are labelled for.
    pub fn begin(self, folder: impl Into<PathBuf>) -> Result<Option<Tuned<'a>>, Error> {
        let folder = folder.into();
        RunFolder::check_free(&folder)?;
        let (mut recipe, found) = (self.recipe, self.images.train.task());
        if recipe.task != found {
            let reason =
                format!("{}, and images that were opened for {found}; help: give both the same", recipe.task);
            return Err(Error::Task { field: "task", reason });
        }
        let classes = self.images.classes().to_vec();
        recipe.model = None;
        let brought = &self.model.spec().task;
        recipe.network = Some(self.model.spec().clone().with_classes(classes.len()).with(|network| {
            // Of another task there is nothing to keep.
            if network.task.kind() != recipe.task {
                network.task = Task::SingleLabel;
            }
        }));
        let chosen = recipe.augment == self.augment;
        let (mut recipe, mut spec) = recipe.settle(&classes, self.images.train.len())?;
        spec.task = standardised(&spec.task, Some(brought), &*self.images.train)?;
        let model = with_blank_head(&self.model, &spec)?;
        let mut session = Session::new(self.observer, self.stop);
        let fitting =
            HeadFitting { own: &self.model, model: &model, images: &self.images, recipe: &recipe, chosen };
        let Some((head, report)) = fitting.run(&mut session)? else { return Ok(None) };
        if chosen && !report.flips {
            recipe.augment = recipe.augment.map(without_flips);
        }
        recipe.network = None;
        let model = with_head(model, head).with_classes(classes)?;
        let images = self.given.then_some(self.images);
        let given = Given { images, model: Some(model) };
        let trainer = Trainer::begin(&recipe, given, folder, session)?;
        Ok(Some(Tuned { trainer, head: report }))
    }
}

/// Path of a tensor of the head's linear layer.
fn head_tensor(field: Field) -> TensorPath {
    LayerPath::Head(HeadPart::Linear).tensor(field)
}

/// The model's trunk in a network of other classes, with a head of zeros.
fn with_blank_head(model: &Model, spec: &NetSpec) -> Result<Model, Error> {
    let is_head = |path: &TensorPath| path.layer == LayerPath::Head(HeadPart::Linear);
    model.check_values(|path| !is_head(&path))?;
    let network = spec.check(spec.input)?;
    let zeros = |shape: Vec<usize>| Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
    let head = network.tensors().filter(|(path, _)| is_head(path));
    let head = head.map(|(path, tensor)| Ok((path, zeros(tensor.shape)?)));
    let head = head.collect::<Result<Vec<_>, residual_weights::Error>>()?;
    let trunk = model.tensors().filter(|(path, _)| !is_head(path));
    let trunk = trunk.map(|(path, tensor)| (path, tensor.clone()));
    Ok(Model::new(network, trunk.chain(head))?)
}

fn with_head(mut model: Model, head: LinearHead) -> Model {
    for (field, values) in [(Field::Weight, head.weight), (Field::Bias, head.bias)] {
        if let Some(tensor) = model.tensor_mut(head_tensor(field)) {
            tensor.copy_from_slice(&values);
        }
    }
    model
}

/// Fitting of a head on the features of a model's trunk.
struct HeadFitting<'f> {
    /// Model as it came, with its own head.
    own: &'f Model,
    /// Model in the network to be trained.
    model: &'f Model,
    images: &'f TrainingImages,
    recipe: &'f Recipe,
    /// True where the augmentations are a choice of the rules.
    chosen: bool,
}

impl HeadFitting<'_> {
    fn run(&self, session: &mut Session<'_>) -> Result<Option<(LinearHead, HeadReport)>, Error> {
        let (train, held_out) = (&self.images.train, &self.images.evaluation);
        let (cpu, task) = (Cpu::new(self.recipe.workers())?, self.task());
        let has_flips = self.recipe.augment.iter().flatten().any(is_flip);
        let asks = self.chosen && has_flips;
        let extra = self.augmented_views();
        let total = (2 + extra) * train.len() + (1 + usize::from(asks)) * held_out.len();
        let mut trunk = Trunk::new(self.model, self.recipe, session, total);
        let Some(judged_by) = trunk.features(held_out, View::Plain)? else { return Ok(None) };
        let Some(mut set) = trunk.features(train, View::Plain)? else { return Ok(None) };
        let mut mirrored = None;
        if asks {
            let Some(mirror) = trunk.features(held_out, View::Mirrored)? else { return Ok(None) };
            let plain = fit(&cpu, &set, &judged_by, &task)?;
            mirrored = Some([judge(&cpu, &plain.head, &mirror, &task)?, plain.judged]);
        }
        let flips = has_flips && mirrored.as_ref().is_none_or(belongs);
        let mirrored = mirrored.map(|pair| pair.map(|judged| judged.value()));
        if !flips {
            trunk.augment = without_flips(std::mem::take(&mut trunk.augment));
        }
        let mirror = flips.then_some(View::Mirrored);
        for view in mirror.into_iter().chain((0..extra as u64).map(View::Augmented)) {
            let Some(more) = trunk.features(train, view)? else { return Ok(None) };
            set.extend(&more);
        }
        let fitted = fit(&cpu, &set, &judged_by, &task)?;
        let (fitted, strength) = self.better(&cpu, fitted, &judged_by)?;
        let views = 1 + usize::from(flips) + extra;
        let Judgement { top1, score, .. } = fitted.judged;
        let loss = fitted.judged.loss();
        Ok(Some((fitted.head, HeadReport { views, mirrored, flips, strength, loss, top1, score })))
    }

    /// Number of augmented views of each image, beside the image as it is and mirrored: some where images are few.
    fn augmented_views(&self) -> usize {
        match &self.recipe.augment {
            Some(list) if !list.is_empty() => {
                (ENOUGH_ROWS / self.images.train.len().max(1)).saturating_sub(2).min(MOST_VIEWS)
            }
            _ => 0,
        }
    }

    fn task(&self) -> HeadTask {
        let spec = self.model.spec();
        HeadTask { task: spec.task.clone(), outputs: spec.head.classes }
    }

    /// The fitted head with its strength, or the model's own where that is for as many outputs and has less loss on the
    /// validation images.
    fn better(&self, cpu: &Cpu, fitted: Fit, judged_by: &FeatureSet) -> Result<(Fit, Option<f64>), Error> {
        let task = self.task();
        if self.own.has_head() && self.own.spec().head.classes == task.outputs {
            let values = |field| self.own.tensor(head_tensor(field)).map(|tensor| tensor.data().to_vec());
            let bias = values(Field::Bias).unwrap_or_else(|| vec![0.0; task.outputs]);
            if let Some(weight) = values(Field::Weight) {
                let head = LinearHead { weight, bias };
                let judged = judge(cpu, &head, judged_by, &task)?;
                if judged.loss() < fitted.judged.loss() {
                    return Ok((Fit { head, judged, ..fitted }, None));
                }
            }
        }
        let strength = Some(fitted.strength);
        Ok((fitted, strength))
    }
}

/// Augmentations without those that mirror images.
fn without_flips(mut list: Vec<Augment>) -> Vec<Augment> {
    list.retain(|one| !is_flip(one));
    list
}

fn is_flip(one: &Augment) -> bool {
    matches!(one, Augment::HorizontalFlip { .. })
}

/// Test for mirrored images that are judged as well as those that are not, as far as so many images can tell: by the
/// accuracy, and of other tasks than single label by the losses.
fn belongs([mirrored, plain]: &[Judgement; 2]) -> bool {
    let images = plain.losses.len().max(1) as f64;
    if plain.score.is_none() {
        let error = (plain.top1 * (1.0 - plain.top1) / images).sqrt().max(0.02);
        return mirrored.top1 >= plain.top1 - MIRROR_TOLERANCE * error;
    }
    let apart: Vec<f64> = mirrored.losses.iter().zip(&plain.losses).map(|(m, p)| m - p).collect();
    let mean = apart.iter().sum::<f64>() / images;
    let variance = apart.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / images;
    mean <= MIRROR_TOLERANCE * (variance / images).sqrt().max(0.02 * plain.loss())
}

#[cfg(test)]
mod tests {
    use residual_data::Metric;

    use super::*;

    #[test]
    fn mirrored_images_belong_where_they_are_judged_as_well() {
        let judged = |losses: Vec<f64>, top1, is_other: bool| {
            let score = is_other.then_some(TaskScore { metric: Metric::MeanAbsoluteError, value: 1.0 });
            Judgement { losses, top1, score }
        };
        let of = |mirrored, plain| belongs(&[mirrored, plain]);
        let single = |top1| judged(vec![1.0; 100], top1, false);
        assert!(of(single(0.85), single(0.9)) && !of(single(0.8), single(0.9)));
        let other = |shift: f64, every: f64| {
            judged((0..100).map(|i| 1.0 + shift + every * f64::from(i % 2)).collect(), 0.0, true)
        };
        assert!(of(other(0.03, 0.0), other(0.0, 0.0)) && !of(other(0.05, 0.0), other(0.0, 0.0)));
        // As far apart, and with more noise between the images.
        assert!(
            of(other(-0.25, 0.6), other(0.0, 0.0)),
            "half a deviation of 0.3 is 0.06 at a hundred images"
        );
    }
}
