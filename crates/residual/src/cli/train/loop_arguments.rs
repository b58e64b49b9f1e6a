//! The flags of `residual train` for the loop: what each step and each epoch does.

use clap::Args;
use residual::train::{EarlyStop, Recipe};

/// Flags of the training loop, in place of a recipe's fields.
#[derive(Debug, Args)]
#[group(conflicts_with = "resume")]
pub(super) struct LoopArguments {
    /// Multiply the learning rate by this from each block to the one before, from the head down to the stem.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    layer_decay: Option<f64>,
    /// End the training after so many epochs in a row without a lower validation loss. [default: after the last epoch]
    #[arg(long, value_name = "EPOCHS")]
    early_stop: Option<usize>,
}

impl LoopArguments {
    pub(super) fn put_into(&self, recipe: &mut Recipe) {
        recipe.layer_decay = self.layer_decay.or(recipe.layer_decay);
        recipe.early_stop = self.early_stop.map(EarlyStop::new).or(recipe.early_stop);
    }
}
