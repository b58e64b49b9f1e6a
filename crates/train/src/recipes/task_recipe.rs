//! What a recipe says of the task: loss, weights of the classes, sampling, a teacher.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residual_arch::TaskKind;
use serde::{Deserialize, Serialize};

use crate::{Error, Recipe};

/// Loss of a recipe, in place of the task's own: cross-entropy, binary cross-entropy, or the mean squared error.
///
/// ```toml
/// loss = { kind = "focal", gamma = 2.0 }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum LossRecipe {
    /// Softmax cross-entropy: PyTorch's `CrossEntropyLoss`. Single label alone.
    CrossEntropy {},
    /// Binary cross-entropy of a sigmoid a class: PyTorch's `BCEWithLogitsLoss`, timm's `BinaryCrossEntropy`. For single
    /// labels as in "ResNet strikes back" (Wightman et al. 2021).
    BinaryCrossEntropy {
        /// Threshold above which a mixed or smoothed target is 1, and 0 otherwise. Default none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target_threshold: Option<f64>,
        /// True for the sum over the classes in place of their mean. Default false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sum_classes: bool,
        /// Weight of positive labels; `balanced` for negatives over positives of each class. Default 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pos_weight: Option<ClassWeights>,
    },
    /// Focal loss (Lin et al. 2017): of softmaxes for single labels, and of sigmoids, torchvision's
    /// `sigmoid_focal_loss`, for several.
    Focal {
        /// Focusing parameter. Default 2.
        #[serde(default = "focusing")]
        gamma: f64,
        /// Weight of positive labels, and its complement that of negative ones; several labels alone. Default none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alpha: Option<f64>,
    },
    /// Asymmetric loss (Ridnik et al. 2021): timm's `AsymmetricLossMultiLabel`. Several labels alone.
    Asymmetric {
        /// Focusing parameter of negative labels. Default 4.
        #[serde(default = "focusing_negative")]
        gamma_negative: f64,
        /// Focusing parameter of positive labels. Default 1.
        #[serde(default = "one")]
        gamma_positive: f64,
        /// Margin by which the probabilities of negative labels are shifted. Default 0.05.
        #[serde(default = "margin")]
        clip: f64,
    },
    /// Mean squared error. Regression alone, of standardised targets, as the following.
    Mse {},
    /// Mean absolute error.
    L1 {},
    /// Huber loss: PyTorch's `HuberLoss`.
    Huber {
        /// Difference from which on it is linear, in standard deviations of the target. Default 1.
        #[serde(default = "one")]
        delta: f64,
    },
    /// Smooth L1 loss: PyTorch's `SmoothL1Loss`.
    SmoothL1 {
        /// Difference from which on it is linear, in standard deviations of the target. Default 1.
        #[serde(default = "one")]
        beta: f64,
    },
}

fn focusing() -> f64 {
    2.0
}

fn focusing_negative() -> f64 {
    4.0
}

fn margin() -> f64 {
    0.05
}

fn one() -> f64 {
    1.0
}

/// Weights of classes: `"balanced"`, a number for all, or a number by class name (1 for those left out).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// Weights that make up for the classes' numbers of images: `n / (K n_c)`.
    Balanced(Balanced),
    /// One weight for all classes.
    All(f64),
    /// Weights by class name.
    Each(BTreeMap<String, f64>),
}

/// Word `balanced`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balanced {
    /// Balanced.
    Balanced,
}

impl ClassWeights {
    /// Weights that make up for the classes' numbers of images.
    pub fn balanced() -> Self {
        Self::Balanced(Balanced::Balanced)
    }

    fn validate(&self, field: &'static str) -> Result<(), Error> {
        let numbers: Vec<f64> = match self {
            Self::Balanced(_) => Vec::new(),
            Self::All(weight) => vec![*weight],
            Self::Each(weights) => weights.values().copied().collect(),
        };
        match numbers.into_iter().find(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            Some(found) => Err(Error::OutOfRange { field, found, expected: "finite weights of 0 or more" }),
            None => Ok(()),
        }
    }
}

/// Sampling of the training images in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sampling {
    /// Each image once.
    #[default]
    Shuffled,
    /// Each class equally often: images of rare classes come again, those of frequent ones in part.
    Balanced,
}

impl Sampling {
    /// True for the usual one.
    pub fn is_shuffled(&self) -> bool {
        *self == Self::Shuffled
    }
}

