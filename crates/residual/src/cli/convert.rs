//! `residual convert`: weights to safetensors, and from one scheme of names to another.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual::arch::names::{TensorName, names};
use residual::arch::{Naming, NetSpec};
use residual::weights::{
    Checkpoint, StateDict, Tensor, Weights, match_tensors, recognise, safetensors, scheme, with_classes_of,
};
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::same_file::same_file;
use super::{network, weights};

const EXAMPLE: &str = "\
Examples:
  residual convert resnet20.th resnet20.safetensors
  residual convert runs/first/best.safetensors for-timm.safetensors --names timm

What a trained checkpoint says about itself is kept.";

/// Convert weights (.safetensors, .pth, .th) to safetensors.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Weights to read. Nothing in a PyTorch file is executed.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The .safetensors to write.
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Name the tensors as this one does. [default: as they are named]
    #[arg(long, value_enum, value_name = "SCHEME")]
    names: Option<Scheme>,
    /// With --names, the network, where neither the file nor its tensors tell.
    #[arg(long, value_name = "MODEL|SPEC.toml", requires = "names")]
    model: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scheme {
    /// layer1.0.conv1, fc
    Torchvision,
    /// torchvision's where they agree; stages.0.blocks.0.norm1, head.fc
    Timm,
    /// layer1.0.conv1, linear
    Cifar,
    /// stage1.0.residual.0, head.2
    Sequential,
}

impl From<Scheme> for Naming {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Torchvision => Self::Torchvision,
            Scheme::Timm => Self::Timm,
            Scheme::Cifar => Self::Cifar,
            Scheme::Sequential => Self::Sequential,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let (input, out) = (&weights::file_of(&arguments.input)?, &arguments.output);
    check_extension(out)?;
    if same_file(input, out) {
        let out = escaped(out);
        let message = format_args!("{out}: is the file to read as well; give the output another name");
        return Err(Failure::new(message));
    }
    let weights = Weights::read(input)?;
    let target = arguments.names.map(Naming::from);
    let tensors = match weights {
        Weights::Plain(state) => {
            let state = match target {
                None => {
                    check_floats(&state).map_err(|failure| failure.within(input.display()))?;
                    state
                }
                Some(target) => {
                    let spec = spec_of(arguments, &state)?;
                    renamed(&spec, state, target).map_err(|failure| failure.within(input.display()))?
                }
            };
            safetensors::write(out, &state)?;
            state.len()
        }
        Weights::Trained(trained) => {
            let trained = match target {
                None => *trained,
                Some(target) => {
                    retargeted(*trained, target).map_err(|failure| failure.within(input.display()))?
                }
            };
            trained.write(out)?;
            trained.tensors.len()
        }
    };
    let names = target.map_or(String::new(), |target| format!(", {} names", weights::naming_text(target)));
    Output::new().line(format_args!("{}: {tensors} tensors{names}", out.display()))
}

/// All that is written is float32: integers of a quantised network would pass as weights from then on.
fn check_floats(state: &StateDict) -> Outcome {
    let all: Vec<_> = state.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect();
    Ok(match_tensors(&all, state)?)
}

/// A safetensors file under a PyTorch name would only be puzzling.
fn check_extension(out: &Path) -> Outcome {
    match out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors")) {
        true => Ok(()),
        false => {
            let name = out.with_extension("safetensors");
            let (out, name) = (out.display(), name.display());
            Err(Failure::new(format_args!("{out}: the output is safetensors; call it {name}")))
        }
    }
}

/// The network of bare weights: the one that the user names, or that the tensors are those of.
fn spec_of(arguments: &Arguments, state: &StateDict) -> Outcome<NetSpec> {
    let spec = match &arguments.model {
        Some(model) => network::specification(model)?,
        None => match recognise(state) {
            Some(found) => network::specification(&found.model)?,
            None => {
                let path = arguments.input.display();
                let message =
                    format_args!("{path}: no known network has these tensors; name it with --model");
                return Err(Failure::new(message));
            }
        },
    };
    Ok(with_classes_of(spec, state))
}

/// A checkpoint with its tensors under other names, and a description that says so.
fn retargeted(mut trained: Checkpoint, target: Naming) -> Outcome<Checkpoint> {
    trained.tensors = renamed(&trained.spec, trained.tensors, target)?;
    trained.spec.naming = target;
    Ok(trained)
}

/// The tensors of `spec` under the names of `target`, metadata and batch counters kept.
fn renamed(spec: &NetSpec, state: StateDict, target: Naming) -> Outcome<StateDict> {
    let source = names(spec, scheme(spec, &state));
    let expected: Vec<_> = source.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
    match_tensors(&expected, &state)?;
    let targets = names(spec, target);
    let mut new_names: HashMap<String, &TensorName> = HashMap::new();
    // Both lists are in the network's order.
    for (source, target) in source.iter().zip(&targets) {
        new_names.insert(source.name.clone(), target);
    }
    let mut result = StateDict::new();
    result.metadata.clone_from(&state.metadata);
    for (name, tensor) in state.into_tensors() {
        match new_names.get(&name) {
            Some(target) => {
                // A linear layer may be a 1x1 convolution in the other scheme: the same values.
                result.insert(&target.name, Tensor::new(target.shape.clone(), tensor.into_parts().1)?)?;
            }
            None => result.insert(counter_name(&name, &new_names), tensor)?,
        }
    }
    Ok(result)
}

/// The new name of a batch norm's `num_batches_tracked`, the only tensor that networks do without: that of
/// its neighbour `running_mean`.
fn counter_name(name: &str, new_names: &HashMap<String, &TensorName>) -> String {
    let renamed = || {
        let layer = name.strip_suffix("num_batches_tracked")?;
        let neighbour = new_names.get(&format!("{layer}running_mean"))?;
        Some(format!("{}num_batches_tracked", neighbour.name.strip_suffix("running_mean")?))
    };
    renamed().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use residual::arch::families::family;

    use super::*;

    fn state(spec: &NetSpec, naming: Naming) -> StateDict {
        let tensors = names(spec, naming).into_iter().enumerate().map(|(index, tensor)| {
            let count = tensor.shape.iter().product();
            (tensor.name, Tensor::new(tensor.shape, vec![index as f32; count]).unwrap())
        });
        StateDict::from_tensors(tensors).unwrap()
    }

    #[test]
    fn every_scheme_leads_to_every_other_and_back() {
        let all = [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential];
        let spec = family("cifar_preact20").unwrap();
        for from in all {
            for to in all {
                let there = renamed(&spec, state(&spec, from), to).unwrap();
                assert_eq!(there, state(&spec, to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn counters_move_with_their_layer() {
        let spec = family("cifar_resnet20").unwrap();
        let mut cifar = state(&spec, Naming::Cifar);
        cifar.insert("bn1.num_batches_tracked", Tensor::new(vec![], vec![7.0]).unwrap()).unwrap();
        let sequential = renamed(&spec, cifar, Naming::Sequential).unwrap();
        assert_eq!(sequential.get("stem.1.num_batches_tracked").unwrap().data(), [7.0]);
    }

    #[test]
    fn another_networks_tensors_are_refused() {
        let other = state(&family("cifar_resnet32").unwrap(), Naming::Cifar);
        let failure = renamed(&family("cifar_resnet20").unwrap(), other, Naming::Timm).unwrap_err();
        assert!(failure.report(false).unwrap().contains("unexpected"), "{failure:?}");
    }
}
