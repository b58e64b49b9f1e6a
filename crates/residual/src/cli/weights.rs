//! From a file of weights to a network.

use std::path::{Path, PathBuf};

use residual::arch::Naming;
use residual::weights::{Model, weights_file};

use super::failure::Outcome;

/// Opens a trained checkpoint, or bare weights of the network that `model` names.
///
/// Of the folder of a run, its best: which file that is, is said.
pub(crate) fn open(path: &Path, model: Option<&str>) -> Outcome<Model> {
    let path = file_of(path)?;
    match model {
        Some(network) => Ok(Model::open_as(path, network)?),
        None => Ok(Model::open(path)?),
    }
}

/// The file that a path stands for; of a folder it is said which was taken.
pub(crate) fn file_of(path: &Path) -> Outcome<PathBuf> {
    let file = weights_file(path)?;
    if file != path {
        eprintln!("weights: {}", residual_files::escaped(&file));
    }
    Ok(file)
}

/// `torchvision`, `timm`, ...
pub(crate) fn naming_text(naming: Naming) -> &'static str {
    match naming {
        Naming::Torchvision => "torchvision",
        Naming::Timm => "timm",
        Naming::Cifar => "cifar",
        Naming::Sequential => "sequential",
    }
}
