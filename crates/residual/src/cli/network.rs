//! Which network is meant: a family member, a written-out one, or that of a file of weights.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::{NetSpec, published};
use residual::weights::{Architecture, Model, OpenOptions, weights_file};

use super::failure::{Failure, Outcome};
use super::preprocessing::PreprocessArguments;
use super::progress::note;
use super::threads;

/// Stands for the published weights of the network that is named.
pub(crate) const AUTO: &str = "auto";

/// Flags of every command that asks a network about images: the network, and its threads.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// A trained .safetensors, the folder of a run (its best), or bare weights (.safetensors, .pth, .th); auto for the
    /// published ones of --model, downloaded where they are not there.
    #[arg(long, value_name = "FILE|RUN|auto")]
    weights: Option<PathBuf>,
    /// The network of bare weights: a family member, with a tag (resnet50.a1_in1k) or without, or a SPEC.toml.
    /// [default: told by their tensors]
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    #[command(flatten)]
    preprocessing: PreprocessArguments,
    #[command(flatten)]
    set: SetArgument,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
}

impl NetworkArguments {
    pub(crate) fn open(&self) -> Outcome<Model> {
        self.open_with_file().map(|(model, _)| model)
    }

    /// The model, and the file that its weights are from.
    pub(crate) fn open_with_file(&self) -> Outcome<(Model, PathBuf)> {
        let model = self.model.as_deref();
        let Some(weights) = &self.weights else { return Err(weights_wanted(model)) };
        let file = weights_of(weights, model)?;
        let opened = self.preprocessing.apply(open_file(&file, model, self.set.key())?, model)?;
        Ok((opened, file))
    }

    /// True where weights are given.
    pub(crate) fn has_weights(&self) -> bool {
        self.weights.is_some()
    }

    /// Network and set of weights, as they were named.
    pub(crate) fn named(&self) -> [Option<&str>; 2] {
        [self.model.as_deref(), self.set.key()]
    }

    /// The model with the preprocessing that the flags ask for.
    pub(crate) fn prepared(&self, model: Model) -> Outcome<Model> {
        self.preprocessing.apply(model, self.model.as_deref())
    }

    /// True where a flag changes the preprocessing.
    pub(crate) fn changes_preprocessing(&self) -> bool {
        self.preprocessing.any()
    }

    /// The file of weights as it was named, for messages.
    pub(crate) fn weights(&self) -> &Path {
        self.weights.as_deref().unwrap_or(Path::new(AUTO))
    }

    pub(crate) fn threads(&self) -> usize {
        threads::count(self.threads)
    }
}

/// Flag of every command that reads a file of weights: the set that is taken.
#[derive(Debug, Args)]
pub(crate) struct SetArgument {
    /// Key of the set of weights to take, where the file holds several: `model_ema`.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl SetArgument {
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

/// Options of opening weights: the network that is named, and the set of weights.
pub(crate) fn options(model: Option<&str>, key: Option<&str>) -> OpenOptions {
    OpenOptions::default().with(|options| {
        options.network = model.map(Architecture::from);
        options.key = key.map(str::to_owned);
    })
}

/// Opens a trained checkpoint, or bare weights of the network that `model` names, `auto` the published ones. What was
/// recognised, and what the file has beside it, is said.
pub(crate) fn open(path: &Path, model: Option<&str>, key: Option<&str>) -> Outcome<Model> {
    open_file(&weights_of(path, model)?, model, key)
}

/// Opens a file of weights, and says what was recognised.
pub(crate) fn open_file(file: &Path, model: Option<&str>, key: Option<&str>) -> Outcome<Model> {
    let model = Model::open_with(file, &options(model, key))?;
    model.notes().iter().for_each(|line| note(&format!("weights: {line}")));
    Ok(model)
}

/// The file of weights that `path` stands for; for `auto` the published ones of `model`.
pub(crate) fn weights_of(path: &Path, model: Option<&str>) -> Outcome<PathBuf> {
    if path.as_os_str() == AUTO {
        return not_auto(path, model);
    }
    match published(model).filter(|_| !path.exists()) {
        Some(checkpoint) => Err(Failure::new(format_args!(
            "{}: no such file; help: `residual get {checkpoint}` downloads the published weights, and --weights auto \
             takes them",
            residual_files::escaped(path)
        ))),
        None => file_of(path),
    }
}

/// The path itself; for `auto` that of the published weights of `model`, downloaded where they are not there.
pub(crate) fn not_auto(path: &Path, model: Option<&str>) -> Outcome<PathBuf> {
    match model {
        _ if path.as_os_str() != AUTO => Ok(path.to_owned()),
        Some(model) => published_weights(model),
        None => Err(Failure::new("auto: whose published weights? help: name the network with --model")),
    }
}

/// Name of the published checkpoint of `model` that can be downloaded.
fn published(model: Option<&str>) -> Option<String> {
    published::find(model?).ok().filter(|checkpoint| checkpoint.url.is_some()).map(published::Published::name)
}

fn weights_wanted(model: Option<&str>) -> Failure {
    match published(model) {
        Some(checkpoint) => Failure::new(format_args!(
            "no weights; help: --weights FILE, or --weights auto for {checkpoint}'s (`residual get {checkpoint}`)"
        )),
        None => Failure::new("no weights; help: --weights FILE, or the folder of a run"),
    }
}

#[cfg(feature = "get")]
fn published_weights(model: &str) -> Outcome<PathBuf> {
    super::get::weights(model)
}

#[cfg(not(feature = "get"))]
fn published_weights(_: &str) -> Outcome<PathBuf> {
    Err(Failure::new("--weights auto: this build cannot download; help: build it with the feature `get`"))
}

/// The file that a path stands for. Of the folder of a run it is its best; which file that is, is said.
pub(crate) fn file_of(path: &Path) -> Outcome<PathBuf> {
    let file = weights_file(path)?;
    if file != path {
        eprintln!("weights: {}", residual_files::escaped(&file));
    }
    Ok(file)
}

/// The network that `model` names: a family member, `SPEC.toml`, `SPEC.json`, or a trained
/// checkpoint.
pub(crate) fn specification(model: &str) -> Outcome<NetSpec> {
    Ok(Architecture::from(model).specification()?)
}

/// The network of `SPEC.toml` or `SPEC.json`; `None` where `model` is no such file's name.
#[cfg(feature = "train")]
pub(crate) fn written_out(model: &str) -> Outcome<Option<NetSpec>> {
    Ok(if NetSpec::is_file_name(model) { Some(NetSpec::read(model)?) } else { None })
}
