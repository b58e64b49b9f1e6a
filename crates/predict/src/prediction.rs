//! Answers: classes and their probabilities.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual_measure::softmax;

/// The probabilities of all classes for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    file: Option<PathBuf>,
    classes: Arc<[String]>,
    logits: Vec<f32>,
    probabilities: Vec<f64>,
    /// Classes, the most probable first; of equals the first.
    ranked: Vec<usize>,
}

/// What a network's answers mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) classes: &'a Arc<[String]>,
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
        let probabilities = match asked.temperature {
            Some(temperature) => softmax(&scaled(logits, temperature)),
            None => softmax(logits),
        };
        let classes = asked.classes;
        let mut ranked: Vec<usize> = (0..probabilities.len()).collect();
        ranked.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        Self { file, classes: classes.clone(), logits: logits.to_vec(), probabilities, ranked }
    }

    /// The most probable class.
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

    /// The probabilities of all classes, in the order of the network's outputs. They add up to 1.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The probability of the class of that name.
    pub fn probability_of(&self, class: &str) -> Option<f64> {
        self.classes.iter().position(|name| name == class).map(|class| self.probabilities[class])
    }

    /// The file of the image, where it was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn score(&self, index: usize) -> ClassScore<'_> {
        ClassScore { index, class: &self.classes[index], probability: self.probabilities[index] }
    }
}

impl fmt::Display for ClassScore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.2}%)", self.class, 100.0 * self.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ranked_and_equals_keep_their_order() {
        let classes: Arc<[String]> = ["a", "b", "c", "d"].map(String::from).into();
        let asked = Asked { classes: &classes, temperature: None };
        let found = Prediction::new(&[1.0, 2.0, 1.0, 2.0], &asked, None);
        assert_eq!(found.top(9).map(|score| score.class).collect::<Vec<_>>(), ["b", "d", "a", "c"]);
        assert_eq!((found.best().index, found.top(2).len()), (1, 2));
        assert_eq!(found.probability_of("b"), Some(found.probabilities()[1]));
        assert_eq!(found.probability_of("x"), None);
        assert_eq!(found.logits(), [1.0, 2.0, 1.0, 2.0]);
        let warm = Prediction::new(&[1.0, 2.0, 1.0, 2.0], &Asked { temperature: Some(2.0), ..asked }, None);
        assert_eq!(warm.probabilities(), softmax(&[0.5, 1.0, 0.5, 1.0]));
        assert_eq!((warm.logits(), warm.best().index), (found.logits(), 1));
        let score = ClassScore { index: 0, class: "cat", probability: 0.5 };
        assert_eq!(score.to_string(), "cat (50.00%)");
    }
}