/// Teacher of a knowledge distillation (Hinton et al. 2015): `(1 - alpha)` of the loss, and `alpha` of the divergence from
/// the teacher's probabilities at a temperature `T`, times `T²`.
///
/// ```toml
/// teacher = { path = "teacher.safetensors", alpha = 0.7, temperature = 3.0 }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Teacher {
    /// Checkpoint of the teacher, or the folder of its run.
    pub path: PathBuf,
    /// Share of the teacher, above 0 to 1. Default 0.5.
    #[serde(default = "share")]
    pub alpha: f64,
    /// Temperature that logits are divided by. Default 4.
    #[serde(default = "temperature")]
    pub temperature: f64,
}

fn share() -> f64 {
    0.5
}

fn temperature() -> f64 {
    4.0
}

impl Teacher {
    /// Teacher of a checkpoint, with half of the loss and a temperature of 4.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), alpha: share(), temperature: temperature() }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_train::Teacher;
    /// let teacher = Teacher::new("runs/large").with(|teacher| teacher.alpha = 0.7);
    /// assert_eq!(teacher.temperature, 4.0);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    fn validate(&self) -> Result<(), Error> {
        let out = |field, found, expected| Err(Error::OutOfRange { field, found, expected });
        if !(self.alpha > 0.0 && self.alpha <= 1.0) {
            return out("teacher.alpha", self.alpha, "above 0 to 1");
        }
        match self.temperature.is_finite() && self.temperature > 0.0 {
            true => Ok(()),
            false => out("teacher.temperature", self.temperature, "a finite number above 0"),
        }
    }
}

impl LossRecipe {
    /// Loss that a task has by itself.
    pub fn of_task(task: TaskKind) -> Self {
        match task {
            TaskKind::MultiLabel => {
                Self::BinaryCrossEntropy { target_threshold: None, sum_classes: false, pos_weight: None }
            }
            TaskKind::Regression => Self::Mse {},
            _ => Self::CrossEntropy {},
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::CrossEntropy {} => "cross_entropy",
            Self::BinaryCrossEntropy { .. } => "binary_cross_entropy",
            Self::Focal { .. } => "focal",
            Self::Asymmetric { .. } => "asymmetric",
            Self::Mse {} => "mse",
            Self::L1 {} => "l1",
            Self::Huber { .. } => "huber",
            Self::SmoothL1 { .. } => "smooth_l1",
        }
    }

    fn validate(&self, task: TaskKind) -> Result<(), Error> {
        let (tasks, names): (&[TaskKind], _) = match self {
            Self::CrossEntropy {} => (&[TaskKind::SingleLabel], "binary_cross_entropy, focal or asymmetric"),
            Self::BinaryCrossEntropy { .. } | Self::Focal { .. } => {
                (&[TaskKind::SingleLabel, TaskKind::MultiLabel], "mse, l1, huber or smooth_l1")
            }
            Self::Asymmetric { .. } => {
                (&[TaskKind::MultiLabel], "cross_entropy, binary_cross_entropy or focal")
            }
            _ => (&[TaskKind::Regression], "cross_entropy, binary_cross_entropy or focal"),
        };
        if !tasks.contains(&task) {
            let names = if task == TaskKind::Regression { "mse, l1, huber or smooth_l1" } else { names };
            let reason = format!("{} is no loss of a {task}; help: use {names}", self.name());
            return Err(Error::Task { field: "loss", reason });
        }
        let positive = |field, found: f64| match found.is_finite() && found > 0.0 {
            true => Ok(()),
            false => Err(Error::OutOfRange { field, found, expected: "a finite number above 0" }),
        };
        let least = |field, found: f64, most: f64| match found >= 0.0 && found <= most {
            true => Ok(()),
            false => {
                Err(Error::OutOfRange { field, found, expected: "0 or more, and no more than it can be" })
            }
        };
        match self {
            Self::BinaryCrossEntropy { target_threshold, pos_weight, .. } => {
                target_threshold.map_or(Ok(()), |found| least("loss.target_threshold", found, 1.0))?;
                pos_weight.iter().try_for_each(|weights| weights.validate("loss.pos_weight"))
            }
            Self::Focal { gamma, alpha } => {
                if task == TaskKind::SingleLabel && alpha.is_some() {
                    let reason = "is for several labels; help: give class_weights".to_owned();
                    return Err(Error::Task { field: "loss.alpha", reason });
                }
                alpha.map_or(Ok(()), |found| least("loss.alpha", found, 1.0))?;
                least("loss.gamma", *gamma, 100.0)
            }
            Self::Asymmetric { gamma_negative, gamma_positive, clip } => {
                least("loss.gamma_negative", *gamma_negative, 100.0)?;
                least("loss.gamma_positive", *gamma_positive, 100.0)?;
                least("loss.clip", *clip, 0.999)
            }
            Self::Huber { delta } => positive("loss.delta", *delta),
            Self::SmoothL1 { beta } => positive("loss.beta", *beta),
            _ => Ok(()),
        }
    }
}

