//! `residual embed`: an index of the embeddings of images.

pub(super) mod images;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use residual::predict::{Classifier, Options};
use residual::search::{Facts, Index, IndexWriter, WeightsFile};
use residual::weights::write_atomically;
use residual_files::escaped;
use serde::Serialize;

use self::images::Images;
use super::failure::{Failure, Outcome};
use super::interrupt;
use super::lists::ListArguments;
use super::network::NetworkArguments;
use super::output::Output;
use super::predict::failure;
use super::progress::{Bar, note};
use super::table::thousands;

const EXAMPLE: &str = "\
Examples:
  residual embed photos --weights runs/first --out photos.parquet
  residual embed cifar10-images.tar.gz --model resnet18 --weights auto \\
                 --out cifar10.parquet
  residual search photos.parquet query.jpg

The index is a Parquet table with the columns path, split, label and embedding;
pandas, polars and pyarrow read it. The embedding is what the last layer of the
network reads: the maps of the last block, averaged over their pixels. An image
has the same bits for any number of threads.";

/// Embed images: write an index of them, to search for similar ones.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// `sample`, a folder of images with classes or without, or an archive, list, .parquet or shards of images. All
    /// splits are embedded.
    #[arg(value_name = "sample|PATH")]
    data: PathBuf,
    #[command(flatten)]
    list: ListArguments,
    /// The index to write. One of an earlier call is replaced as a whole, and nothing else ever is.
    #[arg(long, value_name = "FILE.parquet")]
    out: PathBuf,
    /// Write vectors of length 1. A search is the same with either.
    #[arg(long)]
    normalise: bool,
    /// Count and leave out images that cannot be decoded.
    #[arg(long)]
    skip_bad: bool,
    /// Print one JSON object: index, rows, length, skipped, seconds.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkArguments,
}

#[derive(Serialize)]
struct Object<'a> {
    index: &'a str,
    rows: usize,
    length: usize,
    skipped: usize,
    seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    check_free(&arguments.out)?;
    let begun = std::time::Instant::now();
    let (model, file) = arguments.network.open_with_file()?;
    // All images are wanted: none is held out.
    let images = Images::open(&arguments.data, &arguments.list, (arguments.skip_bad, 0.0))?;
    let [name, key] = arguments.network.named();
    let weights = WeightsFile::of(&file, name, key)?;
    let (network, preprocess) = (model.spec().name.clone(), model.spec().preprocess.clone());
    let classifier = Classifier::new(model, Options::new().threads(arguments.network.threads()).lazy())?;
    let length = classifier.embedding_length();
    let facts = Facts::new(weights, network, preprocess, length).with(|facts| {
        facts.normalised = arguments.normalise;
        facts.data = absolute(&arguments.data);
    });
    let stop = interrupt::listen_and_say("leaving without an index")?;
    let mut embedding =
        Embedding { classifier, images, skip_bad: arguments.skip_bad, skipped: 0, stop: &stop };
    let rows = write(&arguments.out, |out| embedding.write(out, facts))?;
    let skipped = embedding.skipped;
    embedding.classifier.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    let (index, seconds) = (&escaped(&arguments.out).to_string(), begun.elapsed().as_secs_f64());
    let mut output = Output::new();
    if arguments.json {
        return output.json(&Object { index, rows, length, skipped, seconds });
    }
    let left_out = match skipped {
        0 => String::new(),
        1 => "; 1 image left out".to_owned(),
        skipped => format!("; {} images left out", thousands(skipped as u64)),
    };
    let count = thousands(rows as u64);
    output.line(format_args!("{index}: {count} embeddings of {length} numbers in {seconds:.1} s{left_out}"))
}

/// Path from the root, by which the images are found again wherever a search is started; a name stays.
fn absolute(data: &Path) -> PathBuf {
    match data.exists() {
        true => std::path::absolute(data).unwrap_or_else(|_| data.to_owned()),
        false => data.to_owned(),
    }
}

/// Checks that nothing but an index of an earlier call would be lost.
fn check_free(path: &Path) -> Outcome {
    let name = escaped(path);
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        return Err(Failure::new(format_args!(
            "{name}: the index is a Parquet table; help: give it a name that ends in .parquet"
        )));
    }
    match path.exists() && Index::open(path).is_err() {
        true => Err(Failure::new(format_args!(
            "{name}: exists, and is no index of an earlier call; help: remove it, or give --out another name"
        ))),
        false => Ok(()),
    }
}

/// Writes a file as a whole or not at all, and gives what `body` gives.
pub(super) fn write<T>(path: &Path, body: impl FnOnce(&mut dyn Write) -> Outcome<T>) -> Outcome<T> {
    let mut found = None;
    let written = write_atomically(path, |file| {
        let result = body(file);
        let ended = if result.is_ok() { Ok(()) } else { Err(io::Error::other("stopped")) };
        found = Some(result);
        ended
    });
    match (found, written) {
        (Some(Err(failure)), _) => Err(failure),
        (Some(Ok(value)), Ok(())) => Ok(value),
        (_, Err(error)) => Err(error.into()),
        (None, Ok(())) => Err(Failure::new("nothing was written")),
    }
}

/// Images on their way into an index.
struct Embedding<'a> {
    classifier: Classifier,
    images: Images,
    skip_bad: bool,
    skipped: usize,
    stop: &'a AtomicBool,
}

impl Embedding<'_> {
    /// Writes the index, and gives the number of its rows.
    fn write(&mut self, out: &mut dyn Write, facts: Facts) -> Outcome<usize> {
        let mut writer = IndexWriter::new(out, facts)?;
        let (images, count) = (self.images.clone(), self.images.len());
        let bar = Bar::new(count);
        let answers = self.classifier.embed_all((0..count).map(move |number| images.input(number)));
        let mut rows = 0;
        for (number, answer) in answers.enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            match answer {
                Ok(vector) => {
                    writer.add(self.images.row(number), &vector)?;
                    rows += 1;
                }
                Err(error) if self.skip_bad && is_of_an_image(&error) => {
                    note(&format!("left out: {error}"));
                    self.skipped += 1;
                }
                Err(error) if is_of_an_image(&error) => {
                    let help = "help: mend or remove it, or leave such images out with --skip-bad";
                    return Err(Failure::new(format_args!("{error}; {help}")));
                }
                Err(error) => return Err(failure(error)),
            }
            bar.set(number + 1);
        }
        drop(bar);
        if rows == 0 {
            return Err(Failure::new("no image could be embedded"));
        }
        writer.finish()?;
        Ok(rows)
    }
}

/// True where an error is of one image, and not of the network.
fn is_of_an_image(error: &residual::predict::Error) -> bool {
    use residual::predict::Error;
    matches!(error, Error::Image(_) | Error::Read { .. })
}
