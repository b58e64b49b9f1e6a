//! Answers: classes and their probabilities, or numbers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual_arch::Task;
use residual_data::sigmoid;
use residual_measure::softmax;

/// The probabilities of all classes for an image; of a regression, its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    file: Option<PathBuf>,
    classes: Arc<[String]>,
    logits: Vec<f32>,
    probabilities: Vec<f64>,
    /// Classes, the most probable first; of equals the first.
    ranked: Vec<usize>,
    /// Threshold of a multi-label task.
    threshold: Option<f64>,
    /// Numbers of a regression, in the units of its targets.
    values: Vec<f64>,
}

/// A target of a regression and its number. Displays as `age 41.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetValue<'a> {
    /// Name of the target.
    pub target: &'a str,
    /// Number, in the target's unit.
    pub value: f64,
}

/// Meaning of a network's answers: its classes and task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) classes: &'a Arc<[String]>,
    pub(crate) task: &'a Task,
    pub(crate) temperature: Option<f64>,
}

/// Logits divided by a temperature.
fn scaled(logits: &[f32], temperature: f64) -> Vec<f32> {
    logits.iter().map(|&logit| (f64::from(logit) / temperature) as f32).collect()
}

/// A class and its probability. Displays as `tabby cat (93.21%)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScore<'a> {
    /// The class, counted from 0 in the order of the network's outputs.
    pub index: usize,
    /// Name of the class; its number where no names are known ([`Classifier::classes`](crate::Classifier::classes)).
    pub class: &'a str,
    /// Probability, from 0 to 1.
    pub probability: f64,
}

impl Prediction {
    /// Answer of logits, which are divided by the temperature of a calibrated network.
    pub(crate) fn new(logits: &[f32], asked: &Asked<'_>, file: Option<PathBuf>) -> Self {
        let (classes, task) = (asked.classes, asked.task);
        let outputs = || logits.iter().map(|&output| f64::from(output));
        let temperature = asked.temperature.unwrap_or(1.0);
        let (probabilities, threshold) = match task.at_temperature(asked.temperature) {
            Task::MultiLabel { threshold } => {
                (outputs().map(|output| sigmoid(output / temperature)).collect(), Some(threshold))
            }
            Task::Regression { .. } => (Vec::new(), None),
            _ => (softmax(&scaled(logits, temperature)), None),
        };
        let values = task.targets().iter().zip(outputs()).map(|(target, output)| target.value(output));
        let values = values.collect();
        let mut ranked: Vec<usize> = (0..probabilities.len()).collect();
        ranked.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let (classes, logits) = (classes.clone(), logits.to_vec());
        Self { file, classes, logits, probabilities, ranked, threshold, values }
    }

    /// The most probable class; of a regression the first target, with a probability that is no number.
    pub fn best(&self) -> ClassScore<'_> {
        self.score(self.ranked.first().copied().unwrap_or(0))
    }

    /// The `k` most probable classes, the most probable first; all where there are fewer.
    pub fn top(&self, k: usize) -> impl ExactSizeIterator<Item = ClassScore<'_>> {
        self.ranked.iter().take(k).map(|&class| self.score(class))
    }

    /// Logits of all classes, in the order of the network's outputs: what the head gives, before the softmax
    /// and before the temperature of a calibrated network.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Labels of the image: of a multi-label task the classes whose probability reaches its threshold, the most probable
    /// first, of single labels the best; none of a regression.
    pub fn labels(&self) -> impl Iterator<Item = ClassScore<'_>> {
        let most = if self.threshold.is_some() { usize::MAX } else { 1 };
        let least = self.threshold.unwrap_or(0.0);
        self.top(most).filter(move |score| score.probability >= least)
    }

    /// Threshold of a multi-label task, of probabilities as they are given here.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// Numbers of a regression, in the units and the order of its targets; none of other tasks.
    pub fn values(&self) -> impl ExactSizeIterator<Item = TargetValue<'_>> {
        let names = self.classes.iter().map(String::as_str);
        self.values.iter().zip(names).map(|(&value, target)| TargetValue { target, value })
    }

    /// The probabilities of all classes, in the order of the network's outputs: they add up to 1, but for a multi-label
    /// task; none of a regression.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The probability of the class of that name.
    pub fn probability_of(&self, class: &str) -> Option<f64> {
        let place = self.classes.iter().position(|name| name == class)?;
        self.probabilities.get(place).copied()
    }

    /// The file of the image, where it was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn score(&self, index: usize) -> ClassScore<'_> {
        let probability = self.probabilities.get(index).copied().unwrap_or(f64::NAN);
        ClassScore { index, class: &self.classes[index], probability }
    }
}

