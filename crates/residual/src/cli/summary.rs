//! `residual summary`: a network row by row.

use clap::Args;
use residual::arch::shape::{Row, flow};
use residual::arch::{BlockSpec, NetSpec, Shortcut, Task};
use serde::Serialize;

use super::failure::Outcome;
use super::output::Output;
use super::table::{Align, Table, short_count, thousands};
use super::{describe, network};

const EXAMPLE: &str = "\
Examples:
  residual summary resnet50
  residual summary cifar_resnet110 --input 3x64x64 --json
  residual summary resnet50.a1_in1k --toml > my-network.toml
  residual summary my-network.toml
  residual summary runs/first/best.safetensors

MACs are multiply-accumulates of convolutions and linear layers, for one image.";

/// Show a network: a row a block, with shape, parameters, MACs and shortcut.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member (see `residual models`), a SPEC.toml, or a trained .safetensors.
    #[arg(value_name = "MODEL|SPEC.toml")]
    model: String,
    /// Channels, height and width of the input. [default: the network's own]
    #[arg(long, value_name = "CxHxW", value_parser = parse_input)]
    input: Option<Input>,
    /// Print one JSON object: parameters, macs, blocks, ...
    #[arg(long)]
    json: bool,
    /// Print the network as a specification, to be changed and given as SPEC.toml.
    #[arg(long, conflicts_with = "json")]
    toml: bool,
}

/// `[channels, height, width]`; a type of its own, since clap takes an array for a list of values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Input([usize; 3]);

fn parse_input(text: &str) -> Result<Input, String> {
    let sides: Option<Vec<usize>> =
        text.split(['x', 'X', ',']).map(|side| side.trim().parse().ok()).collect();
    match sides.as_deref() {
        Some(&[channels, height, width]) => Ok(Input([channels, height, width])),
        _ => Err("expected channels, height and width, as in 3x224x224".to_owned()),
    }
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
    let spec = network::specification(&arguments.model)?;
    let Input(input) = arguments.input.unwrap_or(Input(spec.input));
    let mut output = Output::new();
    if arguments.toml {
        let spec = if input == spec.input { spec } else { spec.with_input(input) };
        flow(&spec, input)?;
        return spec.to_toml()?.lines().try_for_each(|line| output.line(line));
    }
    let summary = summarise(&spec, input)?;
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

fn summarise(spec: &NetSpec, input: [usize; 3]) -> Outcome<Summary> {
    let flow = flow(spec, input)?;
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
    Ok(Summary {
        model: spec.name.clone(),
        input: flow.input,
        output: flow.output,
        parameters: flow.parameters,
        macs: flow.macs,
        task: spec.task.clone(),
        stem,
        blocks,
        head,
    })
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
    let parts = std::iter::once(&summary.stem).chain(&summary.blocks).chain([&summary.head]);
    for part in parts {
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
    fn inputs_are_three_numbers() {
        assert_eq!(parse_input("3x224x160"), Ok(Input([3, 224, 160])));
        for wrong in ["", "224", "3x224", "3x-1x4", "3x4x5x6", "axbxc"] {
            assert!(parse_input(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_member_fits_the_terminal() {
        for name in residual::arch::families::all() {
            let spec = residual::arch::families::family(name).unwrap();
            let summary = summarise(&spec, spec.input).unwrap();
            assert_eq!(summary.blocks.len(), spec.depth_in_blocks());
            for line in table(&summary).lines() {
                assert!(line.chars().count() <= WIDTH, "{name}: {line}");
            }
        }
    }
}
