//! Temperature of a network, fitted to its answers.

use residual_arch::TaskKind;
use residual_measure::{
    COLDEST, Calibration, HOTTEST, fit_temperature, negative_log_likelihood, score, softmax,
};

use crate::{Answers, Error, TaskAnswers};

/// Images that a temperature is fitted to, at the least.
const FEWEST: usize = 10;

/// Temperature of a network, and what it is worth: every image judged with a temperature that was fitted without it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Calibrated {
    /// Number that logits are divided by, fitted to all images.
    pub temperature: f64,
    /// Mean cross-entropy without a temperature, and with one.
    pub loss: [f64; 2],
    /// Expected calibration error without a temperature, and with one.
    pub ece: [f64; 2],
}

/// Fits a temperature to answers whose logits were kept (temperature scaling, Guo et al. 2017). What it is worth is told by
/// two halves, the images of even and of odd places, each with the temperature of the other.
///
/// # Errors
/// [`Error::NoTemperature`] for fewer than 10 images or logits that were not kept, for answers of which all or none are
/// right, and where the halves' loss would not become less.
pub fn calibrate(answers: &Answers) -> Result<Calibrated, Error> {
    let logits = answers.logits().unwrap_or_default();
    let images = answers.list().len().min(logits.len());
    let rows = Rows {
        logits: logits.to_vec(),
        labels: answers.labels(),
        classes: logits.len() / images.max(1),
        of_image: 1,
        judged: highest,
    };
    rows.calibrate(images)
}

/// Fits a temperature to the answers of a network of several labels by their binary cross-entropy, as [`calibrate`] does.
/// The calibration error is that of the probabilities of all labels.
///
/// # Errors
/// As for [`calibrate`]; [`Error::NoProbabilities`] for a regression.
pub fn calibrate_labels(answers: &TaskAnswers) -> Result<Calibrated, Error> {
    if answers.task().kind() != TaskKind::MultiLabel {
        return Err(Error::NoProbabilities);
    }
    let found = answers.outputs();
    // A sigmoid is a softmax over a logit and 0.
    let rows = Rows {
        logits: found.outputs.iter().flat_map(|&logit| [0.0, logit]).collect(),
        labels: found.targets.iter().map(|&target| usize::from(target > 0.5)).collect(),
        classes: 2,
        of_image: answers.classes().len(),
        judged: yes,
    };
    rows.calibrate(answers.images())
}

/// Rows of logits with their labels, one or more of each image.
struct Rows {
    logits: Vec<f32>,
    labels: Vec<usize>,
    classes: usize,
    of_image: usize,
    /// Probability that is judged of a row's, and whether it is right.
    judged: fn(&[f64], usize) -> (f64, bool),
}

/// Probability of the answer, the first of the greatest.
fn highest(probabilities: &[f64], label: usize) -> (f64, bool) {
    let greater =
        |best: usize, class: usize| if probabilities[class] > probabilities[best] { class } else { best };
    let answer = (0..probabilities.len()).reduce(greater).unwrap_or(0);
    (probabilities[answer], answer == label)
}

/// Probability that a label is there.
fn yes(probabilities: &[f64], label: usize) -> (f64, bool) {
    (probabilities[1], label == 1)
}

impl Rows {
    fn calibrate(&self, images: usize) -> Result<Calibrated, Error> {
        let refused = |reason: String| Error::NoTemperature { reason };
        if images < FEWEST || self.classes == 0 {
            return Err(refused(format!("{images} images with answers, expected {FEWEST} or more")));
        }
        let rows = self.logits.chunks_exact(self.classes).zip(&self.labels);
        if rows.into_iter().all(|(row, &label)| score(row, label).1 == 0) {
            return Err(refused("the answers are all right".to_owned()));
        }
        let temperature = self.fit()?;
        let halves = [0, 1].map(|half| self.half(half));
        let others = [halves[1].fit()?, halves[0].fit()?];
        let loss = |temperatures: [f64; 2]| {
            let sum: f64 =
                halves.iter().zip(temperatures).map(|(half, temperature)| half.loss(temperature)).sum();
            sum / self.labels.len() as f64
        };
        let found = Calibrated {
            temperature,
            loss: [loss([1.0; 2]), loss(others)],
            ece: [ece(&halves, [1.0; 2]), ece(&halves, others)],
        };
        match found.loss[1] < found.loss[0] {
            true => Ok(found),
            false => Err(refused(format!(
                "the loss would be {:.4}, and is {:.4} without one",
                found.loss[1], found.loss[0]
            ))),
        }
    }

