//! `residual study`: why residual networks work, shown on one's own network.

mod bottleneck;
mod depth;
mod gradflow;
mod landscape;
mod lesion;
mod shared;
mod watch;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use residual::study::{Outcome as End, Study, Summary};

use self::shared::Run;
use self::watch::Line;
use super::command::quoted;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::note;
use super::table::{Align, Table};
use super::{interrupt, threads};

const EXAMPLE: &str = "\
Examples:
  residual study gradflow --model cifar_resnet56 --data sample
  residual study depth --depths 20,56 --kinds plain,residual --steps 500
  residual study depth --repeat studies/depth-1

A study is a folder: study.toml (repeat it with --repeat), results.jsonl (a
line a finished cell), report.html and its figures. Ctrl-C keeps what is
finished; the same command with the same --out goes on.";

/// Show why residual networks work: gradients, depth, anatomy.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Depth(Box<depth::Arguments>),
    Gradflow(Box<gradflow::Arguments>),
    Lesion(lesion::Arguments),
    Landscape(landscape::Arguments),
    Bottleneck(bottleneck::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Depth(arguments) => carry_out("depth", &arguments.run, || arguments.study()),
        What::Gradflow(arguments) => carry_out("gradflow", &arguments.run, || arguments.study()),
        What::Lesion(arguments) => carry_out("lesion", &arguments.run, || arguments.study()),
        What::Landscape(arguments) => carry_out("landscape", &arguments.run, || arguments.study()),
        What::Bottleneck(arguments) => carry_out("bottleneck", &arguments.run, || arguments.study()),
    }
}

/// Runs the study of the flags, or the one that is to be repeated.
fn carry_out(name: &str, run: &Run, of_flags: impl FnOnce() -> Outcome<Study>) -> Outcome {
    let study = match &run.repeat {
        Some(folder) => Study::read(&folder.join("study.toml"))?,
        None => of_flags()?,
    };
    if study.name() != name {
        let found = study.name();
        return Err(Failure::new(format_args!(
            "that is a study of {found}; help: use `residual study {found}`"
        )));
    }
    threads::limit(run.threads)?;
    let out = run.out.clone().unwrap_or_else(|| free_folder(name));
    let stop = interrupt::listen()?;
    let mut line = Line::new();
    let end = study.run(&out, &mut line, &stop);
    drop(line);
    let end = end?;
    report(&study, &out, run.json)?;
    match end {
        End::Finished => Ok(()),
        End::Interrupted => {
            let out = quoted(&out);
            note(&format!(
                "stopped; what is finished is kept. To go on:\n  residual study {name} --repeat {out} --out {out}"
            ));
            Err(Failure::Interrupted)
        }
    }
}

fn report(study: &Study, out: &Path, json: bool) -> Outcome {
    let mut output = Output::new();
    if json {
        return study.rows(out)?.iter().try_for_each(|row| output.json(row));
    }
    let Summary { tables, words } = study.summary(out)?;
    for (title, table) in tables {
        output.line(title)?;
        let (first, rest) =
            table.columns.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
        let columns: Vec<_> = first
            .map(|title| (title.as_str(), Align::Left))
            .into_iter()
            .chain(rest.iter().map(|title| (title.as_str(), Align::Right)))
            .collect();
        let mut set = Table::new(&columns);
        table.rows.into_iter().for_each(|row| set.row(row));
        set.lines().iter().try_for_each(|line| output.line(line))?;
        output.line("")?;
    }
    words.iter().flat_map(|text| wrapped(text)).try_for_each(|line| output.line(line))?;
    output.line(format_args!("report: {}", out.join("report.html").display()))
}

/// Text in lines of 80 columns, the first with a dash.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec!["-".to_owned()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + 1 + word.chars().count() > super::table::WIDTH {
            lines.push(format!("  {word}"));
        } else {
            lines[last].push_str(&format!(" {word}"));
        }
    }
    lines
}

/// The first of `studies/NAME-1`, `studies/NAME-2`, ... that does not exist.
fn free_folder(name: &str) -> PathBuf {
    let mut numbered = (1usize..).map(|number| Path::new("studies").join(format!("{name}-{number}")));
    // Infinitely many names cannot all be taken.
    numbered.find(|folder| !folder.exists()).unwrap_or_default()
}
