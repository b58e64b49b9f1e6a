//! `residual average`: one network from several of one training.

use std::path::PathBuf;

use clap::Args;
use residual::weights::Mean;
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::network;
use super::output::Output;
use super::safetensors_name::check_extension;
use super::same_file::same_file;

const EXAMPLE: &str = "\
Example, a soup of three fine-tunings of the same weights:
  residual average runs/a runs/b runs/c --out soup.safetensors
  residual eval --weights soup.safetensors --data photos

Networks that began with different random weights have no mean that classifies.";

/// Average the weights of networks that began with the same ones.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Weights to average: checkpoints, folders of runs (their best), or bare weights.
    #[arg(value_name = "FILE|RUN", required = true, num_args = 2..)]
    inputs: Vec<PathBuf>,
    /// The .safetensors to write.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Network of bare weights, where neither the files nor their tensors tell.
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let out = &arguments.out;
    check_extension(out)?;
    let mut mean: Option<Mean> = None;
    for input in &arguments.inputs {
        if same_file(&network::file_of(input)?, out) {
            let out = escaped(out);
            let message =
                format_args!("{out}: is a file to read as well; help: give the output another name");
            return Err(Failure::new(message));
        }
        let model = network::open(input, arguments.model.as_deref(), None)?;
        model.check_values(|_| true).map_err(|error| error.in_file(input))?;
        match &mut mean {
            Some(mean) => mean.add(&model).map_err(|error| error.in_file(input))?,
            None => mean = Some(Mean::new(model)),
        }
    }
    let Some(mean) = mean else { return Ok(()) };
    let count = mean.count();
    mean.model().save(out)?;
    Output::new().line(format_args!("{}: mean of {count} networks", escaped(out)))
}
