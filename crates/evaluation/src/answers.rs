//! Answers about labelled images.

use std::sync::Arc;

use residual_data::Evaluation;
use residual_measure::{score, softmax};

/// Answer about a labelled image.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// Place of the image in its source.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// Class that it is taken for: the most probable one, of equals the first.
    pub answer: usize,
    /// Place of its class among the answers, 0 for the most probable.
    pub place: usize,
    /// Cross-entropy.
    pub loss: f64,
    /// Probability of the answer.
    pub confidence: f64,
    /// Probability of its class.
    pub probability: f64,
    /// Brier score: the sum over the classes of `(p_k - y_k)²`.
    pub brier: f64,
}

/// Answers about labelled images, in their order.
#[derive(Clone, Debug)]
pub struct Answers {
    pub(crate) classes: Arc<[String]>,
    pub(crate) evaluation: Evaluation,
    pub(crate) list: Vec<Answer>,
    /// `[images][classes]`, where they are kept.
    pub(crate) logits: Option<Vec<f32>>,
}

impl Answers {
    /// Answers about no image yet, of a network with these classes; the logits are kept where they are wanted.
    pub fn new(classes: Arc<[String]>, keep_logits: bool) -> Self {
        let logits = keep_logits.then(Vec::new);
        Self { classes, evaluation: Evaluation::default(), list: Vec::new(), logits }
    }

    /// Adds the answers about a batch: the places of the images in their source, their labels, and the logits,
    /// `[batch][classes]`.
    ///
    /// # Panics
    /// For a label that has no logit.
    pub fn add(&mut self, indices: &[usize], labels: &[usize], logits: &[f32]) {
        let classes = self.classes.len().max(1);
        for ((&index, &label), row) in indices.iter().zip(labels).zip(logits.chunks_exact(classes)) {
            self.list.push(judged(index, label, row));
        }
        if let Some(kept) = &mut self.logits {
            kept.extend_from_slice(logits);
        }
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The answers, in the order of the images.
    pub fn list(&self) -> &[Answer] {
        &self.list
    }

    /// Accuracy and loss.
    pub fn evaluation(&self) -> Evaluation {
        self.evaluation
    }

    /// Logits of all images, `[images][classes]`, where they were kept.
    pub fn logits(&self) -> Option<&[f32]> {
        self.logits.as_deref()
    }

    /// Labels of the images.
    pub fn labels(&self) -> Vec<usize> {
        self.list.iter().map(|answer| answer.label).collect()
    }

    /// Answers with the greatest loss, at most `n`, the worst first.
    pub fn worst(&self, n: usize) -> Vec<Answer> {
        self.sorted(n, |a, b| b.loss.total_cmp(&a.loss))
    }

    /// Answers with the least loss, at most `n`, the best first.
    pub fn best(&self, n: usize) -> Vec<Answer> {
        self.sorted(n, |a, b| a.loss.total_cmp(&b.loss))
    }

    fn sorted(&self, n: usize, by: fn(&Answer, &Answer) -> std::cmp::Ordering) -> Vec<Answer> {
        let mut sorted = self.list.clone();
        // Of equal losses the first image.
        sorted.sort_by(by);
        sorted.truncate(n);
        sorted
    }
}

fn judged(index: usize, label: usize, logits: &[f32]) -> Answer {
    let (loss, place) = score(logits, label);
    let probabilities = softmax(logits);
    let answer = match place {
        0 => label,
        _ => first_of_the_greatest(logits),
    };
    let truth = |class| f64::from(u8::from(class == label));
    let brier = probabilities.iter().enumerate().map(|(class, p)| (p - truth(class)).powi(2)).sum();
    let [confidence, probability] = [answer, label].map(|class| probabilities[class]);
    Answer { index, label, answer, place, loss, confidence, probability, brier }
}

fn first_of_the_greatest(logits: &[f32]) -> usize {
    let greater = |best: usize, class: usize| if logits[class] > logits[best] { class } else { best };
    (0..logits.len()).reduce(greater).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(rows: &[(usize, [f32; 3])]) -> Answers {
        let mut answers = Answers::new(["a", "b", "c"].map(String::from).into(), true);
        for (index, (label, logits)) in rows.iter().enumerate() {
            answers.add(&[index], &[*label], logits);
        }
        answers
    }

    #[test]
    fn an_answer_by_hand() {
        let found = answers(&[(2, [0.0, 2f32.ln(), 0.0])]);
        let [answer] = found.list() else { panic!() };
        assert_eq!((answer.label, answer.answer, answer.place), (2, 1, 2));
        assert!((answer.confidence - 0.5).abs() < 1e-7 && (answer.probability - 0.25).abs() < 1e-7);
        assert!((answer.loss - 4f64.ln()).abs() < 1e-7);
        assert!((answer.brier - (0.0625 + 0.25 + 0.5625)).abs() < 1e-7);
        assert_eq!(found.logits().map(<[f32]>::len), Some(3));
    }

    #[test]
    fn worst_and_best_by_their_loss() {
        let found =
            answers(&[(0, [3.0, 0.0, 0.0]), (0, [0.0, 3.0, 0.0]), (0, [3.0, 0.0, 0.0]), (1, [1.0; 3])]);
        let places = |list: Vec<Answer>| list.iter().map(|answer| answer.index).collect::<Vec<_>>();
        assert_eq!(places(found.worst(2)), [1, 3]);
        assert_eq!(places(found.best(2)), [0, 2]);
        assert_eq!(found.worst(9).len(), 4);
    }
}
