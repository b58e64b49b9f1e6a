//! Figures about answers with several labels or numbers.

use residual_measure::Counts;
use residual_report::{Axis, Figure, LineChart, ScatterChart, Series, number};

use super::{TargetMeasured, TaskAnswers};

/// Thresholds that a curve goes through.
const STEPS: usize = 100;

/// Figure, its name, and its caption.
pub(super) type Captioned = (&'static str, Figure, String);

/// Precision, recall and F1 over all labels by the threshold.
pub(super) fn thresholds(answers: &TaskAnswers, threshold: f64, best: Option<f64>) -> Captioned {
    let columns = (0..answers.classes().len()).map(|class| answers.class(class));
    let (scores, truths): (Vec<_>, Vec<_>) = columns.unzip();
    let counts = AtThresholds::new(&scores.concat(), &truths.concat());
    let line = |name: &str, value: fn(&Counts) -> f64| {
        Series::new(name, counts.0.iter().map(|(threshold, counts)| (*threshold, 100.0 * value(counts))))
    };
    let said = counts.0.iter().filter(|(_, counts)| counts.answered() > 0);
    let precision =
        Series::new("precision", said.map(|(threshold, counts)| (*threshold, 100.0 * counts.precision())));
    let chart =
        LineChart::new("Labels by the threshold", Axis::linear("threshold"), Axis::linear("%").from_zero())
            .narrow()
            .with(line("F1", Counts::f1))
            .with(precision)
            .with(line("recall", Counts::recall));
    let best = best.map_or(String::new(), |best| {
        format!(" The greatest F1 score on these images is at {}.", number(best, 3))
    });
    let words = format!("Over all labels. The network's threshold is {}.{best}", number(threshold, 3));
    ("thresholds", chart.figure(), words)
}

/// Counts at thresholds from 0 to 1.
struct AtThresholds(Vec<(f64, Counts)>);

impl AtThresholds {
    /// A pass over all labels: each counts as a yes up to the last threshold that it reaches.
    fn new(scores: &[f64], truths: &[bool]) -> Self {
        let mut reached = [[0u64; 2]; STEPS + 1];
        for (&score, &truth) in scores.iter().zip(truths) {
            let place = (score.clamp(0.0, 1.0) * STEPS as f64).floor() as usize;
            reached[place][usize::from(truth)] += 1;
        }
        let mut counts = Counts::default();
        counts.false_negatives = truths.iter().filter(|&&truth| truth).count() as u64;
        counts.true_negatives = truths.len() as u64 - counts.false_negatives;
        let mut found = Vec::new();
        for place in (0..=STEPS).rev() {
            let [wrong, right] = reached[place];
            counts.true_positives += right;
            counts.false_negatives -= right;
            counts.false_positives += wrong;
            counts.true_negatives -= wrong;
            found.push((place as f64 / STEPS as f64, counts));
        }
        found.reverse();
        Self(found)
    }
}

/// Predicted against true numbers of a target, and how far they are apart.
pub(super) fn numbers(answers: &TaskAnswers, target: usize, measured: &TargetMeasured) -> [Captioned; 2] {
    let (predicted, truths) = answers.target(target);
    let name = &measured.target;
    let pairs: Vec<(f64, f64)> = truths.iter().copied().zip(predicted.iter().copied()).collect();
    let drawn = ScatterChart::drawn(pairs.len());
    let thinned = match drawn < pairs.len() {
        true => format!(" {} of {} images.", number(drawn as f64, 12), number(pairs.len() as f64, 12)),
        false => String::new(),
    };
    let apart = pairs.iter().map(|&(truth, predicted)| (predicted, predicted - truth));
    let residuals = ScatterChart::new(
        format!("Residuals of {name}"),
        Axis::linear("predicted"),
        Axis::linear("predicted - true"),
        apart,
    );
    let scatter = ScatterChart::new(
        name.clone(),
        Axis::linear("true"),
        Axis::linear("predicted"),
        pairs.iter().copied(),
    );
    let side = match measured.bias {
        bias if bias.abs() * 10.0 < measured.mae => String::new(),
        bias => {
            let side = if bias > 0.0 { "too high" } else { "too low" };
            format!(" On average it is {} {side}.", number(bias.abs(), 3))
        }
    };
    [
        (
            "predicted",
            scatter.with_diagonal().figure(),
            format!("On the dashed line both are the same.{thinned}"),
        ),
        (
            "residuals",
            residuals.with_level(0.0).figure(),
            format!(
                "Without a pattern around the dashed line, nothing is left to be learnt from the number itself.{side}"
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_at_every_threshold_are_those_of_the_threshold() {
        let scores: Vec<f64> = (0..97).map(|i| f64::from(i * 31 % 97) / 96.0).collect();
        let truths: Vec<bool> = (0..97).map(|i| i % 3 == 0).collect();
        for (threshold, counts) in AtThresholds::new(&scores, &truths).0 {
            assert_eq!(counts, Counts::at(&scores, &truths, threshold), "{threshold}");
        }
    }
}
