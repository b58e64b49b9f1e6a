//! Curves of a training as figures.

use std::collections::BTreeSet;

use residual_arch::Place;
use residual_report::{Axis, Figure, LineChart, MatrixChart, Series};

use crate::{Metric, Metrics};

/// Figures of the epochs so far, each with its name and its caption: loss, accuracy, learning rate, and the
/// norms of the gradients where they were written down.
pub(crate) fn curves(history: &[Metrics]) -> Vec<(&'static str, Figure, String)> {
    let by_split = |title: &str, y: Axis, value: fn(&Metrics) -> f64| {
        let mut chart = LineChart::new(title, Axis::linear("epoch"), y).narrow();
        for (style, split) in splits(history).into_iter().enumerate() {
            let lines = history.iter().filter(|line| line.split == split);
            let points = lines.map(|line| (line.epoch as f64, value(line)));
            chart = chart.with(Series::new(words(split), points).with_style(style, style));
        }
        chart.figure()
    };
    let rates = history.iter().filter(|line| line.split == "train");
    let rate = Series::new("learning rate", rates.map(|line| (line.epoch as f64, line.lr)));
    let mut figures = vec![
        ("loss", by_split("Loss", loss_axis(history), |line| line.loss), loss_words(history)),
        score(history, by_split),
        (
            "rate",
            LineChart::new("Learning rate", Axis::linear("epoch"), Axis::linear("rate").from_zero())
                .narrow()
                .with(rate)
                .figure(),
            "After the last step of each epoch.".to_owned(),
        ),
    ];
    figures.extend(gradients(history));
    figures
}

/// Norms of the gradients of every part of the network over time; `None` where none were written down.
fn gradients(history: &[Metrics]) -> Option<(&'static str, Figure, String)> {
    let epochs: Vec<_> =
        history.iter().filter_map(|line| Some((line.epoch, line.gradient_norms.as_ref()?))).collect();
    let parts: BTreeSet<(Option<Place>, &str)> = epochs
        .iter()
        .flat_map(|(_, norms)| norms.keys())
        .map(|name| (name.parse().ok(), name.as_str()))
        .collect();
    if parts.is_empty() {
        return None;
    }
    let names = parts.iter().map(|(_, name)| (*name).to_owned());
    let numbers = epochs.iter().map(|(epoch, _)| epoch.to_string());
    let mut chart =
        MatrixChart::new("Norm of the gradient", names, numbers).axes("part of the network", "epoch").log();
    for (row, (_, name)) in parts.iter().enumerate() {
        chart = chart.row(row, epochs.iter().map(|(_, norms)| norms.get(*name).copied()));
    }
    let words = "Mean of the epoch's steps, before clipping; colours by the logarithm.";
    Some(("gradients", chart.figure(), words.to_owned()))
}

/// Figure of the accuracy, or of another task's score.
fn score(
    history: &[Metrics],
    by_split: impl Fn(&str, Axis, fn(&Metrics) -> f64) -> Figure,
) -> (&'static str, Figure, String) {
    let words = "Of images to train on it is measured while they are augmented and before each step.";
    let metric = history.iter().rev().find_map(|line| line.score).map(|score| score.metric);
    let Some(metric) = metric else {
        let figure = by_split("Accuracy", Axis::linear("%"), |line| 100.0 * line.top1);
        return ("accuracy", figure, words.to_owned());
    };
    let value = |line: &Metrics| line.score.map_or(f64::NAN, |score| score.value);
    let (title, more) = match metric {
        Metric::MeanAbsoluteError => ("Mean absolute error", ""),
        _ => ("Mean average precision", " There it is the F1 score of the labels."),
    };
    ("score", by_split(title, Axis::linear("").from_zero(), value), format!("{words}{more}"))
}

/// Axis of losses: logarithmic where they fall far.
fn loss_axis(history: &[Metrics]) -> Axis {
    const FAR: f64 = 20.0;
    let losses = history.iter().map(|line| line.loss).filter(|&loss| loss > 0.0);
    let (least, greatest) = losses.fold((f64::INFINITY, 0.0), |(l, g), loss| (loss.min(l), loss.max(g)));
    if greatest > FAR * least { Axis::log("loss") } else { Axis::linear("loss").from_zero() }
}

/// Splits in the order in which they come.
fn splits(history: &[Metrics]) -> Vec<&str> {
    let mut splits: Vec<&str> = Vec::new();
    for line in history {
        if !splits.contains(&line.split.as_str()) {
            splits.push(&line.split);
        }
    }
    splits
}

fn words(split: &str) -> &str {
    match split {
        "train" => "training",
        "val" => "validation",
        "ema" => "average of the weights",
        other => other,
    }
}

fn loss_words(history: &[Metrics]) -> String {
    let last = |split: &str| history.iter().rev().find(|line| line.split == split);
    let evaluated = history.iter().rev().find(|line| line.split != "train" && line.split != "ema");
    match last("train").zip(evaluated) {
        Some((train, evaluated)) => format!(
            "Mean of an image. At last {} in training and {} on the {} split.",
            residual_report::number(train.loss, 3),
            residual_report::number(evaluated.loss, 3),
            evaluated.split
        ),
        None => "Mean of an image.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_has_its_line() {
        let line = |epoch, split: &str| {
            Metrics::default().with(|line| {
                (line.epoch, line.split) = (epoch, split.to_owned());
                (line.loss, line.top1, line.lr) = (1.0 / epoch as f64, 0.5, 0.1);
            })
        };
        let history: Vec<Metrics> =
            (1..4).flat_map(|epoch| ["train", "val", "ema"].map(|split| line(epoch, split))).collect();
        let drawn = curves(&history);
        let [loss, accuracy, rate] = &drawn[..] else { panic!("{} figures", drawn.len()) };
        for figure in [loss, accuracy] {
            let svg = figure.1.svg();
            assert!(
                svg.contains(">training<") && svg.contains(">validation<") && svg.contains("average"),
                "{svg}"
            );
            assert_eq!(svg.matches("<circle").count(), 9);
        }
        assert_eq!(rate.1.svg().matches("<circle").count(), 3);
        assert!(loss.2.contains("0.333 on the val split"), "{}", loss.2);
        let mut history = history;
        let norms = [("head", 0.5), ("stage1.block10", 2.0), ("stage1.block2", 1.0), ("stem", 3.0)];
        history[0].gradient_norms = Some(norms.map(|(name, norm)| (name.to_owned(), norm)).into());
        let svg = curves(&history)[3].1.svg();
        let places =
            ["stem", "stage1.block2", "stage1.block10", "head"].map(|name| svg.find(&format!(">{name}<")));
        assert!(places.is_sorted() && places[0].is_some(), "{svg}");
        assert!(curves(&[])[0].1.svg().contains("Loss"));
    }
}
