//! `residual verify`: hold this implementation against golden references.

mod engine;
#[cfg(feature = "train")]
mod modules;
mod preprocess;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual::arch::families::UnknownModel;
use residual_files::escaped;
use residual_testkit::golden::Golden;
use residual_testkit::report::Report;
use residual_testkit::{Convolutions, Rounding, Subject, hold};
use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{WIDTH, shorten};
use super::threads;

const EXAMPLE: &str = "\
Examples:
  residual verify crates/testkit/golden
  residual verify resnet50.json --json
  residual verify crates/testkit/golden --path engine
  residual verify --preprocess transforms

A file holds what PyTorch computes in float64 for one network or block, which is
rebuilt from the file's `model` alone. Shapes, parameters and MACs must be equal;
outputs, gradients and running statistics within a tolerance, or within ten times
PyTorch's own float32 error where the file states it. The line names the tensor that
comes closest to its own. Exit code 1 where a file does not hold. In a folder, files
of networks that this version does not know are skipped with a notice.

A ReLU's derivative jumps at zero, and so do a network's gradients where rounding
decides over a value next to it. Where gradients alone are beyond their tolerance,
and their norms within 5e-2, they are computed again: with forward convolutions without
Winograd's transforms, with each of up to 16 values within 1e-4 of zero moved to the
reference's side of it, and with noise of 5e-7 on the input. A line says so.

--preprocess: beside each image lies NAME.safetensors with the one tensor that the
other program's transform made of it, and preprocess.json names the network:
{\"model\": \"resnet50.a1_in1k\"}. At most one value in a thousand may be more than one
grey level off (bench/peers/preprocess.py makes such folders).";

/// Check outputs, gradients and statistics against golden reference files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Golden files, or folders of them.
    #[arg(value_name = "FILE.json|DIR", required_unless_present = "preprocess")]
    paths: Vec<PathBuf>,
    /// Check the preprocessing instead: images with the tensors that torchvision or timm made of them.
    #[arg(long, value_name = "FOLDER", conflicts_with = "paths")]
    preprocess: Option<PathBuf>,
    /// Implementation held against them: the modules that are trained, layer by layer or fused into one operation a
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

/// Path of the computation.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ComputePath {
    /// The modules that are trained, through the kernels.
    #[cfg(feature = "train")]
    Fused,
    /// The modules layer by layer.
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
    if let Some(folder) = &arguments.preprocess {
        return preprocess::run(folder, arguments.json);
    }
    #[cfg(feature = "train")]
    threads::limit(arguments.threads)?;
    let files = arguments.paths.iter().map(|path| files(path)).collect::<Outcome<Vec<_>>>()?.concat();
    let mut output = Output::new();
    let mut count = Count::default();
    for (file, named) in &files {
        match verify(file, arguments) {
            Ok(report) => {
                count.held += usize::from(report.ok);
                count.failed += usize::from(!report.ok);
                print(&mut output, file, &report, arguments.json)?;
            }
            Err(Unchecked::Unknown(error)) if !named => {
                count.skipped += 1;
                eprintln!("skipped {}: {error}", escaped(file));
            }
            // A file that cannot be checked does not keep the others from it.
            Err(unchecked) => {
                count.unread += 1;
                let failure = match unchecked {
                    Unchecked::Unknown(error) => Failure::from(error).within(escaped(file)),
                    Unchecked::Failed(failure) => failure,
                };
                failure.announce(verbose);
            }
        }
    }
    if !arguments.json {
        output.line(count.to_string())?;
    }
    count.outcome()
}

/// Counts of the files.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    held: usize,
    failed: usize,
    unread: usize,
    /// Files of networks that this version does not know.
    skipped: usize,
}

impl Count {
    fn outcome(self) -> Outcome {
        match self {
            Self { unread: 1.., .. } => Err(Failure::Reported),
            Self { failed: 1.., .. } => Err(Failure::Check),
            Self { held: 0, .. } => {
                Err(Failure::new("nothing was checked: this version knows none of the networks"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} hold", self.held, self.held + self.failed + self.unread)?;
        match self.skipped {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

/// Reason for which there is no report of a file.
enum Unchecked {
    /// Network that is none of this version's.
    Unknown(UnknownModel),
    Failed(Failure),
}

/// The file itself, or the `.json` files of a folder, sorted; and whether it was named on the command line.
fn files(path: &Path) -> Outcome<Vec<(PathBuf, bool)>> {
    let within =
        |error: std::io::Error| Failure::from(error).within(format!("{}: cannot read", path.display()));
    if !path.is_dir() {
        return Ok(vec![(path.to_owned(), true)]);
    }
    let entries = std::fs::read_dir(path).map_err(within)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut files = paths.map_err(within)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    match files.is_empty() {
        true => Err(Failure::new(format_args!("{}: no golden files (*.json) there", path.display()))),
        false => Ok(files.into_iter().map(|file| (file, false)).collect()),
    }
}

fn verify(file: &Path, arguments: &Arguments) -> Result<Report, Unchecked> {
    let golden = Golden::read(file).map_err(|error| Unchecked::Failed(error.into()))?;
    let subject = Subject::from_name(&golden.model).map_err(Unchecked::Unknown)?;
    held(&golden, &subject, arguments).map_err(|failure| Unchecked::Failed(failure.within(escaped(file))))
}

/// Holds what the path computes against a file.
fn held(golden: &Golden, subject: &Subject, arguments: &Arguments) -> Outcome<Report> {
    let (shape, threads) = (golden.input_shape, threads::count(arguments.threads));
    #[cfg(feature = "train")]
    let trained = |path, convolutions| {
        let compute = |rounding: &Rounding| modules::results(subject, shape, path, (rounding, threads));
        hold(golden, subject, convolutions, compute, || modules::kinks(subject, shape))
    };
    match arguments.path {
        #[cfg(feature = "train")]
        ComputePath::Fused => trained(residual::nn::fused::Path::Fused, Convolutions::Chosen),
        #[cfg(feature = "train")]
        ComputePath::Stock => trained(residual::nn::fused::Path::Stock, Convolutions::Plain),
        // A plan has no gradients, so that nothing is computed again.
        ComputePath::Engine => {
            let compute = |_: &Rounding| engine::results(subject, shape, threads);
            hold(golden, subject, Convolutions::Plain, compute, || Ok(Vec::new()))
        }
    }
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
        output.line("        beside the kinks of ReLUs; on one of them, at first:")?;
        output.line(format_args!("        {}", shorten(&flipped.to_string(), WIDTH - 8)))?;
    }
    report.problems.iter().try_for_each(|problem| output.line(format_args!("        {problem}")))
}
