//! The flags of `residual train` for the loop: what each step and each epoch does.

use clap::Args;
use residual::train::{BatchNormOver, EarlyStop, Recipe, Sam};

/// Flags of the training loop, in place of a recipe's fields.
#[derive(Debug, Args)]
#[group(conflicts_with = "resume")]
pub(super) struct LoopArguments {
    /// Multiply the learning rate by this from each block to the one before, from the head down to the stem.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    layer_decay: Option<f64>,
    /// Accumulate the gradients of N batches in a step: the step of a batch N times as large, in the memory of one.
    /// [default: 1]
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Divide each batch into N shards, which processes that mpirun starts share (docs/scale.md). Changes the result; the
    /// number of processes does not. [default: 1]
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Images that batch norms take their statistics of, of several shards: shard, or global. [default: shard]
    #[arg(long, value_name = "shard|global")]
    batch_norm: Option<BatchNormOver>,
    /// Sharpness-aware minimisation with this radius, such as 0.05: two passes a step. [default: none]
    #[arg(long, value_name = "RHO", allow_negative_numbers = true)]
    sam: Option<f64>,
    /// Drop branches of residual blocks at random, the last one with this probability. [default: the network's]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    drop_path: Option<f64>,
    /// Drop features before the last layer with this probability. [default: the network's]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    dropout: Option<f64>,
    /// Drop squares of the last two stages' maps, at the end with this probability (DropBlock). [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    drop_block: Option<f64>,
    /// End the training after so many epochs in a row without a lower validation loss. [default: after the last epoch]
    #[arg(long, value_name = "EPOCHS")]
    early_stop: Option<usize>,
    /// Begin with a first convolution that whitens patches of the training images, in place of a random one.
    #[arg(long)]
    whiten_stem: bool,
}

impl LoopArguments {
    pub(super) fn put_into(&self, recipe: &mut Recipe) {
        recipe.layer_decay = self.layer_decay.or(recipe.layer_decay);
        recipe.accumulate = self.accumulate.unwrap_or(recipe.accumulate);
        recipe.shards = self.shards.unwrap_or(recipe.shards);
        recipe.batch_norm = self.batch_norm.unwrap_or(recipe.batch_norm);
        recipe.sam = self.sam.map(Sam::new).or(recipe.sam);
        recipe.drop_path = self.drop_path.or(recipe.drop_path);
        recipe.dropout = self.dropout.or(recipe.dropout);
        recipe.drop_block = self.drop_block.or(recipe.drop_block);
        recipe.early_stop = self.early_stop.map(EarlyStop::new).or(recipe.early_stop);
        recipe.whiten_stem |= self.whiten_stem;
    }
}
