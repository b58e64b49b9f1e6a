//! The comparison as a table for a terminal.

use residual::report::duration;
use residual::train::RunState;

use super::{Compared, differences};
use crate::cli::table::{Align, Table, WIDTH, short_count, shorten};
use crate::cli::train::{rate, score};

/// Fields that have a column.
const IN_TABLE: [&str; 4] = ["model", "network.name", "lr", "batch_size"];

/// The table; under it what differs, and what ended those that ended with an error.
pub(super) fn lines(runs: &[Compared]) -> Vec<String> {
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("network", Align::Left),
        ("state", Align::Left),
        ("best", Align::Right),
        ("at", Align::Right),
        ("epochs", Align::Right),
        ("param.", Align::Right),
        ("rate", Align::Right),
        ("batch", Align::Right),
        ("time", Align::Right),
    ]);
    for Compared { run, .. } in runs {
        let best = run.best();
        table.row([
            run.name(),
            run.model().to_owned(),
            state(run.state).to_owned(),
            best.map_or("-".to_owned(), score),
            best.map_or("-".to_owned(), |best| best.epoch.to_string()),
            format!("{}/{}", run.epochs_done(), run.recipe.epochs),
            run.parameters.map_or("-".to_owned(), short_count),
            rate(run.recipe.rate()),
            run.recipe.images_per_step().to_string(),
            duration(run.seconds()),
        ]);
    }
    let mut lines = table.lines();
    let mut more = Vec::new();
    for Compared { run, differs } in runs {
        let mut differs = differs.clone();
        differs.retain(|name, _| !IN_TABLE.contains(&name.as_str()));
        let said = [differences(&differs), run.error.clone().unwrap_or_default()];
        for text in said.iter().filter(|text| !text.is_empty()) {
            more.push(shorten(&format!("{}: {text}", run.name()), 3 * WIDTH));
        }
    }
    if !more.is_empty() {
        lines.push(String::new());
        lines.extend(more);
    }
    lines
}

/// The state in few letters.
fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Finished => "done",
        RunState::Interrupted => "stopped",
        RunState::Diverged => "diverged",
        _ => "failed",
    }
}
