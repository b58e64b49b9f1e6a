//! The loss of a training as its task, recipe and images settle it.

use residual_arch::{RegressionTarget, Task, TaskKind};
use residual_data::{Batch, Source};
use residual_nn::{Loss, Objective};

use crate::{ClassWeights, Error, LossRecipe, Recipe};

/// Loss of a training, settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskLoss {
    pub(crate) task: Task,
    pub(crate) loss: LossRecipe,
    /// Weight of each class; empty for 1.
    pub(crate) weights: Vec<f64>,
    /// Weight of each class's positive labels; empty for 1.
    positive: Vec<f64>,
    pub(crate) smoothing: f64,
}

impl TaskLoss {
    /// Loss of a network's task by a recipe for these images.
    pub(crate) fn new(recipe: &Recipe, task: &Task, images: &dyn Source) -> Result<Self, Error> {
        let loss = recipe.loss();
        let counts = || Counts::of(images);
        let weights =
            |weights: &Option<ClassWeights>, field, balanced: &dyn Fn(&Counts) -> Vec<f64>| match weights {
                None => Ok(Vec::new()),
                Some(ClassWeights::Balanced(_)) => Ok(balanced(&counts())),
                Some(ClassWeights::All(weight)) => Ok(vec![*weight; images.classes().len()]),
                Some(ClassWeights::Each(by_name)) => {
                    if let Some(unknown) = by_name.keys().find(|name| !images.classes().contains(name)) {
                        let known = images.classes().join(", ");
                        let reason = format!("there is no class `{unknown}`; help: the classes are {known}");
                        return Err(Error::Task { field, reason });
                    }
                    Ok(images
                        .classes()
                        .iter()
                        .map(|name| by_name.get(name).copied().unwrap_or(1.0))
                        .collect())
                }
            };
        let none = None;
        let pos_weight = match &loss {
            LossRecipe::BinaryCrossEntropy { pos_weight, .. } => pos_weight,
            _ => &none,
        };
        Ok(Self {
            task: task.clone(),
            weights: weights(&recipe.class_weights, "class_weights", &Counts::balanced)?,
            positive: weights(pos_weight, "loss.pos_weight", &Counts::odds)?,
            smoothing: recipe.label_smoothing,
            loss,
        })
    }

    /// Objective; `divisor` is what a softmax's sum over the batch is divided by.
    pub(crate) fn objective(&self, divisor: f64) -> Objective<'_> {
        let is_single = self.task.is_single_label();
        let loss = match self.loss {
            LossRecipe::CrossEntropy {} => Loss::Softmax { gamma: 0.0, divisor },
            LossRecipe::Focal { gamma, .. } if is_single => Loss::Softmax { gamma, divisor },
            LossRecipe::Focal { gamma, alpha } => Loss::BinaryFocal { gamma, alpha },
            LossRecipe::BinaryCrossEntropy { sum_classes, .. } => Loss::Binary { sum_classes },
            LossRecipe::Asymmetric { gamma_negative, gamma_positive, clip } => {
                Loss::Asymmetric { gamma_negative, gamma_positive, clip }
            }
            LossRecipe::Mse {} => Loss::Squared,
            LossRecipe::L1 {} => Loss::Absolute,
            LossRecipe::Huber { delta } => Loss::Huber { delta },
            LossRecipe::SmoothL1 { beta } => Loss::SmoothL1 { beta },
        };
        Objective::new(loss).weighted(&self.weights).with_positive(&self.positive)
    }

    /// Weight of a batch in the mean over several: its images, or the weights of their labels.
    pub(crate) fn weight_of(&self, batch: &Batch) -> f64 {
        let is_softmax = self.task.is_single_label()
            && matches!(self.loss, LossRecipe::CrossEntropy {} | LossRecipe::Focal { .. });
        match is_softmax && !self.weights.is_empty() && batch.partners.is_empty() {
            // PyTorch's mean over the weights of the labels.
            true => batch.labels.iter().map(|&label| self.weights.get(label).copied().unwrap_or(1.0)).sum(),
            false => batch.labels.len() as f64,
        }
    }

    /// True for the loss that has neither weights nor another form than cross-entropy.
    pub(crate) fn is_plain(&self) -> bool {
        self.loss == LossRecipe::CrossEntropy {} && self.weights.is_empty()
    }
}

/// Number of images that have each class.
struct Counts {
    images: f64,
    of_class: Vec<f64>,
}

impl Counts {
    fn of(images: &dyn Source) -> Self {
        let mut of_class = vec![0.0; images.classes().len()];
        for index in 0..images.len() {
            match images.task() {
                TaskKind::SingleLabel => of_class[images.label(index)] += 1.0,
                _ => of_class.iter_mut().zip(images.targets(index)).for_each(|(sum, has)| *sum += has),
            }
        }
        Self { images: images.len() as f64, of_class }
    }

    /// Weights `n / (K n_c)`; a class without images has none to weigh.
    fn balanced(&self) -> Vec<f64> {
        let classes = self.of_class.len() as f64;
        let weight = |&count: &f64| if count > 0.0 { self.images / (classes * count) } else { 1.0 };
        self.of_class.iter().map(weight).collect()
    }

    /// Negatives over positives.
    fn odds(&self) -> Vec<f64> {
        let odds = |&count: &f64| if count > 0.0 { (self.images - count) / count } else { 1.0 };
        self.of_class.iter().map(odds).collect()
    }
}

/// Task with its targets standardised by the training images. Targets that a network brings with it keep its
/// standardisation.
///
/// # Errors
/// [`Error::Task`] for a target that is the same for all images.
pub(crate) fn standardised(task: &Task, brought: Option<&Task>, images: &dyn Source) -> Result<Task, Error> {
    let Task::Regression { targets } = task else { return Ok(task.clone()) };
    let names = |task: &Task| task.targets().iter().map(|target| target.name.clone()).collect::<Vec<_>>();
    if let Some(brought) = brought.filter(|brought| names(brought) == names(task)) {
        return Ok(brought.clone());
    }
    let rows: Vec<Vec<f64>> = (0..images.len()).map(|index| images.targets(index)).collect();
    let count = rows.len().max(1) as f64;
    let of_target = |(place, target): (usize, &RegressionTarget)| {
        let mean = rows.iter().map(|row| row[place]).sum::<f64>() / count;
        let variance = rows.iter().map(|row| (row[place] - mean).powi(2)).sum::<f64>() / count;
        match variance.is_finite() && variance > 0.0 {
            true => Ok(RegressionTarget::new(&target.name, mean, variance.sqrt())),
            false => {
                let found = rows.first().map_or(f64::NAN, |row| row[place]);
                let name = &target.name;
                let reason = format!(
                    "`{name}` is {found} for all training images; help: give it numbers that differ, or leave it out"
                );
                Err(Error::Task { field: "task", reason })
            }
        }
    };
    let targets = targets.iter().enumerate().map(of_target).collect::<Result<_, _>>()?;
    Ok(Task::Regression { targets })
}