    fn fit(&self) -> Result<f64, Error> {
        let found = fit_temperature(&self.logits, &self.labels).map_or(f64::NAN, |found| found.value);
        match found > COLDEST * 1.01 && found < HOTTEST / 1.01 {
            true => Ok(found),
            false => Err(Error::NoTemperature {
                reason: "the answers are all right, or as good as drawn by lot".to_owned(),
            }),
        }
    }

    /// Sum of the losses of all rows.
    fn loss(&self, temperature: f64) -> f64 {
        self.labels.len() as f64 * negative_log_likelihood(&self.logits, &self.labels, temperature)
    }

    /// Rows of every other image.
    fn half(&self, half: usize) -> Self {
        let rows = self.logits.chunks_exact(self.of_image * self.classes).skip(half).step_by(2);
        let labels = self.labels.chunks_exact(self.of_image).skip(half).step_by(2);
        Self {
            logits: rows.flatten().copied().collect(),
            labels: labels.flatten().copied().collect(),
            ..*self
        }
    }
}

fn ece(halves: &[Rows; 2], temperatures: [f64; 2]) -> f64 {
    let (mut confidences, mut correct) = (Vec::new(), Vec::new());
    for (half, temperature) in halves.iter().zip(temperatures) {
        for (row, &label) in half.logits.chunks_exact(half.classes).zip(&half.labels) {
            let scaled: Vec<f32> = row.iter().map(|&logit| (f64::from(logit) / temperature) as f32).collect();
            let (confidence, is_right) = (half.judged)(&softmax(&scaled), label);
            confidences.push(confidence);
            correct.push(is_right);
        }
    }
    Calibration::new(&confidences, &correct).ece()
}

#[cfg(test)]
mod tests {
    use residual_arch::{RegressionTarget, Task};
    use residual_data::TaskOutputs;

    use super::*;

    /// Answers of two classes with these logits' difference, right in `right` of `n`.
    fn answers(n: usize, right: usize, difference: f32) -> Answers {
        let mut answers = Answers::new(["a", "b"].map(String::from).into(), true);
        for index in 0..n {
            // Right and wrong ones are spread over both halves.
            let is_right = (index * 7 % n) < right;
            answers.add(&[index], &[usize::from(!is_right)], &[difference, 0.0]);
        }
        answers
    }

    #[test]
    fn a_network_that_is_too_sure_is_made_less_sure() {
        // Right in 3 of 4: the difference of the logits should be ln 3.
        let found = calibrate(&answers(400, 300, 4.0)).unwrap();
        assert!((found.temperature / (4.0 / 3f64.ln()) - 1.0).abs() < 1e-4, "{found:?}");
        assert!(found.loss[1] < found.loss[0] && found.ece[1] < 0.05 && found.ece[0] > 0.2, "{found:?}");
    }

    #[test]
    fn several_labels_have_a_temperature_too() {
        // Two labels an image, said with a logit of 4 or -4 and right in 3 of 4.
        let mut found = TaskOutputs::default();
        found.indices = (0..200).collect();
        found.outputs = (0..400).map(|i| if i % 2 == 0 { 4.0 } else { -4.0 }).collect();
        found.targets = (0..400).map(|i| f64::from(u8::from((i % 2 == 0) == (i * 7 % 400 < 300)))).collect();
        let classes: Vec<String> = ["a", "b"].map(String::from).to_vec();
        let of = |task| TaskAnswers::new(classes.clone().into(), task, found.clone());
        let fitted = calibrate_labels(&of(Task::multi_label())).unwrap();
        assert!((fitted.temperature / (4.0 / 3f64.ln()) - 1.0).abs() < 1e-4, "{fitted:?}");
        assert!(fitted.ece[1] < 0.05 && fitted.ece[0] > 0.2, "{fitted:?}");
        let targets = ["a", "b"].map(|name| RegressionTarget::new(name, 0.0, 1.0)).to_vec();
        assert!(matches!(calibrate_labels(&of(Task::Regression { targets })), Err(Error::NoProbabilities)));
    }

    #[test]
    fn what_a_temperature_does_not_help_is_refused() {
        for (answers, words) in [
            (answers(9, 5, 1.0), "9 images"),
            (answers(100, 100, 1.0), "all right"),
            (answers(100, 0, 1.0), "by lot"),
            (answers(400, 300, 3f32.ln()), "loss would be"),
        ] {
            let error = calibrate(&answers).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("help:"), "{error}");
        }
        let unkept = Answers { logits: None, ..answers(50, 30, 1.0) };
        assert!(calibrate(&unkept).unwrap_err().to_string().contains("0 images"));
    }
}
