//! `residual get --list`: what can be downloaded.

use residual::arch::families::family;
use residual::arch::published::{Published, all};
use residual_hub::{Dataset, datasets};
use serde::Serialize;

use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;
use crate::cli::table::{Align, Table};

/// A network in JSON.
#[derive(Serialize)]
struct Line {
    name: String,
    default: bool,
    top1: Option<f64>,
    top5: Option<f64>,
    measured_at: Option<usize>,
    parameters: u64,
    megabytes: Option<f64>,
    classes: usize,
    input: [usize; 3],
    licence: Option<&'static str>,
    url: Option<&'static str>,
    sha256: Option<&'static str>,
}

/// Prints the networks and the datasets whose names hold all of `filter`.
pub(super) fn print(output: &mut Output, filter: &[String], json: bool) -> Outcome {
    let filter: Vec<String> = filter.iter().map(|text| text.to_lowercase()).collect();
    let matches = |name: &str| filter.iter().all(|text| name.to_lowercase().contains(text));
    let networks: Vec<&Published> = all()
        .iter()
        .filter(|row| row.url.is_some() && matches(&row.name()) && family(row.model).is_ok())
        .collect();
    let sets: Vec<&Dataset> = datasets().iter().filter(|dataset| matches(dataset.name)).collect();
    if networks.is_empty() && sets.is_empty() {
        return Err(Failure::new(format_args!("nothing that is published is called `{}`", filter.join(" "))));
    }
    if json {
        return networks.iter().try_for_each(|network| output.json(&line(network)));
    }
    if !networks.is_empty() {
        table(&networks).lines().iter().try_for_each(|line| output.line(line))?;
    }
    for dataset in sets {
        output.line(format_args!("{:<14} {:>4} MB  {}", dataset.name, dataset.megabytes, dataset.content))?;
    }
    if !networks.is_empty() {
        let sizes = if sized(&networks) { "; ~ at four bytes a parameter" } else { "" };
        output.line(format_args!("* its library's default; top-1 in percent{sizes}"))?;
    }
    Ok(())
}

fn line(network: &Published) -> Line {
    Line {
        name: network.name(),
        default: network.default,
        top1: network.accuracy.map(|accuracy| accuracy.top1),
        top5: network.accuracy.map(|accuracy| accuracy.top5),
        measured_at: network.accuracy.map(|accuracy| accuracy.side),
        parameters: network.parameters,
        megabytes: network.megabytes,
        classes: network.classes,
        input: network.input(Default::default()),
        licence: network.licence,
        url: network.url,
        sha256: network.sha256,
    }
}

/// Size of the file in units of 10^6 bytes.
fn size(network: &Published) -> String {
    match network.megabytes {
        Some(megabytes) => format!("{megabytes:.0}"),
        None => format!("~{:.0}", network.weights_megabytes()),
    }
}

/// Longest name beside which a column of sizes has room in 80 columns.
const LONGEST_BESIDE_SIZES: usize = 44;

/// True where sizes are listed: no name has to be cut for them.
fn sized(networks: &[&Published]) -> bool {
    networks.iter().all(|network| network.name().len() < LONGEST_BESIDE_SIZES)
}

/// A row a network.
fn table(networks: &[&Published]) -> Table {
    let sized = sized(networks);
    let mut columns = vec![("name", Align::Left), ("top-1", Align::Right), ("params", Align::Right)];
    columns.extend(sized.then_some(("MB", Align::Right)));
    columns.push(("licence", Align::Left));
    let mut table = Table::new(&columns);
    for network in networks {
        let mark = if network.default { "*" } else { "" };
        let mut row = vec![
            format!("{}{mark}", network.name()),
            network.accuracy.map_or("-".to_owned(), |accuracy| format!("{:.2}", accuracy.top1)),
            format!("{:.1}M", network.parameters as f64 / 1e6),
        ];
        row.extend(sized.then(|| size(network)));
        row.push(network.licence.unwrap_or("-").to_owned());
        table.row(row);
    }
    table
}
