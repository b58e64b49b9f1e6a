//! `summary --html`: the table and the drawing as a page.

use residual::arch::Network;
use residual::report::{Fact, NetworkDiagram, Page, Table};

use super::Summary;
use crate::cli::describe;
use crate::cli::table::{short_count, thousands};

/// Page of a network.
pub(super) fn page(summary: &Summary, network: &Network) -> Page {
    let mut facts = vec![
        Fact::new("Parameters", thousands(summary.parameters)),
        Fact::new("Multiply-accumulates", short_count(summary.macs)).remark("for one image"),
        Fact::new("Input", describe::shape(&summary.input)),
        Fact::new("Outputs", summary.output[0].to_string()),
    ];
    if !summary.task.is_single_label() {
        facts.push(Fact::new("Task", summary.task.to_string()));
    }
    let mut rows = Table::new(&["block", "kind", "output", "shortcut", "parameters", "MACs"]);
    for part in summary.parts() {
        rows.row([
            part.name.clone(),
            part.kind.clone(),
            describe::shape(&part.output),
            part.shortcut.clone().unwrap_or_default(),
            thousands(part.parameters),
            short_count(part.macs),
        ]);
    }
    let table = Page::new(&summary.model).facts(&facts).heading("Block by block").table(&rows);
    table.heading("Drawing").figure("network", NetworkDiagram::new(network).figure(), DRAWN)
}

const DRAWN: &str = "From top to bottom; the branch of a block on the left, its shortcut on the right. Equal blocks in a \
                     row are drawn once.";
