//! `residual study depth`.

use clap::{Args, ValueEnum};
use residual::study::{Depth, Kind, Study};

use super::shared::{Run, Training};
use crate::cli::failure::Outcome;

const EXAMPLE: &str = "\
Example:
  residual study depth --depths 20,56,110 --kinds plain,residual,preact \\
                       --data cifar10-images.tar.gz --steps 2000 --seeds 2";

/// Error against depth: the degradation problem (He et al. 2015, figure 6).
///
/// Trains every kind at every depth with every seed under one recipe.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Layers, 6n + 2 each.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [20, 32, 44])]
    depths: Vec<usize>,
    /// plain (no shortcuts), residual, preact.
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', default_value = "plain,residual")]
    kinds: Vec<KindName>,
    /// Passes over the training images. [default: 20]
    #[arg(long, value_name = "N", conflicts_with = "steps")]
    epochs: Option<usize>,
    /// Steps, in place of epochs.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Trainings of each network, with seeds 0, 1, ...
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// Number of evaluations on the test images in a training.
    #[arg(long, value_name = "N", default_value_t = 5)]
    evaluations: u64,
    #[command(flatten)]
    training: Training,
    #[command(flatten)]
    pub(super) run: Run,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    Plain,
    Residual,
    Preact,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Plain => Self::Plain,
            KindName::Residual => Self::Residual,
            KindName::Preact => Self::Preact,
        }
    }
}

impl Arguments {
    pub(super) fn study(&self) -> Outcome<Study> {
        let recipe = self.training.recipe()?;
        let recipe = recipe.with(|recipe| recipe.epochs = self.epochs.unwrap_or(recipe.epochs));
        let kinds = self.kinds.iter().map(|&kind| kind.into()).collect();
        let (depths, seeds) = (self.depths.clone(), self.seeds);
        let (steps, evaluations) = (self.steps, self.evaluations);
        Ok(Study::Depth(Depth { depths, kinds, seeds, steps, evaluations, recipe }))
    }
}
