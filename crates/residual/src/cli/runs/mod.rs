//! `residual runs`.

mod page;
mod text;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual::train::{RunState, RunSummary, TaskScore};
use residual::weights::write_atomically;
use residual_files::escaped;
use serde::Serialize;

use super::failure::{Failure, Outcome, line as one_line};
use super::output::Output;
use super::progress::note;

const EXAMPLE: &str = "\
Examples:
  residual runs runs
  residual runs runs elsewhere/run-7 --sort loss --out runs.html
  residual runs runs --json

What is compared are the folders' files: a run that goes on is not disturbed.";

/// Compare runs: best accuracy, epochs, size, rate, time, state, and what differs between their recipes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Folders of runs, or folders that have them somewhere within. [default: runs]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Order of the runs.
    #[arg(long, value_name = "BY", default_value = "best")]
    sort: Sort,
    /// Write a page with the curves over one another.
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Print one JSON object a line: run, state, error, model, parameters, epochs_done, epochs, batch_size, lr, seconds,
    /// best, differs.
    #[arg(long)]
    json: bool,
}

/// Order of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// Greatest accuracy first.
    Best,
    /// Least loss of an evaluation first.
    Loss,
    /// By folder.
    Name,
    /// Shortest training first.
    Time,
    /// Smallest network first.
    Parameters,
}

/// A run among others.
struct Compared {
    run: RunSummary,
    /// Fields of its recipe that are not the same in all runs.
    differs: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Line<'a> {
    run: &'a Path,
    state: RunState,
    error: Option<&'a str>,
    model: &'a str,
    parameters: Option<u64>,
    epochs_done: usize,
    epochs: usize,
    batch_size: usize,
    lr: f64,
    seconds: f64,
    best: Option<Best>,
    differs: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Best {
    epoch: usize,
    top1: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<TaskScore>,
    loss: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let (runs, remarks) = read(&arguments.folders)?;
    let runs = compared(runs, arguments.sort);
    remarks.iter().for_each(|remark| note(remark));
    if let Some(path) = &arguments.out {
        let html = page::page(&runs, &remarks).html();
        write_atomically(path, |file| file.write_all(html.as_bytes()))?;
    }
    let mut output = Output::new();
    if arguments.json {
        return runs.iter().try_for_each(|compared| output.json(&line(compared)));
    }
    text::lines(&runs).iter().try_for_each(|line| output.line(line))
}

/// The runs of all folders, each once, and remarks on those that cannot be read.
fn read(folders: &[PathBuf]) -> Outcome<(Vec<RunSummary>, Vec<String>)> {
    let usual = [PathBuf::from("runs")];
    let folders = if folders.is_empty() { &usual[..] } else { folders };
    let mut found = Vec::new();
    for folder in folders {
        found.extend(RunSummary::find(folder)?);
    }
    // A folder that was named twice, or with another that it is in.
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|path| seen.insert(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    let (mut runs, mut remarks) = (Vec::new(), Vec::new());
    for path in found {
        match RunSummary::read(path) {
            Ok(run) => runs.push(run),
            Err(error) => remarks.push(one_line(&format!("left out: {error}"))),
        }
    }
    if runs.is_empty() {
        remarks.iter().for_each(|remark| note(remark));
        let names: Vec<String> = folders.iter().map(|folder| escaped(folder).to_string()).collect();
        return Err(Failure::new(format_args!(
            "{}: no runs in it; help: give a folder that residual train has written, or one above it",
            names.join(", ")
        )));
    }
    Ok((runs, remarks))
}

fn compared(runs: Vec<RunSummary>, sort: Sort) -> Vec<Compared> {
    let differences = RunSummary::differences(&runs);
    let pairs = runs.into_iter().zip(differences);
    let mut runs: Vec<Compared> = pairs.map(|(run, differs)| Compared { run, differs }).collect();
    runs.sort_by(|a, b| order(&a.run, &b.run, sort).then_with(|| a.run.path.cmp(&b.run.path)));
    runs
}

/// Order of two runs; those of which it is not known come last.
fn order(a: &RunSummary, b: &RunSummary, sort: Sort) -> Ordering {
    let key = |run: &RunSummary| match sort {
        Sort::Best => run.best().map(|best| -best.merit()),
        Sort::Loss => run.least_loss(),
        Sort::Time => Some(run.seconds()),
        Sort::Parameters => run.parameters.map(|count| count as f64),
        Sort::Name => Some(0.0),
    };
    key(a).unwrap_or(f64::INFINITY).total_cmp(&key(b).unwrap_or(f64::INFINITY))
}

fn line(Compared { run, differs }: &Compared) -> Line<'_> {
    Line {
        run: &run.path,
        state: run.state,
        error: run.error.as_deref(),
        model: run.model(),
        parameters: run.parameters,
        epochs_done: run.epochs_done(),
        epochs: run.recipe.epochs,
        batch_size: run.recipe.images_per_step(),
        lr: run.recipe.rate(),
        seconds: run.seconds(),
        best: run.best().map(|best| Best {
            epoch: best.epoch,
            top1: best.top1,
            score: best.score,
            loss: best.loss,
        }),
        differs,
    }
}

/// The differences in words: `lr = 0.1, optimiser.kind = "adamw"`.
fn differences(differs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = differs.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    pairs.join(", ")
}
