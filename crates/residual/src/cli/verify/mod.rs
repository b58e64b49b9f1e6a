//! `residual verify`: hold this implementation against golden references.

mod engine;
#[cfg(feature = "train")]
mod modules;
mod report;
#[cfg(feature = "train")]
mod rounding;
mod subject;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual_testkit::compare::Tolerances;
use residual_testkit::golden::Golden;
use serde::Serialize;

use self::report::Report;
#[cfg(feature = "train")]
use self::rounding::Rounding;
use self::subject::Subject;
#[cfg(feature = "train")]
use super::compute;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{WIDTH, shorten};
use super::threads;

const EXAMPLE: &str = "\
Examples:
  residual verify crates/testkit/golden
  residual verify resnet50.json --json
  residual verify crates/testkit/golden --path engine

A file holds what PyTorch computes in float64 for one network or block, which is
rebuilt from the file's `model` alone. Shapes, parameters and MACs must be equal;
outputs, gradients and running statistics within a tolerance. The line names the
tensor that comes closest to its own. Exit code 1 where a file does not hold.

A ReLU's derivative jumps at zero, and so do a network's gradients where rounding
decides over a value next to it. Where gradients alone are beyond their tolerance,
and their norms within 5e-2, they are computed again with other rounding errors
(forward convolutions without Winograd's transforms, inputs scaled by up to 1e-6): they
hold where one of up to nine has the reference's side of every ReLU. A line says so.";

/// Check outputs, gradients and statistics against golden reference files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Golden files, or folders of them.
    #[arg(value_name = "FILE.json|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// What is held against them: the modules that are trained, layer by layer or fused into one operation a
    /// block, or the engine, which answers and has no gradients.
    #[arg(long, value_enum, default_value = DEFAULT)]
    path: ComputePath,
    /// Print one JSON object a line: model, ok, worst, ...
    #[arg(long)]
    json: bool,
    /// Threads for computing. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
}

/// Who computes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ComputePath {
    /// The modules that are trained, through the kernels.
    #[cfg(feature = "train")]
    Fused,
    /// The same, layer by layer.
    #[cfg(feature = "train")]
    Stock,
    /// Plans.
    Engine,
}

const DEFAULT: &str = if cfg!(feature = "train") { "stock" } else { "engine" };

#[derive(Serialize)]
struct Line<'a> {
    file: String,
    #[serde(flatten)]
    report: &'a Report,
}

pub(crate) fn run(arguments: &Arguments, verbose: bool) -> Outcome {
    #[cfg(feature = "train")]
    threads::limit(arguments.threads)?;
    let files = arguments.paths.iter().map(|path| files(path)).collect::<Outcome<Vec<_>>>()?.concat();
    let mut output = Output::new();
    let (mut failed, mut unread) = (0, 0);
    for file in &files {
        match verify(file, arguments) {
            Ok(report) => {
                failed += usize::from(!report.ok);
                print(&mut output, file, &report, arguments.json)?;
            }
            // A file that cannot be checked does not keep the others from it.
            Err(failure) => {
                failure.announce(verbose);
                unread += 1;
            }
        }
    }
    if !arguments.json {
        output.line(format_args!("{} of {} hold", files.len() - failed - unread, files.len()))?;
    }
    match (failed, unread) {
        (0, 0) => Ok(()),
        (_, 0) => Err(Failure::Check),
        _ => Err(Failure::Reported),
    }
}

/// The file itself, or the `.json` files of a folder, sorted.
fn files(path: &Path) -> Outcome<Vec<PathBuf>> {
    let within =
        |error: std::io::Error| Failure::from(error).within(format!("{}: cannot read", path.display()));
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(within)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut files = paths.map_err(within)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    match files.is_empty() {
        true => Err(Failure::new(format_args!("{}: no golden files (*.json) there", path.display()))),
        false => Ok(files),
    }
}

fn verify(file: &Path, arguments: &Arguments) -> Outcome<Report> {
    let golden = Golden::read(file)?;
    let named = |failure: Failure| failure.within(file.display());
    let subject = Subject::from_name(&golden.model).map_err(named)?;
    let threads = threads::count(arguments.threads);
    let report = match arguments.path {
        #[cfg(feature = "train")]
        ComputePath::Fused => trained(&golden, &subject, compute::Path::Fused, threads),
        #[cfg(feature = "train")]
        ComputePath::Stock => trained(&golden, &subject, compute::Path::Stock, threads),
        ComputePath::Engine => engine::results(&subject, golden.input_shape, threads)
            .map(|results| Report::new(&golden, &results, Tolerances::for_layers(subject.layers()))),
    };
    report.map_err(named)
}

/// Holds what is trained; its gradients, where need be, at a rounding that has the reference's side of every ReLU.
#[cfg(feature = "train")]
fn trained(golden: &Golden, subject: &Subject, path: compute::Path, threads: usize) -> Outcome<Report> {
    let tolerances = Tolerances::for_layers(subject.layers());
    let results = |rounding| modules::results(subject, golden.input_shape, path, rounding);
    let usual = Rounding::usual(threads);
    let found = results(usual)?;
    let report = Report::new(golden, &found, tolerances);
    if report.ok || !Report::new(golden, &found, tolerances.with_flips()).ok {
        return Ok(report);
    }
    for rounding in usual.others(path) {
        let other = Report::new(golden, &results(rounding)?, tolerances);
        if other.ok {
            return Ok(Report { flipped: Some(report.worst), ..other });
        }
    }
    Ok(report)
}

fn print(output: &mut Output, file: &Path, report: &Report, json: bool) -> Outcome {
    if json {
        return output.json(&Line { file: file.display().to_string(), report });
    }
    let verdict = if report.ok { "ok    " } else { "FAILED" };
    let worst = report.worst.to_string();
    let line = format!("{verdict}  {:<26}  ", shorten(&report.model, 26));
    let room = WIDTH.saturating_sub(line.chars().count());
    output.line(line + &shorten(&worst, room))?;
    if let Some(flipped) = &report.flipped {
        output.line("        with other rounding errors; at first, a ReLU next to zero flipped:")?;
        output.line(format_args!("        {}", shorten(&flipped.to_string(), WIDTH - 8)))?;
    }
    report.problems.iter().try_for_each(|problem| output.line(format_args!("        {problem}")))
}
