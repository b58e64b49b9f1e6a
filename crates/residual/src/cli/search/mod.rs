//! `residual search`: the images of an index that are most similar to others.

mod approximate;
mod queries;
mod sheet;

use std::path::PathBuf;

use clap::Args;
use residual::kernels::Cpu;
use residual::search::{Hit, Index, Row};
use residual_files::escaped;
use serde::Serialize;

use self::approximate::Method;
use self::queries::{Queries, Query};
use self::sheet::Shown;
use super::failure::{Failure, Outcome};
use super::network::NetworkArguments;
use super::output::Output;
use super::predict::parse_top;
use super::table::shorten;

const EXAMPLE: &str = "\
Examples:
  residual search photos.parquet query.jpg
  residual search photos.parquet queries/ --top 3 --json
  residual search photos.parquet query.jpg --show found.png
  residual search photos.parquet --row 17
  residual search photos.parquet --path cats/0001.jpg

The similarity is the cosine of two embeddings, from -1 to 1. The index knows
the weights that it was made with: --weights is needed where that file is no
longer there, and other weights are refused. Up to a million rows are all
compared; a larger index has an approximate one beside it, made by the first
search (FILE.parquet.clusters), unless --exact is given.";

/// Search an index for images that are similar to others.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// The index, of `residual embed`.
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    /// Images, folders of them, or - for a list on standard input, a path a line.
    #[arg(value_name = "IMAGE|DIR|-")]
    images: Vec<PathBuf>,
    /// Search for images similar to that of a row of the index, counted from 0.
    #[arg(long, value_name = "N")]
    row: Vec<u32>,
    /// Search for images similar to that of the row with this path.
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Number of images to print, the most similar first.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = parse_top)]
    top: usize,
    /// Compare with every row, however many there are.
    #[arg(long, conflicts_with = "approximate")]
    exact: bool,
    /// Compare with the rows of the nearest lists of the approximate index only, which is made where it is not there.
    #[arg(long)]
    approximate: bool,
    /// Lists of the approximate index that are looked at. [default: the square root of their number]
    #[arg(long, value_name = "N")]
    probes: Option<usize>,
    /// Write a sheet: a query a row, with the images that were found.
    #[arg(long, value_name = "FILE.png")]
    show: Option<PathBuf>,
    /// Print one JSON object a line, one for each query: query, hits[{row, similarity, path, split, label}].
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkArguments,
}

/// An answer in JSON.
#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    hits: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    row: u32,
    similarity: f32,
    path: &'a str,
    split: Option<&'a str>,
    label: Option<&'a str>,
}

pub(crate) fn run(arguments: &Arguments, verbose: bool) -> Outcome {
    let index = Index::open(&arguments.index)?;
    if arguments.images.is_empty() && arguments.row.is_empty() && arguments.path.is_empty() {
        return Err(Failure::new("nothing to search for; help: name an image, or a row by --row or --path"));
    }
    let cpu = Cpu::new(arguments.network.threads())?;
    let mut queries = Queries::open(arguments, &index)?;
    let method = Method::choose(arguments, &index, &cpu)?;
    let mut shown = arguments.show.as_deref().map(|path| Shown::new(path, &index)).transpose()?;
    let mut output = Output::new();
    let mut failed = false;
    loop {
        let (batch, failures) = queries.next()?;
        for failure in &failures {
            failure.announce(verbose);
            failed = true;
        }
        if batch.is_empty() && failures.is_empty() {
            break;
        }
        let asked = Asked { arguments, index: &index, cpu: &cpu, method: &method };
        answer(&asked, &batch, &mut output, shown.as_mut())?;
    }
    shown.map_or(Ok(()), Shown::write)?;
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Index that is asked, and how.
struct Asked<'a> {
    arguments: &'a Arguments,
    index: &'a Index,
    cpu: &'a Cpu,
    method: &'a Method,
}

fn answer(
    asked: &Asked<'_>,
    batch: &[Query],
    output: &mut Output,
    mut shown: Option<&mut Shown<'_>>,
) -> Outcome {
    let arguments = asked.arguments;
    if batch.is_empty() {
        return Ok(());
    }
    let vectors: Vec<f32> = batch.iter().flat_map(|query| &query.vector).copied().collect();
    // The row that is asked about is the most similar to itself.
    let own = usize::from(batch.iter().any(|query| query.row.is_some()));
    let found = asked.method.search(asked.index, asked.cpu, &vectors, arguments.top.saturating_add(own))?;
    for (query, hits) in batch.iter().zip(found) {
        let hits: Vec<Hit> =
            hits.into_iter().filter(|hit| Some(hit.row) != query.row).take(arguments.top).collect();
        let numbers: Vec<u32> = hits.iter().map(|hit| hit.row).collect();
        let rows = asked.index.rows_at(&numbers)?;
        if let Some(shown) = &mut shown {
            shown.add(query, &hits, &rows);
        }
        match arguments.json {
            true => output.json(&Line { query: &query.name, hits: found_of(&hits, &rows) })?,
            false => print(&query.name, &hits, &rows, output)?,
        }
    }
    Ok(())
}

fn found_of<'a>(hits: &[Hit], rows: &'a [Row]) -> Vec<Found<'a>> {
    let found = |(hit, row): (&Hit, &'a Row)| Found {
        row: hit.row,
        similarity: hit.score,
        path: &row.path,
        split: row.split.as_deref(),
        label: row.label.as_deref(),
    };
    hits.iter().zip(rows).map(found).collect()
}

/// Columns of a path and of a label, of 80.
const PATH: usize = 46;
const LABEL: usize = 20;

fn print(query: &str, hits: &[Hit], rows: &[Row], output: &mut Output) -> Outcome {
    output.line(query)?;
    for (hit, row) in hits.iter().zip(rows) {
        let path = shorten(&escaped(&row.path).to_string(), PATH);
        let label = shorten(&escaped(row.label.as_deref().unwrap_or_default()).to_string(), LABEL);
        let line = format!("  {:>7.4}  {path:<PATH$}  {label}", hit.score);
        output.line(line.trim_end())?;
    }
    Ok(())
}
