//! From a file of weights to a network.

use std::path::{Path, PathBuf};

use residual::arch::names::names;
use residual::arch::{Naming, NetSpec, tensors};
use residual::weights::{Checkpoint, Error, StateDict, Weights, match_tensors, recognise, weights_file};

pub(crate) use residual::weights::{scheme as naming_of, with_classes_of};

use super::failure::{Failure, Outcome};
use super::network;

/// A network with its weights.
pub(crate) struct Loaded {
    /// The file.
    pub(crate) file: PathBuf,
    pub(crate) spec: NetSpec,
    /// Its tensors, as the file names them: all of them, and no others.
    pub(crate) tensors: StateDict,
    /// The names of its classes, in the order of its outputs, where the file has them.
    pub(crate) classes: Option<Vec<String>>,
    /// The scheme that named its tensors in the file.
    pub(crate) naming: Naming,
}

/// Loads a trained checkpoint, or bare weights of the network that `model` names.
///
/// Bare weights may have another number of classes than the family member: theirs counts.
///
/// Of the folder of a run, its best: which file that is, is said.
pub(crate) fn load(path: &Path, model: Option<&str>) -> Outcome<Loaded> {
    let path = &file_of(path)?;
    let (spec, classes, state) = match Weights::map(path)? {
        Weights::Trained(trained) => {
            let Checkpoint { spec, classes, tensors, .. } = *trained;
            if let Some(model) = model {
                check_same(path, &spec, model)?;
            }
            (spec, Some(classes), tensors)
        }
        Weights::Plain(state) => {
            let spec = with_classes_of(named(path, model, &state)?, &state);
            (spec, None, state)
        }
    };
    let naming = naming_of(&spec, &state);
    let expected = names(&spec, naming).into_iter().map(|tensor| (tensor.name, tensor.shape));
    match_tensors(&expected.collect::<Vec<_>>(), &state)
        .map_err(|error| Failure::from(error).within(format_args!("{}, as {}", path.display(), spec.name)))?;
    Ok(Loaded { file: path.to_owned(), spec, tensors: state, classes, naming })
}

/// The file that a path stands for; of a folder it is said which was taken.
pub(crate) fn file_of(path: &Path) -> Outcome<PathBuf> {
    let file = weights_file(path)?;
    if file != path {
        eprintln!("weights: {}", residual_files::escaped(&file));
    }
    Ok(file)
}

/// The network that the user names for bare weights.
fn named(path: &Path, model: Option<&str>, state: &StateDict) -> Outcome<NetSpec> {
    match model {
        Some(model) => network::specification(model),
        None => {
            let unnamed = Error::NoSpec { model: recognise(state).map(|found| found.model) };
            Err(Failure::from(unnamed).within(path.display()))
        }
    }
}

/// A checkpoint says what it is; a `--model` beside it must say the same.
fn check_same(path: &Path, spec: &NetSpec, model: &str) -> Outcome {
    let asked = network::specification(model)?.with_classes(spec.head.classes);
    if tensors(&asked) == tensors(spec) {
        return Ok(());
    }
    let (path, found) = (path.display(), &spec.name);
    Err(Failure::new(format_args!("{path}: holds `{found}`, which is not `{model}`; leave --model out")))
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
