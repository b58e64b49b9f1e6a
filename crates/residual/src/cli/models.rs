//! `residual models`: every network there is a name for.

use clap::Args;
use residual::arch::families::{PATTERNS, all, family};
use residual::arch::shape::flow;
use serde::Serialize;

use super::describe;
use super::failure::Outcome;
use super::output::Output;
use super::table::{Align, Table, short_count, thousands};

const EXAMPLE: &str = "\
Examples:
  residual models
  residual models --json | head -1";

/// List every family member, with its parameters and MACs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Print one JSON object a line: model, input, classes, parameters, macs.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Member {
    model: &'static str,
    input: [usize; 3],
    classes: usize,
    parameters: u64,
    macs: u64,
}

impl Member {
    fn new(model: &'static str) -> Outcome<Self> {
        let spec = family(model)?;
        let flow = flow(&spec, spec.input)?;
        let classes = spec.head.classes;
        Ok(Self { model, input: spec.input, classes, parameters: flow.parameters, macs: flow.macs })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let members = all().into_iter().map(Member::new).collect::<Outcome<Vec<Member>>>()?;
    let mut output = Output::new();
    if arguments.json {
        return members.iter().try_for_each(|member| output.json(member));
    }
    for line in table(&members).lines() {
        output.line(line)?;
    }
    output.line("")?;
    output.line("Any other member works too, by these patterns:")?;
    PATTERNS.iter().try_for_each(|pattern| output.line(format_args!("  {pattern}")))
}

fn table(members: &[Member]) -> Table {
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("input", Align::Left),
        ("classes", Align::Right),
        ("parameters", Align::Right),
        ("MACs", Align::Right),
    ]);
    for member in members {
        table.row([
            member.model.to_owned(),
            describe::shape(&member.input),
            member.classes.to_string(),
            thousands(member.parameters),
            short_count(member.macs),
        ]);
    }
    table
}
