//! `residual verify`: hold this implementation against golden references.

mod engine;
#[cfg(feature = "train")]
mod modules;
mod report;
mod subject;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual_testkit::golden::Golden;
use serde::Serialize;

use self::report::Report;
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
tensor that comes closest to its own. Exit code 1 where a file does not hold.";

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
    let results = match arguments.path {
        #[cfg(feature = "train")]
        ComputePath::Fused => modules::results(&subject, golden.input_shape, compute::Path::Fused),
        #[cfg(feature = "train")]
        ComputePath::Stock => modules::results(&subject, golden.input_shape, compute::Path::Stock),
        ComputePath::Engine => {
            engine::results(&subject, golden.input_shape, threads::count(arguments.threads))
        }
    };
    let results = results.map_err(named)?;
    Ok(Report::new(&golden, &results, subject.layers()))
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
    report.problems.iter().try_for_each(|problem| output.line(format_args!("        {problem}")))
}
