//! The report on gradient flow.

use residual_report::{Axis, Figure, LineChart, Page, Series, Table, number, times};

use super::{BlockRow, Flow, GradientFlow};
use crate::{Summary, subject::file_name};

/// `cifar_plain110, no norm, initial`.
pub(super) fn name(network: &str, norm: bool, state: &str) -> String {
    format!("{network}{}, {state}", if norm { "" } else { " without norm" })
}

fn title(flow: &Flow) -> String {
    name(&flow.network, flow.norm, &flow.state)
}

/// `|dL/dx|` of the first block over `|dL/dy|` of the last.
fn arrives(flow: &Flow) -> Option<f64> {
    Some(flow.blocks.first()?.input? / flow.blocks.last()?.output?)
}

pub(super) fn line(flow: &Flow) -> String {
    match arrives(flow) {
        Some(ratio) => {
            format!("{}: |dL/dx| of the first block is {} |dL/dy| of the last", title(flow), times(ratio))
        }
        None if flow.diverged => format!("{}: diverged", title(flow)),
        None => format!("{}: no finite gradient", title(flow)),
    }
}

pub(super) fn page(study: &GradientFlow, flows: &[Flow]) -> Page {
    let intro = format!(
        "One backward pass over {} images of {} with seed {}. For y = act(F(x) + S(x)) and g the gradient at the \
         sum, behind the activation's gate, the identity path's share is S'(x) transposed times g (g itself for an \
         identity shortcut) and the branch's share F'(x) transposed times g; their sum is dL/dx. All norms are \
         Euclidean over the batch.",
        study.recipe.images_per_step(),
        file_name(&study.recipe.data.path),
        study.recipe.seed
    );
    let mut page = Page::new("Gradient flow")
        .text(&intro)
        .list(&flows.iter().map(line).collect::<Vec<_>>())
        .figure(
            "gradient",
            gradient(flows),
            "The gradient that each block receives. A level line passes it on unchanged.",
        )
        .figure(
            "response",
            response(flows),
            "He et al. 2015, figure 7, relative to the input: how much a block changes what it is given.",
        );
    for (index, flow) in
        flows.iter().enumerate().filter(|(_, flow)| flow.blocks.iter().any(|b| b.identity.is_some()))
    {
        page = page.figure(
            &format!("shares-{}", index + 1),
            shares(flow),
            "The two paths of the gradient, block by block.",
        );
    }
    for flow in flows {
        page = page.heading(&title(flow)).table(&table(flow));
    }
    page
}

/// The most blocks of a network in the summary.
const SHOWN: usize = 6;

pub(super) fn summary(flows: &[Flow]) -> Summary {
    let table = |flow: &Flow| {
        let last = flow.blocks.len().saturating_sub(1);
        let shown = flow.blocks.len().min(SHOWN);
        let chosen = (0..shown).map(|i| flow.blocks[i * last / (shown - 1).max(1)].clone());
        let mut short = table(&Flow { blocks: chosen.collect(), ..flow.clone() });
        // All but |dL/du| and the deviation, so that it fits a terminal.
        let keep = |cells: &mut Vec<String>| {
            cells.truncate(8);
            cells.remove(2);
        };
        keep(&mut short.columns);
        short.rows.iter_mut().for_each(keep);
        (title(flow), short)
    };
    Summary { tables: flows.iter().map(table).collect(), words: flows.iter().map(line).collect() }
}

fn by_block(flow: &Flow, value: impl Fn(&BlockRow) -> Option<f64>) -> Vec<(f64, f64)> {
    flow.blocks.iter().enumerate().filter_map(|(i, block)| Some(((i + 1) as f64, value(block)?))).collect()
}

/// A line for each network: colours by kind, dashes by the rest.
fn compared(title_text: &str, y: Axis, flows: &[Flow], value: fn(&BlockRow) -> Option<f64>) -> Figure {
    let mut states: Vec<(bool, &str)> = Vec::new();
    let mut chart = LineChart::new(title_text, Axis::linear("block"), y);
    for flow in flows {
        let state = (flow.norm, flow.state.as_str());
        let dash = states.iter().position(|&known| known == state).unwrap_or_else(|| {
            states.push(state);
            states.len() - 1
        });
        let hue = flow.kind.map_or(5, |kind| kind as usize);
        chart = chart.with(Series::new(title(flow), by_block(flow, value)).with_style(hue, dash));
    }
    chart.figure()
}

fn gradient(flows: &[Flow]) -> Figure {
    compared("Norm of dL/dy at every block", Axis::log("|dL/dy|"), flows, |block| block.output)
}

fn response(flows: &[Flow]) -> Figure {
    compared("Response of the branch", Axis::log("|F(x)| / |x|"), flows, |block| {
        Some(block.branch_output? / block.x?).filter(|ratio| ratio.is_finite())
    })
}

fn shares(flow: &Flow) -> Figure {
    LineChart::new(title(flow), Axis::linear("block"), Axis::log("norm"))
        .with(Series::new("identity path's share", by_block(flow, |block| block.identity)))
        .with(Series::new("branch's share", by_block(flow, |block| block.branch)))
        .with(Series::new("dL/dx", by_block(flow, |block| block.input)))
        .figure()
}

fn table(flow: &Flow) -> Table {
    let mut table = Table::new(&[
        "block",
        "|dL/dy|",
        "|dL/du|",
        "identity",
        "branch",
        "|dL/dx|",
        "cosine",
        "|F(x)|/|x|",
        "std F(x)",
    ]);
    for block in &flow.blocks {
        let norm = |value: Option<f64>| value.map_or("-".to_owned(), |value| number(value, 3));
        let cosine = block.cosine.map_or("-".to_owned(), |cosine| format!("{cosine:+.3}"));
        let response = block.branch_output.zip(block.x).map(|(f, x)| f / x).filter(|ratio| ratio.is_finite());
        let response = response.map_or("-".to_owned(), |ratio| number(ratio, 3));
        let [output, sum, identity, branch, input, deviation] =
            [block.output, block.sum, block.identity, block.branch, block.input, block.branch_deviation]
                .map(norm);
        table.row([block.block.clone(), output, sum, identity, branch, input, cosine, response, deviation]);
    }
    table
}
