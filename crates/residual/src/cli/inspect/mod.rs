//! `residual inspect`: what a file of weights is.

mod facts;

use std::path::PathBuf;

use clap::Args;
use residual::weights::{Error, Model, OpenOptions, Weights};

use self::facts::{Facts, Stranger};
use super::failure::{Failure, Outcome};
use super::network;
use super::output::Output;

const EXAMPLE: &str = "\
Examples:
  residual inspect resnet50.pth
  residual inspect checkpoint.ckpt --json
  residual inspect mine.pth --toml > mine.toml
  residual inspect checkpoint.pth --key model_ema

Nothing in the file is executed. Exit code 0: a residual network; 1: weights of
another network; 2: no file of weights.";

/// Say what a file of weights is: its network, its names, what wraps it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A file of weights (.safetensors, .pth, .pt, .ckpt, .bin), or a folder of one.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    set: network::SetArgument,
    /// Print one JSON object: model, family, stem, classes, naming, ...
    #[arg(long)]
    json: bool,
    /// Print the network as a specification, to be changed and named with --model.
    #[arg(long, conflicts_with = "json")]
    toml: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let options = network::options(None, arguments.set.key());
    let path = network::file_of(&arguments.file)?;
    let mut output = Output::new();
    let model = match Model::open_with(&path, &options) {
        Ok(model) => model,
        Err(error) if matches!(error.cause(), Error::NoSpec { .. }) => {
            return stranger(arguments, &error, &options);
        }
        Err(error) => return Err(error.into()),
    };
    if arguments.toml {
        let text = model.spec().to_toml()?;
        return text.lines().try_for_each(|line| output.line(line));
    }
    let facts = Facts::of(&model);
    if arguments.json {
        return output.json(&facts);
    }
    facts.lines().iter().try_for_each(|line| output.line(line))
}

/// Weights of another network: what is known of them, and exit code 1.
fn stranger(arguments: &Arguments, error: &Error, options: &OpenOptions) -> Outcome {
    let path = network::file_of(&arguments.file)?;
    let Weights::Plain(state) = Weights::map_with(&path, options)? else { return Ok(()) };
    let stranger = Stranger::of(&path, &state, error);
    let mut output = Output::new();
    if arguments.json {
        output.json(&stranger)?;
    } else if arguments.toml {
        return Err(Failure::new(error));
    } else {
        stranger.lines().iter().try_for_each(|line| output.line(line))?;
    }
    Err(Failure::Check)
}