impl fmt::Display for ClassScore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.2}%)", self.class, 100.0 * self.probability)
    }
}

impl fmt::Display for TargetValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.target, self.value)
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::RegressionTarget;

    use super::*;

    fn answer(logits: &[f32], classes: &[&str], task: &Task) -> Prediction {
        let classes = classes.iter().map(ToString::to_string).collect();
        Prediction::new(logits, &Asked { classes: &classes, task, temperature: None }, None)
    }

    #[test]
    fn several_labels_are_those_above_the_threshold() {
        let of = |threshold| {
            let task = Task::MultiLabel { threshold };
            let found = answer(&[0.0, 2.0, -2.0], &["a", "b", "c"], &task);
            found.labels().map(|score| score.class).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([0.5, 0.51, 0.1, 0.9].map(of), ["b a", "b", "b a c", ""]);
        let found = answer(&[0.0, 2.0, -2.0], &["a", "b", "c"], &Task::multi_label());
        assert_eq!(found.probability_of("a"), Some(0.5));
        assert_eq!(found.top(1).map(|score| score.class).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_temperature_changes_probabilities_and_no_labels() {
        let classes = ["a", "b", "c"].map(String::from).into();
        let logits = [-0.2, 1.5, -1.0];
        let task = Task::MultiLabel { threshold: 0.4 };
        let of = |temperature| {
            Prediction::new(&logits, &Asked { classes: &classes, task: &task, temperature }, None)
        };
        let (cold, warm) = (of(None), of(Some(2.5)));
        let labels = |found: &Prediction| found.labels().map(|score| score.index).collect::<Vec<_>>();
        assert_eq!((labels(&cold), labels(&warm)), (vec![1, 0], vec![1, 0]));
        assert_eq!(warm.probabilities()[1], sigmoid(1.5 / 2.5));
        assert!(warm.threshold() > cold.threshold() && warm.logits() == cold.logits());
    }

    #[test]
    fn numbers_are_in_their_units() {
        let targets = vec![RegressionTarget::new("age", 40.0, 10.0), RegressionTarget::new("mass", 0.0, 0.5)];
        let found = answer(&[0.5, -1.0], &["age", "mass"], &Task::Regression { targets });
        let values: Vec<_> = found.values().map(|value| (value.target, value.value)).collect();
        assert_eq!(values, [("age", 45.0), ("mass", -0.5)]);
        assert_eq!((found.labels().count(), found.probabilities().len()), (0, 0));
        assert_eq!(found.probability_of("age"), None);
        assert!(found.best().probability.is_nan() && found.best().index == 0);
        assert_eq!(found.values().next().unwrap().to_string(), "age 45");
    }

    #[test]
    fn classes_are_ranked_and_equals_keep_their_order() {
        let found = answer(&[1.0, 2.0, 1.0, 2.0], &["a", "b", "c", "d"], &Task::SingleLabel);
        assert_eq!(found.labels().map(|score| score.class).collect::<Vec<_>>(), ["b"]);
        assert_eq!((found.values().len(), found.threshold()), (0, None));
        assert_eq!(found.top(9).map(|score| score.class).collect::<Vec<_>>(), ["b", "d", "a", "c"]);
        assert_eq!((found.best().index, found.top(2).len()), (1, 2));
        assert_eq!(found.probability_of("b"), Some(found.probabilities()[1]));
        assert_eq!(found.probability_of("x"), None);
        assert_eq!(found.logits(), [1.0, 2.0, 1.0, 2.0]);
        let classes = ["a", "b", "c", "d"].map(String::from).into();
        let asked = Asked { classes: &classes, task: &Task::SingleLabel, temperature: Some(2.0) };
        let warm = Prediction::new(&[1.0, 2.0, 1.0, 2.0], &asked, None);
        assert_eq!(warm.probabilities(), softmax(&[0.5, 1.0, 0.5, 1.0]));
        assert_eq!((warm.logits(), warm.best().index), (found.logits(), 1));
        let score = ClassScore { index: 0, class: "cat", probability: 0.5 };
        assert_eq!(score.to_string(), "cat (50.00%)");
    }
}
