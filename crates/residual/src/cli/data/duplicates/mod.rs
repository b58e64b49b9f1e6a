//! `residual data --duplicates`: groups of repeated and nearly repeated images.

mod find;
mod report;

use std::path::PathBuf;

use clap::Args;
use residual::data::HELD_OUT;
use residual_files::escaped;

use self::find::{Found, Near};
use super::show::Place;
use crate::cli::embed::images::Images;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::network;
use crate::cli::output::Output;
use crate::cli::threads;

/// Bits of 64 in which near duplicates differ at the most, where nobody says. Of the embedded sample, 6,000 images of
/// CIFAR-10, 6 bits give 7 groups, all of the same picture; 8 bits give 11, and 10 bits 22, with different pictures among
/// them.
const DISTANCE: u32 = 6;

/// Cosine similarity of near duplicates at the least, where nobody says.
const SIMILARITY: f32 = 0.95;

/// Flags that `--duplicates` alone has.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct NearArguments {
    /// With --duplicates: compare the embeddings of these weights (a .safetensors, or a run), in place of a hash.
    #[arg(long, value_name = "FILE|RUN", requires = "duplicates")]
    weights: Option<PathBuf>,
    /// With --duplicates and --weights: least cosine similarity of near duplicates. [default: 0.95]
    #[arg(long, value_name = "COSINE", requires = "weights", allow_negative_numbers = true)]
    similarity: Option<f32>,
    /// With --duplicates: most bits of 64 in which the hashes of near duplicates differ, 0 to 15. [default: 6]
    #[arg(long, value_name = "BITS", requires = "duplicates", conflicts_with = "weights")]
    distance: Option<u32>,
}

impl NearArguments {
    fn near(&self, model: Option<&str>) -> Outcome<Near> {
        let Some(weights) = &self.weights else {
            return Ok(Near::Hash { distance: self.distance.unwrap_or(DISTANCE) });
        };
        let similarity = self.similarity.unwrap_or(SIMILARITY);
        if !(-1.0..=1.0).contains(&similarity) {
            return Err(Failure::new(format_args!("--similarity {similarity}: a cosine is from -1 to 1")));
        }
        Ok(Near::Embedding { model: Box::new(network::open(weights, model, None)?), similarity })
    }
}

pub(super) fn run(arguments: &super::Arguments, place: Option<&Place<'_>>) -> Outcome {
    let near = arguments.near.near(arguments.model.as_deref())?;
    let holdout = arguments.validation.unwrap_or(HELD_OUT);
    let images = Images::open(&arguments.data, &arguments.list, (arguments.skip_bad, holdout))?;
    let found = Found::of(images, near, threads::count(arguments.threads))?;
    let name = escaped(&arguments.data).to_string();
    if let Some(place) = place {
        place.write_sheet(&report::sheet(&name, &found)?)?;
    }
    let mut output = Output::new();
    match arguments.json {
        true => output.json(&report::Object::of(&name, &found)),
        false => report::lines(&name, &found).iter().try_for_each(|line| output.line(line)),
    }
}
