//! `residual convert`: weights to safetensors, and from one scheme of names to another.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use residual::arch::Naming;
use residual::weights::{Error, Recognised, StateDict, Weights, recognise, recognise_as, safetensors};
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::network;
use super::output::Output;
use super::progress::note;
use super::safetensors_name::check_extension;
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
    /// Name the tensors as this one does. [default: as they are named, without a prefix]
    #[arg(long, value_enum, value_name = "SCHEME")]
    names: Option<Scheme>,
    /// Network for --names, where neither the file nor its tensors tell.
    #[arg(long, value_name = "MODEL|SPEC.toml", requires = "names")]
    model: Option<String>,
    #[command(flatten)]
    set: network::SetArgument,
}

/// Scheme of tensor names.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Scheme {
    /// layer1.0.conv1, fc
    Torchvision,
    /// torchvision's where they agree; stages.0.blocks.0.norm1, head.fc
    Timm,
    /// layer1.0.conv1, linear
    Cifar,
    /// stage1.0.residual.0, head.2
    Sequential,
    /// resnet.encoder.stages.0.layers.0.layer.0.convolution, classifier.1
    Transformers,
}

impl From<Scheme> for Naming {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Torchvision => Self::Torchvision,
            Scheme::Timm => Self::Timm,
            Scheme::Cifar => Self::Cifar,
            Scheme::Sequential => Self::Sequential,
            Scheme::Transformers => Self::Transformers,
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
    let weights = Weights::read_with(input, &network::options(None, arguments.set.key()))?;
    let target = arguments.names.map(Naming::from);
    let tensors = match weights {
        Weights::Plain(state) => {
            let state =
                renamed(arguments, state, target).map_err(|failure| failure.within(escaped(input)))?;
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

/// Bare weights under the names of a scheme; where none is asked for, under their own, without a prefix where they are
/// a residual network's.
fn renamed(arguments: &Arguments, state: StateDict, target: Option<Naming>) -> Outcome<StateDict> {
    let found = match (&arguments.model, target) {
        (Some(model), _) => {
            let spec = network::specification(model)?;
            match recognise_as(&state, &spec) {
                // Which tensors do not fit is said in full.
                Err(Error::NoSpec { .. }) => return Ok(state.renamed(&spec, target.unwrap_or(spec.naming))?),
                found => Some(found?),
            }
        }
        (None, Some(_)) => Some(told(&state)?),
        (None, None) => recognise(&state).ok(),
    };
    let Some(found) = found else {
        state.check_floats()?;
        return Ok(state);
    };
    if !found.left_out.is_empty() {
        note(&format!("convert: {} tensors that are not the network's are left out", found.left_out.len()));
    }
    let state = found.rename(state)?;
    state.check_floats()?;
    match (target, &found.head) {
        (None, _) => Ok(state),
        (Some(target), Some(_)) => Ok(state.renamed(&found.spec, target)?),
        (Some(_), None) => {
            Err(Failure::new("a backbone without a head cannot be renamed; help: leave --names out"))
        }
    }
}

/// The network that the tensors are those of.
fn told(state: &StateDict) -> Outcome<Recognised> {
    recognise(state).map_err(|error| match error {
        Error::NoSpec { seems: None, nearest: None, .. } => {
            Failure::new("no residual network has these tensors; help: name it with --model")
        }
        error => Failure::from(error),
    })
}
