//! Temperature of a network, fitted to its answers.

use residual_measure::{COLDEST, Calibration, HOTTEST, fit_temperature, negative_log_likelihood, softmax};

use crate::{Answers, Error};

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
    let refused = |reason: String| Error::NoTemperature { reason };
    let labels = answers.labels();
    let logits = answers.logits().unwrap_or_default();
    let classes = logits.len() / labels.len().max(1);
    if labels.len() < FEWEST || classes == 0 {
        return Err(refused(format!(
            "{} images with answers, expected {FEWEST} or more",
            labels.len().min(logits.len())
        )));
    }
    let fit = |logits: &[f32], labels: &[usize]| {
        let found = fit_temperature(logits, labels).map(|found| found.value).unwrap_or(f64::NAN);
        match found > COLDEST * 1.01 && found < HOTTEST / 1.01 {
            true => Ok(found),
            false => Err(refused("the answers are all right, or as good as drawn by lot".to_owned())),
        }
    };
    let temperature = fit(logits, &labels)?;
    let halves = [0, 1].map(|half| Half::of(logits, &labels, classes, half));
    let [first, second] =
        [fit(&halves[0].logits, &halves[0].labels)?, fit(&halves[1].logits, &halves[1].labels)?];
    let loss = |[a, b]: [f64; 2]| {
        let sums = [(&halves[0], a), (&halves[1], b)].map(|(half, temperature)| {
            half.labels.len() as f64 * negative_log_likelihood(&half.logits, &half.labels, temperature)
        });
        (sums[0] + sums[1]) / labels.len() as f64
    };
    let found = Calibrated {
        temperature,
        loss: [loss([1.0; 2]), loss([second, first])],
        ece: [ece(&halves, [1.0; 2]), ece(&halves, [second, first])],
    };
    match found.loss[1] < found.loss[0] {
        true => Ok(found),
        false => Err(refused(format!(
            "the loss would be {:.4}, and is {:.4} without one",
            found.loss[1], found.loss[0]
        ))),
    }
}

/// Every other image.
struct Half {
    logits: Vec<f32>,
    labels: Vec<usize>,
    classes: usize,
}

impl Half {
    fn of(logits: &[f32], labels: &[usize], classes: usize, half: usize) -> Self {
        let rows = logits.chunks_exact(classes).skip(half).step_by(2);
        Self {
            logits: rows.flatten().copied().collect(),
            labels: labels.iter().skip(half).step_by(2).copied().collect(),
            classes,
        }
    }
}

fn ece(halves: &[Half; 2], temperatures: [f64; 2]) -> f64 {
    let (mut confidences, mut correct) = (Vec::new(), Vec::new());
    for (half, temperature) in halves.iter().zip(temperatures) {
        for (row, &label) in half.logits.chunks_exact(half.classes).zip(&half.labels) {
            let scaled: Vec<f32> = row.iter().map(|&logit| (f64::from(logit) / temperature) as f32).collect();
            confidences.push(softmax(&scaled).into_iter().fold(0.0, f64::max));
            correct.push(residual_measure::score(row, label).1 == 0);
        }
    }
    Calibration::new(&confidences, &correct).ece()
}

#[cfg(test)]
mod tests {
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
