//! Which network is meant: a family member, a written-out one, or that of a file of weights.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::NetSpec;
use residual::weights::{Architecture, Model, weights_file};

use super::failure::Outcome;
use super::threads;

/// Flags of every command that asks a network about images: the network, and its threads.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// A trained .safetensors, the folder of a run (its best), or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE|RUN")]
    pub(crate) weights: PathBuf,
    /// The network of bare weights: a family member or a SPEC.toml.
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
}

impl NetworkArguments {
    pub(crate) fn open(&self) -> Outcome<Model> {
        open(&self.weights, self.model.as_deref())
    }

    pub(crate) fn threads(&self) -> usize {
        threads::count(self.threads)
    }
}

/// Opens a trained checkpoint, or bare weights of the network that `model` names.
pub(crate) fn open(path: &Path, model: Option<&str>) -> Outcome<Model> {
    let path = file_of(path)?;
    match model {
        Some(network) => Ok(Model::open_as(path, network)?),
        None => Ok(Model::open(path)?),
    }
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
