//! The comparison as a page.

use residual::report::{Axis, LineChart, Page, Series, Table, duration, number};
use residual::train::{Metrics, RunSummary};

use super::{Compared, differences};
use crate::cli::train::score;

/// Number of runs whose curves are drawn: more cannot be told apart.
const DRAWN: usize = 14;

pub(super) fn page(runs: &[Compared], remarks: &[String]) -> Page {
    let (count, drawn) = (runs.len(), runs.len().min(DRAWN));
    let mut page = Page::new("Runs").text(&match count > drawn {
        true => format!("{count} runs; the curves are those of the first {drawn} of the table."),
        false => format!("{count} runs."),
    });
    let runs_drawn = &runs[..drawn];
    page = page.grid(CURVES.map(|(name, title, label, value)| {
        let mut chart = LineChart::new(title, Axis::linear("epoch"), Axis::linear(label)).narrow();
        for Compared { run, .. } in runs_drawn {
            chart = chart.with(Series::new(run.name(), curve(run, value)));
        }
        let words = "Of the evaluation after each epoch, of the average of the weights where there is one.";
        (name, chart.figure(), words.to_owned())
    }));
    page = page.heading("Runs").table(&table(runs));
    if !remarks.is_empty() {
        page = page.heading("Left out").list(remarks);
    }
    page
}

type Value = fn(&Metrics) -> f64;

/// Name, title, label and value of the figures.
const CURVES: [(&str, &str, &str, Value); 2] = [
    ("accuracy", "Accuracy or score", "classified correctly, or the task's score", |line| {
        line.score.map_or(line.top1, |score| score.value)
    }),
    ("loss", "Loss", "loss of an image", |line| line.loss),
];

fn curve(run: &RunSummary, value: Value) -> Vec<(f64, f64)> {
    run.evaluations().map(|line| (line.epoch as f64, value(line))).collect()
}

fn table(runs: &[Compared]) -> Table {
    let mut table = Table::new(&[
        "run",
        "network",
        "state",
        "best",
        "epoch",
        "epochs",
        "parameters",
        "rate",
        "batch",
        "time",
        "what differs",
    ]);
    for Compared { run, differs } in runs {
        let best = run.best();
        let error = run.error.as_ref().map_or(String::new(), |error| format!("; {error}"));
        table.row([
            run.path.display().to_string(),
            run.model().to_owned(),
            run.state.to_string(),
            best.map_or("-".to_owned(), score),
            best.map_or("-".to_owned(), |best| best.epoch.to_string()),
            format!("{} of {}", run.epochs_done(), run.recipe.epochs),
            run.parameters.map_or("-".to_owned(), |count| number(count as f64, 15)),
            number(run.recipe.rate(), 3),
            run.recipe.images_per_step().to_string(),
            duration(run.seconds()),
            differences(differs) + &error,
        ]);
    }
    table
}
