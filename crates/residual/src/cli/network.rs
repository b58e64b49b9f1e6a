//! Which network is meant: a family member, a written-out one, or that of a file of weights.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::NetSpec;
use residual::weights::{Architecture, Model, OpenOptions, weights_file};

use super::failure::Outcome;
use super::progress::note;
use super::threads;

/// Flags of every command that asks a network about images: the network, and its threads.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// A trained .safetensors, the folder of a run (its best), or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE|RUN")]
    pub(crate) weights: PathBuf,
    /// The network of bare weights: a family member or a SPEC.toml. [default: told by their tensors]
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    /// Where the file holds several sets of weights, which: `model_ema`.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
}

impl NetworkArguments {
    pub(crate) fn open(&self) -> Outcome<Model> {
        open(&self.weights, &options(self.model.as_deref(), self.key.as_deref()))
    }

    pub(crate) fn threads(&self) -> usize {
        threads::count(self.threads)
    }
}

/// Options of opening weights: the network that is named, and the set of weights.
pub(crate) fn options(model: Option<&str>, key: Option<&str>) -> OpenOptions {
    OpenOptions::default().with(|options| {
        options.network = model.map(Architecture::from);
        options.key = key.map(str::to_owned);
    })
}

/// Opens a trained checkpoint or bare weights. What was recognised, and what the file has beside it, is said.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Outcome<Model> {
    let model = Model::open_with(file_of(path)?, options)?;
    model.notes().iter().for_each(|line| note(&format!("weights: {line}")));
    Ok(model)
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
