//! `residual get`: published weights and datasets, brought to the cache.

mod list;

use std::path::{Path, PathBuf};

use clap::Args;
use residual::Model;
use residual::arch::published::{self, Published, class_names};
use residual_files::{HumanBytes, escaped};
use residual_hub::{Event, Hub, Options, Remote, dataset, datasets};
use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::preprocessing::PreprocessArguments;
use super::progress::{Bar, note};

const EXAMPLE: &str = "\
Examples:
  residual get resnet50
  residual get resnet50.a1_in1k --out classifier.safetensors --crop 288
  residual get cifar10
  residual get --list resnet50
  residual predict --model resnet50.a1_in1k --weights auto photo.jpg

A name is a network's with a tag, of torchvision (resnet50:IMAGENET1K_V2) or of
timm (resnet50.a1_in1k), or without, for the default one; or a dataset's. What is
printed is the path in the cache: $RESIDUAL_CACHE, or the platform's cache folder.
A download goes on where it broke off, and is held against the published hash.
HTTPS_PROXY names a proxy, SSL_CERT_FILE the certificates to trust. Licences are
the publishers'; those with `nc` forbid commercial use.";

/// Download published weights and datasets, or list them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Networks with or without a tag, and datasets; with --list, texts that a name must hold.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    names: Vec<String>,
    /// List what there is: accuracy, parameters, licence.
    #[arg(long, conflicts_with_all = ["offline", "out"])]
    list: bool,
    /// Use what is in the cache alone.
    #[arg(long)]
    offline: bool,
    /// Write the weights as a checkpoint that needs no --model: with network, preprocessing and class names.
    #[arg(long, value_name = "OUT.safetensors")]
    out: Option<PathBuf>,
    #[command(flatten)]
    preprocessing: PreprocessArguments,
    /// Print one JSON object a line: name, path (with --list: top1, parameters, licence, url, ...).
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    path: String,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut output = Output::new();
    if arguments.list {
        return list::print(&mut output, &arguments.names, arguments.json);
    }
    if arguments.preprocessing.any() && arguments.out.is_none() {
        return Err(Failure::new(
            "a preprocessing needs a file to be kept in; help: give --out OUT.safetensors",
        ));
    }
    if arguments.out.is_some() && arguments.names.len() > 1 {
        return Err(Failure::new("--out takes one network; help: call it once for each"));
    }
    let hub = Hub::new()?.with_options(Options::default().with(|options| {
        options.offline = arguments.offline;
        options.verify = true;
    }));
    for name in &arguments.names {
        let path = match (datasets().iter().any(|dataset| dataset.name == name), &arguments.out) {
            (true, None) => of_dataset(&hub, name)?,
            (true, Some(_)) => return Err(Failure::new(format_args!("--out: `{name}` is a dataset"))),
            (false, None) => of_network(&hub, found(name)?)?,
            (false, Some(out)) => converted(&hub, name, out, &arguments.preprocessing)?,
        };
        match arguments.json {
            true => output.json(&Line { name, path: path.display().to_string() })?,
            false => output.line(escaped(&path))?,
        }
    }
    Ok(())
}

/// The path of a network's published weights, downloaded where they are not there.
pub(crate) fn weights(model: &str) -> Outcome<PathBuf> {
    of_network(&Hub::new()?, found(model)?)
}

fn found(name: &str) -> Outcome<&'static Published> {
    published::find(name).map_err(|error| match error.suggestions.is_empty() {
        true => Failure::from(error).within("no published weights, and no dataset"),
        false => error.into(),
    })
}

fn of_network(hub: &Hub, checkpoint: &Published) -> Outcome<PathBuf> {
    let path = fetched(hub, &Remote::weights(checkpoint)?)?;
    let licence = checkpoint.licence.unwrap_or("no licence stated");
    let verified = if checkpoint.sha256.is_some() { "" } else { "; no hash is published for it" };
    note(&format!("{}: {licence}{verified}", checkpoint.name()));
    Ok(path)
}

/// The path of a dataset: its file, or the folder of its files.
fn of_dataset(hub: &Hub, name: &str) -> Outcome<PathBuf> {
    let dataset = dataset(name)?;
    let files = dataset.files();
    let several = files.len() > 1;
    let mut path = PathBuf::new();
    for file in files {
        path = fetched(hub, &file)?;
    }
    Ok(path.parent().filter(|_| several).map(Path::to_owned).unwrap_or(path))
}

/// Writes the weights as a checkpoint that says everything about itself.
fn converted(hub: &Hub, name: &str, out: &PathBuf, flags: &PreprocessArguments) -> Outcome<PathBuf> {
    let checkpoint = found(name)?;
    let model = Model::open_as(of_network(hub, checkpoint)?, checkpoint.name())?;
    let model = flags.apply(model, Some(&checkpoint.name()))?;
    let model = match class_names(model.spec()) {
        Some(names) => model.with_classes(names.iter().map(|&name| name.to_owned()).collect())?,
        None => model,
    };
    model.save(out)?;
    Ok(out.clone())
}

fn fetched(hub: &Hub, remote: &Remote) -> Outcome<PathBuf> {
    let mut bar: Option<Bar> = None;
    let path = hub.get(remote, &mut |event| match event {
        Event::Progress { received, size } => {
            let bar = bar.get_or_insert_with(|| Bar::new(size.unwrap_or(0) as usize));
            let of = size.map_or(String::new(), |size| format!(" of {}", HumanBytes(size)));
            bar.say(received as usize, &format!("{}{of}", HumanBytes(received)));
        }
        Event::Waiting => note(&format!("{}: another process downloads it; waiting", remote.name)),
        Event::Again { reason } => {
            bar = None;
            note(&format!("{reason}; trying again"));
        }
        _ => {}
    });
    Ok(path?)
}
