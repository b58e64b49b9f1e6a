//! `residual study gradflow`.

use std::path::PathBuf;

use clap::Args;
use residual::study::{GradientFlow, Study};

use super::shared::{Run, Training};
use crate::cli::failure::Outcome;
use crate::cli::network;

const EXAMPLE: &str = "\
Examples:
  residual study gradflow --model cifar_resnet110 --data sample --no-norm
  residual study gradflow --weights runs/first/best.safetensors --data sample

Beside the network stand its plain and its pre-activation twin: the same
convolutions without shortcuts, and with BN and ReLU inside the branch.";

/// The gradient at every block, by the path that it takes (He et al. 2016).
///
/// One backward pass over one batch of training images: how much of the gradient comes through the shortcut, how
/// much through the branch, and what both add up to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member (see `residual models`), or a network written out in a SPEC.toml.
    #[arg(long, value_name = "MODEL|SPEC.toml", required_unless_present_any = ["weights", "repeat"])]
    model: Option<String>,
    /// A trained .safetensors, probed as it is; may be given several times.
    #[arg(long, value_name = "FILE")]
    weights: Vec<PathBuf>,
    /// Probe the networks without batch norms too.
    #[arg(long)]
    no_norm: bool,
    /// Train every network for so many steps, and probe it again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    steps: u64,
    /// Seed of weights and of the batch.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    training: Training,
    #[command(flatten)]
    pub(super) run: Run,
}

impl Arguments {
    pub(super) fn study(&self) -> Outcome<Study> {
        let recipe = self.training.recipe()?.with(|recipe| recipe.seed = self.seed);
        let (mut model, mut written) = (None, None);
        if let Some(name) = &self.model {
            written = network::written_out(name)?;
            model = written.is_none().then(|| name.clone());
        }
        let absolute = |path: &PathBuf| std::path::absolute(path);
        let weights = self.weights.iter().map(absolute).collect::<Result<_, _>>()?;
        let (no_norm, steps) = (self.no_norm, self.steps);
        Ok(Study::Gradflow(GradientFlow { model, network: written, weights, no_norm, steps, recipe }))
    }
}
