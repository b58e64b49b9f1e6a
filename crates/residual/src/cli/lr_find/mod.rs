//! `residual lr-find`: a learning rate range test.

mod plot;

use std::ops::ControlFlow;
use std::path::Path;

use clap::Args;
use residual::train::{Observer, Range, RangeTest, StepReport, Training};
use residual_files::escaped;
use residual_report::{Axis, LineChart, Page, Series, Table, number};
use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::{Bar, note};
use super::{interrupt, threads, train};

const EXAMPLE: &str = "\
Examples:
  residual lr-find --model small --data sample
  residual lr-find --recipe runs/first/recipe.toml --out rates.html
  residual lr-find --data photos --init weights.th --optimiser adamw --steps 200

A range test (Smith 2017, section 3.3): steps with a rate that rises from --from
to --to by the same factor each, and the loss before each, smoothed. Suggested is
a tenth of the rate at which the smoothed loss is least. Every flag of `residual
train` but those for a run's folder means what it means there; --out is a page
(.html) or a figure (.svg) to write. Nothing else is written or changed.";

/// Find a learning rate: train some steps with a rising one, and suggest.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Rate of the first step. [default: 1e-7]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    from: Option<f64>,
    /// Rate of the last step. [default: 10]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    to: Option<f64>,
    /// Steps, if the loss does not diverge before. [default: 100]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Print one JSON object: suggestion, diverged, points.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    train: train::Arguments,
}

#[derive(Serialize)]
struct Report<'a> {
    suggestion: Option<f64>,
    diverged: bool,
    points: &'a [residual::train::RangePoint],
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let flags = &arguments.train;
    if flags.resume.is_some() {
        let help = "give its recipe: --recipe DIR/recipe.toml";
        return Err(Failure::new(format_args!("--resume: a range test goes on with no run; help: {help}")));
    }
    if flags.seeds.is_some() {
        return Err(Failure::new("--seeds: a range test has one seed; help: give --seed"));
    }
    let page = flags.out.as_deref().map(|path| Ok::<_, Failure>((path, Kind::of(path)?))).transpose()?;
    let recipe = flags.recipe()?;
    recipe.validate()?;
    threads::limit(recipe.threads)?;
    let test = RangeTest::default().with(|test| {
        test.from = arguments.from.unwrap_or(test.from);
        test.to = arguments.to.unwrap_or(test.to);
        test.steps = arguments.steps.unwrap_or(test.steps);
    });
    test.validate()?;
    let watch = RangeWatch { bar: Bar::new(test.steps as usize) };
    let training = Training::new(&recipe).stop(interrupt::listen()?).observer(watch);
    let Some(range) = test.run(training)? else {
        note("stopped: nothing was written");
        return Err(Failure::Interrupted);
    };
    let mut output = Output::new();
    if arguments.json {
        let Range { suggestion, diverged, points, .. } = &range;
        output.json(&Report { suggestion: *suggestion, diverged: *diverged, points })?;
    } else {
        plot::lines(&range).iter().try_for_each(|line| output.line(line))?;
        output.line(conclusion(&range))?;
    }
    if let Some((path, kind)) = page {
        residual::weights::write_atomically(path, |file| file.write_all(drawn(&range, kind).as_bytes()))?;
        note(&format!("written: {}", escaped(path)));
    }
    Ok(())
}

/// The suggestion in words.
fn conclusion(range: &Range) -> String {
    let ended = match (range.diverged, range.points.last()) {
        (true, Some(last)) => format!("; the loss diverged at {}", train::rate(last.lr)),
        _ => String::new(),
    };
    match range.suggestion {
        Some(rate) => {
            format!("suggested: --lr {rate:.1e}, a tenth of the rate with the least smoothed loss{ended}")
        }
        None => format!("no rate lowered the loss: try more --steps, or a lower --from{ended}"),
    }
}

/// Kind of a file that is written.
#[derive(Clone, Copy)]
enum Kind {
    Page,
    Figure,
}

impl Kind {
    fn of(path: &Path) -> Outcome<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("html") => Ok(Self::Page),
            Some("svg") => Ok(Self::Figure),
            _ => Err(Failure::new(format_args!(
                "--out {}: neither a page nor a figure; help: end it in .html or .svg",
                escaped(path)
            ))),
        }
    }
}

fn drawn(range: &Range, kind: Kind) -> String {
    let points = |value: fn(&residual::train::RangePoint) -> f64| {
        range.points.iter().map(move |point| (point.lr, value(point))).collect::<Vec<_>>()
    };
    let chart = LineChart::new("Loss by learning rate", Axis::log("learning rate"), Axis::linear("loss"))
        .with(Series::new("smoothed", points(|point| point.smoothed)))
        .with(Series::new("of the batch", points(|point| point.loss)));
    if let Kind::Figure = kind {
        return chart.figure().svg();
    }
    let mut table = Table::new(&["learning rate", "loss", "smoothed"]);
    for point in &range.points {
        table.row([number(point.lr, 3), format!("{:.4}", point.loss), format!("{:.4}", point.smoothed)]);
    }
    Page::new("Learning rate range test")
        .text(&conclusion(range))
        .figure(
            "range",
            chart.figure(),
            "Smith 2017, section 3.3: the rate rises by the same factor each step.",
        )
        .table(&table)
        .html()
}

/// A bar over the steps, on a terminal only.
struct RangeWatch {
    bar: Bar,
}

impl Observer for RangeWatch {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        let said = format!("loss {:.3} at {}", report.batch_loss, train::rate(report.lr));
        self.bar.say(report.step as usize, &said);
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, reason: &str) {
        note(&format!("left out: {reason}"));
    }
}