impl Recipe {
    /// Loss: as given, or the task's own.
    pub fn loss(&self) -> LossRecipe {
        self.loss.clone().unwrap_or_else(|| LossRecipe::of_task(self.task))
    }

    /// Checks what is said of the task.
    pub(crate) fn validate_task(&self) -> Result<(), Error> {
        self.loss().validate(self.task)?;
        let refused = |field, reason: &str| Err(Error::Task { field, reason: reason.to_owned() });
        let (task, is_single) = (self.task, self.task.is_single_label());
        match &self.class_weights {
            Some(_) if task == TaskKind::Regression => {
                return refused("class_weights", "a regression has no classes; help: leave them out");
            }
            Some(weights) => weights.validate("class_weights")?,
            None => {}
        }
        if task == TaskKind::Regression && self.label_smoothing != 0.0 {
            return refused("label_smoothing", "a regression has no labels; help: leave it out");
        }
        if !is_single && self.sampling == Sampling::Balanced {
            return refused(
                "sampling",
                "balanced is for single labels; help: use class_weights or a focal loss",
            );
        }
        match &self.teacher {
            Some(_) if !is_single => {
                refused("teacher", "distillation is for single labels; help: leave the teacher out")
            }
            Some(teacher) => teacher.validate(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Recipe {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_said_of_a_task_comes_back_and_the_usual_is_not_written() {
        let text = "task = \"multi_label\"\nloss = { kind = \"asymmetric\", clip = 0.1 }\n[class_weights]\ncat = 2.5\n";
        let recipe = read(text);
        assert!(recipe.validate().is_ok());
        assert_eq!(read(&recipe.to_toml().unwrap()), recipe);
        let plain = Recipe::default().to_toml().unwrap();
        for field in ["task", "loss", "class_weights", "sampling", "teacher"] {
            assert!(!plain.contains(field), "{field}");
        }
        let text =
            "class_weights = \"balanced\"\nsampling = \"balanced\"\nteacher = { path = \"t\", alpha = 0.7 }";
        let recipe = read(text);
        assert_eq!(recipe.class_weights, Some(ClassWeights::balanced()));
        assert_eq!(recipe.teacher.as_ref().map(|teacher| teacher.temperature), Some(4.0));
        assert_eq!(read(&recipe.to_toml().unwrap()), recipe);
        assert!(toml::from_str::<Recipe>("class_weights = \"even\"").is_err());
        assert!(toml::from_str::<Recipe>("loss = { kind = \"focal\", delta = 1 }").is_err());
    }

    #[test]
    fn what_does_not_fit_the_task_is_refused_by_name() {
        let refused = |text: &str| read(text).validate().unwrap_err().to_string();
        for (text, wanted) in [
            ("loss = { kind = \"mse\" }", "loss: mse is no loss of a single label; help: use"),
            ("task = \"regression\"\nloss = { kind = \"focal\" }", "help: use mse, l1, huber or smooth_l1"),
            (
                "task = \"multi_label\"\nsampling = \"balanced\"",
                "sampling: balanced is for single labels; help: ",
            ),
            ("task = \"regression\"\nlabel_smoothing = 0.1", "label_smoothing: a regression has no labels"),
            (
                "task = \"regression\"\nclass_weights = \"balanced\"",
                "class_weights: a regression has no classes",
            ),
            (
                "task = \"multi_label\"\nteacher = { path = \"t\" }",
                "teacher: distillation is for single labels",
            ),
            ("teacher = { path = \"t\", temperature = 0 }", "teacher.temperature: 0 is out of range"),
            ("loss = { kind = \"focal\", alpha = 0.25 }", "loss.alpha: is for several labels; help: "),
            ("class_weights = { cat = -1.0 }", "class_weights: -1 is out of range"),
            (
                "task = \"regression\"\nloss = { kind = \"huber\", delta = 0 }",
                "loss.delta: 0 is out of range",
            ),
        ] {
            let said = refused(text);
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }
}
