//! `residual convert`: weights to safetensors, and from one scheme of names to another.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual::arch::{Naming, NetSpec};
use residual::weights::{StateDict, Weights, recognise, safetensors, with_classes_of};
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::network;
use super::output::Output;
use super::same_file::same_file;

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
    /// Network for --names, where neither the file nor its tensors tell.
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
    let (input, out) = (&network::file_of(&arguments.input)?, &arguments.output);
    check_extension(out)?;
    if same_file(input, out) {
        let out = escaped(out);
        let message = format_args!("{out}: is the file to read as well; help: give the output another name");
        return Err(Failure::new(message));
    }
    let weights = Weights::read(input)?;
    let target = arguments.names.map(Naming::from);
    let tensors = match weights {
        Weights::Plain(state) => {
            let state = match target {
                None => {
                    state.check_floats().map_err(|error| error.in_file(input))?;
                    state
                }
                Some(target) => {
                    let spec = spec_of(arguments, &state)?;
                    state.renamed(&spec, target).map_err(|error| error.in_file(input))?
                }
            };
            safetensors::write(out, &state)?;
            state.len()
        }
        Weights::Trained(trained) => {
            let trained = match target {
                None => *trained,
                Some(target) => trained.renamed(target).map_err(|error| error.in_file(input))?,
            };
            trained.write(out)?;
            trained.tensors.len()
        }
    };
    let names = target.map_or(String::new(), |target| format!(", {target} names"));
    Output::new().line(format_args!("{}: {tensors} tensors{names}", out.display()))
}

/// A safetensors file under a PyTorch name would only be puzzling.
fn check_extension(out: &Path) -> Outcome {
    match out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors")) {
        true => Ok(()),
        false => {
            let name = out.with_extension("safetensors");
            let (out, name) = (out.display(), name.display());
            Err(Failure::new(format_args!("{out}: the output is safetensors; help: call it {name}")))
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
                    format_args!("{path}: no known network has these tensors; help: name it with --model");
                return Err(Failure::new(message));
            }
        },
    };
    Ok(with_classes_of(spec, state))
}
