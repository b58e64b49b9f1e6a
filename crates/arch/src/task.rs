//! Tasks of a network: what its outputs say of an image.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shape::ShapeError;

/// Task of a network: the meaning of its outputs. Single-label classification where a file does not say.
///
/// ```toml
/// [task]
/// kind = "multi_label"
/// threshold = 0.37
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Task {
    /// Single-label classification: each image is of one class; probabilities are a softmax.
    #[default]
    SingleLabel,
    /// Multi-label classification: an image has any number of the classes; each probability is a sigmoid.
    MultiLabel {
        /// Threshold of a probability from which on an image has the class, above 0 and below 1; of a calibrated network
        /// one of the probability before its temperature ([`at_temperature`](Task::at_temperature)). Default 0.5.
        #[serde(default = "half")]
        threshold: f64,
    },
    /// Regression: each output is a number, in standard deviations from the mean of a target.
    Regression {
        /// Targets in the order of the outputs.
        targets: Vec<RegressionTarget>,
    },
}

/// Target of a regression: its name, and the mean and deviation that it was standardised by. Its value is
/// `mean + deviation * output`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RegressionTarget {
    /// Name.
    pub name: String,
    /// Mean of the training images, in the target's unit.
    pub mean: f64,
    /// Standard deviation of the training images (of the population), in the target's unit; above 0.
    pub deviation: f64,
}

impl RegressionTarget {
    /// Target of that name, standardised by a mean and a deviation.
    pub fn new(name: impl Into<String>, mean: f64, deviation: f64) -> Self {
        Self { name: name.into(), mean, deviation }
    }

    /// Value in the target's unit of an output.
    pub fn value(&self, output: f64) -> f64 {
        self.mean + self.deviation * output
    }

    /// Output that stands for a value in the target's unit.
    pub fn standardised(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

fn half() -> f64 {
    0.5
}

impl Task {
    /// Multi-label classification at a threshold of 0.5.
    pub fn multi_label() -> Self {
        Self::MultiLabel { threshold: half() }
    }

    /// True for single-label classification.
    pub fn is_single_label(&self) -> bool {
        *self == Self::SingleLabel
    }

    /// Kind of the task.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::SingleLabel => TaskKind::SingleLabel,
            Self::MultiLabel { .. } => TaskKind::MultiLabel,
            Self::Regression { .. } => TaskKind::Regression,
        }
    }

    /// Task of a network whose logits are divided by a temperature before they become probabilities: the threshold of
    /// several labels, which is one of probabilities without a temperature, becomes the one that the same labels reach.
    pub fn at_temperature(&self, temperature: Option<f64>) -> Self {
        match (self, temperature) {
            (Self::MultiLabel { threshold }, Some(temperature)) => {
                let logit = (threshold / (1.0 - threshold)).ln() / temperature;
                Self::MultiLabel { threshold: 1.0 / (1.0 + (-logit).exp()) }
            }
            _ => self.clone(),
        }
    }

    /// Targets of a regression; none of the other tasks.
    pub fn targets(&self) -> &[RegressionTarget] {
        match self {
            Self::Regression { targets } => targets,
            _ => &[],
        }
    }

    /// Checks the task against the number of the network's outputs.
    pub(crate) fn check(&self, outputs: usize) -> Result<(), ShapeError> {
        match self {
            Self::SingleLabel => Ok(()),
            Self::MultiLabel { threshold } if *threshold > 0.0 && *threshold < 1.0 => Ok(()),
            Self::MultiLabel { threshold } => Err(ShapeError::Threshold { value: *threshold }),
            Self::Regression { targets } if targets.len() != outputs => {
                Err(ShapeError::Targets { targets: targets.len(), outputs })
            }
            Self::Regression { targets } => {
                let is_wrong = |target: &&RegressionTarget| {
                    !(target.mean.is_finite() && target.deviation.is_finite() && target.deviation > 0.0)
                };
                match targets.iter().find(is_wrong) {
                    Some(target) => Err(ShapeError::Standardisation { target: target.clone() }),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Task {
    /// `single label`, `multi label, threshold 0.37`, `regression of age, height`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SingleLabel => self.kind().fmt(f),
            Self::MultiLabel { threshold } => write!(f, "{}, threshold {threshold}", self.kind()),
            Self::Regression { targets } => {
                let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
                write!(f, "{} of {}", self.kind(), names.join(", "))
            }
        }
    }
}

/// Kind of a [`Task`]: `single_label`, `multi_label` or `regression` in files; hyphens are read as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskKind {
    /// Classification, an image of one class.
    #[default]
    #[serde(alias = "single-label")]
    SingleLabel,
    /// Classification, an image of any number of classes.
    #[serde(alias = "multi-label")]
    MultiLabel,
    /// Numbers for an image.
    Regression,
}

impl TaskKind {
    /// True for single-label classification.
    pub fn is_single_label(&self) -> bool {
        *self == Self::SingleLabel
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SingleLabel => "single label",
            Self::MultiLabel => "multi label",
            Self::Regression => "regression",
        })
    }
}

