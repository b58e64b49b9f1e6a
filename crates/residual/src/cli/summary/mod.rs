//! `residual summary`: a network row by row.

mod page;

use std::path::PathBuf;

use clap::Args;
use residual::arch::shape::Row;
use residual::arch::{BlockSpec, Network, Shortcut, Task};
use serde::Serialize;

use self::page::page;
use super::failure::Outcome;
use super::input_size::InputArgument;
use super::output::Output;
use super::own_text::PAGE;
use super::table::{Align, Table, short_count, thousands};
use super::{describe, network};

const EXAMPLE: &str = "\
Examples:
  residual summary resnet50
  residual summary cifar_resnet110 --input 3x64x64 --json
  residual summary resnet50.a1_in1k --toml > my-network.toml
  residual summary my-network.toml
  residual summary runs/first/best.safetensors --html first.html

MACs are multiply-accumulates of convolutions and linear layers, for one image.";

/// Show a network: a row a block, with shape, parameters, MACs and shortcut.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member (see `residual models`), a SPEC.toml, or a trained .safetensors.
    #[arg(value_name = "MODEL|SPEC.toml")]
    model: String,
    #[command(flatten)]
    input: InputArgument,
    /// Print one JSON object: parameters, macs, blocks, ...
    #[arg(long)]
    json: bool,
    /// Print the network as a specification, to be changed and given as SPEC.toml.
    #[arg(long, conflicts_with = "json")]
    toml: bool,
    /// Write a page with the network's drawing and the table; replaces an earlier page, and nothing else.
    #[arg(long, value_name = "OUT.html", conflicts_with = "toml")]
    html: Option<PathBuf>,
}

#[derive(Serialize)]
struct Summary {
    model: String,
    input: [usize; 3],
    output: [usize; 3],
    parameters: u64,
    macs: u64,
    #[serde(skip_serializing_if = "Task::is_single_label")]
    task: Task,
    stem: Part,
    blocks: Vec<Part>,
    head: Part,
}

/// The stem, a block or the head.
#[derive(Serialize)]
struct Part {
    name: String,
    kind: String,
    output: [usize; 3],
    parameters: u64,
    macs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortcut: Option<String>,
}

impl Summary {
    /// The stem, the blocks and the head.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.stem).chain(&self.blocks).chain([&self.head])
    }
}

impl Part {
    fn new(row: &Row, kind: String) -> Self {
        Self {
            name: row.path.clone(),
            kind,
            output: row.output,
            parameters: row.parameters,
            macs: row.macs,
            shortcut: row.shortcut.as_ref().map(Shortcut::label),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    arguments.html.as_deref().map_or(Ok(()), |path| PAGE.check_free(path))?;
    let spec = network::specification(&arguments.model)?;
    let input = arguments.input.of(&spec);
    let mut output = Output::new();
    if arguments.toml {
        let spec = if input == spec.input { spec } else { spec.with_input(input) };
        spec.check(input)?;
        return spec.to_toml()?.lines().try_for_each(|line| output.line(line));
    }
    let network = spec.check(input)?;
    let summary = summarise(&network);
    if let Some(path) = &arguments.html {
        PAGE.write(path, &page(&summary, &network).html())?;
    }
    if arguments.json {
        return output.json(&summary);
    }
    output.line(format_args!("{}, input {}", summary.model, describe::shape(&summary.input)))?;
    if !summary.task.is_single_label() {
        output.line(format_args!("task: {}", summary.task))?;
    }
    for line in table(&summary).lines() {
        output.line(line)?;
    }
    Ok(())
}

fn summarise(network: &Network) -> Summary {
    let (spec, flow) = (network.spec(), network.flow());
    let blocks: Vec<&BlockSpec> = spec.blocks().map(|(_, block)| block).collect();
    let part = |row: &Row, index: usize| match index.checked_sub(1) {
        None => Part::new(row, spec.stem.label()),
        Some(index) => match blocks.get(index) {
            Some(block) => Part::new(row, block.label()),
            None => Part::new(row, spec.head.label()),
        },
    };
    // The rows are the stem, the blocks, the head.
    let mut parts: Vec<Part> = flow.rows.iter().enumerate().map(|(index, row)| part(row, index)).collect();
    let rest = parts.split_off(1);
    let mut blocks = rest;
    let head = blocks.split_off(blocks.len() - 1);
    let [stem, head] = [parts, head].map(|mut part| part.remove(0));
    Summary {
        model: spec.name.clone(),
        input: flow.input,
        output: flow.output,
        parameters: flow.parameters,
        macs: flow.macs,
        task: spec.task.clone(),
        stem,
        blocks,
        head,
    }
}

fn table(summary: &Summary) -> Table {
    let mut table = Table::new(&[
        ("block", Align::Left),
        ("kind", Align::Left),
        ("output", Align::Left),
        ("shortcut", Align::Left),
        ("parameters", Align::Right),
        ("MACs", Align::Right),
    ]);
    for part in summary.parts() {
        table.row([
            part.name.clone(),
            part.kind.clone(),
            describe::shape(&part.output),
            part.shortcut.clone().unwrap_or_default(),
            thousands(part.parameters),
            short_count(part.macs),
        ]);
    }
    let blank = String::new;
    table.row([
        "total".into(),
        blank(),
        blank(),
        blank(),
        thousands(summary.parameters),
        short_count(summary.macs),
    ]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::WIDTH;

    #[test]
    fn every_member_fits_the_terminal() {
        for name in residual::arch::families::all() {
            let spec = residual::arch::families::family(name).unwrap();
            let summary = summarise(&spec.check(spec.input).unwrap());
            assert_eq!(summary.blocks.len(), spec.depth_in_blocks());
            for line in table(&summary).lines() {
                assert!(line.chars().count() <= WIDTH, "{name}: {line}");
            }
        }
    }
}
