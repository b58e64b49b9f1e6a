//! `residual study lesion`.

use std::path::PathBuf;

use clap::Args;
use residual::study::{Lesion, Study};
use residual::train::DataRecipe;

use super::shared::{Run, place};
use crate::cli::failure::{Failure, Outcome};

const EXAMPLE: &str = "\
Examples:
  residual study lesion --weights runs/first/best.safetensors --data sample
  residual study lesion --model cifar_resnet20 --weights resnet20.th \\
                        --data cifar10-images.tar.gz";

/// Blocks left out and exchanged: which ones a network leans on (Veit et al. 2016).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A trained .safetensors, or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE", required_unless_present = "repeat")]
    weights: Option<PathBuf>,
    /// The family member of bare weights.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// `sample`, or a folder or archive of images.
    #[arg(long, value_name = "sample|PATH", default_value = "sample")]
    data: PathBuf,
    /// Test images that judge, in whole batches of 64.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    images: usize,
    /// Pairs of blocks that are exchanged.
    #[arg(long, value_name = "N", default_value_t = 24)]
    pairs: usize,
    /// Chooses images and pairs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    pub(super) run: Run,
}

impl Arguments {
    pub(super) fn study(&self) -> Outcome<Study> {
        let Some(weights) = &self.weights else { return Err(Failure::new("give --weights or --repeat")) };
        let path = place(&self.data)?;
        let data = DataRecipe::default().with(|data| data.path = path);
        Ok(Study::Lesion(Lesion {
            weights: std::path::absolute(weights)?,
            model: self.model.clone(),
            images: self.images,
            pairs: self.pairs,
            seed: self.seed,
            data,
        }))
    }
}