impl FromStr for TaskKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.replace('-', "_").as_str() {
            "single_label" => Ok(Self::SingleLabel),
            "multi_label" => Ok(Self::MultiLabel),
            "regression" => Ok(Self::Regression),
            _ => Err("expected single-label, multi-label or regression".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetSpec;
    use crate::families::family;

    fn with(task: Task, classes: usize) -> NetSpec {
        family("small").unwrap().with_classes(classes).with(|net| net.task = task)
    }

    #[test]
    fn a_task_comes_back_and_the_usual_one_is_not_written() {
        let plain = family("small").unwrap();
        assert!(!plain.to_toml().unwrap().contains("task") && !plain.to_json().unwrap().contains("task"));
        let targets =
            vec![RegressionTarget::new("age", 41.5, 0.1 + 0.2), RegressionTarget::new("mass", -1.0, 3.0)];
        for spec in [
            with(Task::MultiLabel { threshold: 0.37 }, 3),
            with(Task::multi_label(), 1),
            with(Task::Regression { targets }, 2),
        ] {
            assert_eq!(NetSpec::from_toml(&spec.to_toml().unwrap()).unwrap(), spec);
            assert_eq!(NetSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
            assert!(spec.check(spec.input).is_ok());
        }
        let text = family("small").unwrap().to_toml().unwrap() + "\n[task]\nkind = \"multi_label\"\n";
        assert_eq!(NetSpec::from_toml(&text).unwrap().task, Task::multi_label());
        assert!(NetSpec::from_toml(&text.replace("multi_label", "ranking")).is_err());
        assert!(NetSpec::from_toml(&(text + "thresholds = [1]\n")).is_err());
    }

    #[test]
    fn tasks_that_do_not_fit_are_refused() {
        let refused = |task, classes| {
            let spec = with(task, classes);
            spec.check(spec.input).unwrap_err().to_string()
        };
        let of = |deviation| Task::Regression { targets: vec![RegressionTarget::new("age", 0.0, deviation)] };
        assert_eq!(
            refused(of(1.0), 3),
            "head: 3 outputs for a regression of 1 target; help: give the head as many classes as there are targets"
        );
        assert!(refused(of(0.0), 1).contains("`age` has the mean 0 and the deviation 0; help: "));
        assert!(refused(of(f64::NAN), 1).contains("deviation NaN"));
        for threshold in [0.0, 1.0, f64::NAN] {
            let said = refused(Task::MultiLabel { threshold }, 3);
            assert!(
                said.starts_with("head: a threshold of") && said.contains("above 0 and below 1"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_temperature_moves_the_threshold_with_the_probabilities() {
        let at = |threshold, temperature| match (Task::MultiLabel { threshold }).at_temperature(temperature) {
            Task::MultiLabel { threshold } => threshold,
            other => panic!("{other}"),
        };
        assert_eq!((at(0.5, Some(3.0)), at(0.8, None)), (0.5, 0.8));
        // A logit of ln 4 becomes ln 2.
        assert!((at(0.8, Some(2.0)) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Task::SingleLabel.at_temperature(Some(2.0)), Task::SingleLabel);
    }

    #[test]
    fn kinds_are_read_with_hyphens() {
        for (text, kind) in [("multi-label", TaskKind::MultiLabel), ("regression", TaskKind::Regression)] {
            assert_eq!(text.parse(), Ok(kind));
        }
        assert!("labels".parse::<TaskKind>().is_err());
    }
}
