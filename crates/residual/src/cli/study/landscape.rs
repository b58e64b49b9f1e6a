//! `residual study landscape`.

use std::path::PathBuf;

use clap::Args;
use residual::study::{Landscape, Study};
use residual::train::DataRecipe;

use super::shared::{Run, place};
use crate::cli::failure::Outcome;

const EXAMPLE: &str = "\
Example:
  residual study landscape --data sample \\
                           --weights studies/depth-1/networks/residual-56-0.safetensors \\
                           --weights studies/depth-1/networks/plain-56-0.safetensors";

/// The loss on a plane through trained networks, side by side (Li et al. 2018).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A trained .safetensors; give several for pictures side by side.
    #[arg(long, value_name = "FILE", required_unless_present = "repeat")]
    weights: Vec<PathBuf>,
    /// `sample`, or a folder or archive of images.
    #[arg(long, value_name = "sample|PATH", default_value = "sample")]
    data: PathBuf,
    /// Points along each side, an odd number.
    #[arg(long, value_name = "N", default_value_t = 21)]
    side: usize,
    /// Half the side of the square, in units of the weights themselves.
    #[arg(long, value_name = "R", default_value_t = 1.0, allow_negative_numbers = true)]
    reach: f64,
    /// Training images, in whole batches of 64.
    #[arg(long, value_name = "N", default_value_t = 512)]
    images: usize,
    /// Seed of the directions and of the choice of images.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    pub(super) run: Run,
}

impl Arguments {
    pub(super) fn study(&self) -> Outcome<Study> {
        let path = place(&self.data)?;
        let data = DataRecipe::default().with(|data| data.path = path);
        Ok(Study::Landscape(Landscape {
            weights: self.weights.iter().map(std::path::absolute).collect::<Result<_, _>>()?,
            side: self.side,
            reach: self.reach,
            images: self.images,
            seed: self.seed,
            data,
        }))
    }
}
