//! The flags of `residual train` that hold parts of the network still.

use std::str::FromStr;

use clap::Args;
use residual::train::{Recipe, Unfreeze};

/// Flags of what is frozen, and until when, in place of a recipe's fields.
#[derive(Debug, Args)]
#[group(conflicts_with = "resume")]
pub(super) struct FreezeArguments {
    /// Layers that stay as they are: stem, stage1, stage2.block0, head, ...
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    freeze: Option<Vec<String>>,
    /// Layers of --freeze that train from an epoch on, such as 3:stage3,stage2 (can be repeated).
    #[arg(long, value_name = "EPOCH:LAYER,...")]
    unfreeze: Vec<Thaw>,
    /// Normalise by the running statistics that --init brings in training too, and leave them as they are: for few
    /// images. [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    freeze_statistics: Option<bool>,
}

/// `3:stage3,stage2`
#[derive(Clone, Debug)]
struct Thaw(Unfreeze);

impl FromStr for Thaw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once(':').and_then(|(epoch, layers)| Some((epoch.trim().parse().ok()?, layers)));
        let (epoch, layers) = parts.ok_or("expected an epoch, a colon and layers, as in 3:stage3,stage2")?;
        Ok(Self(Unfreeze::new(epoch, layers.split(',').map(str::trim))))
    }
}

impl FreezeArguments {
    pub(super) fn put_into(&self, recipe: &mut Recipe) {
        if let Some(layers) = &self.freeze {
            recipe.freeze.clone_from(layers);
        }
        if !self.unfreeze.is_empty() {
            recipe.unfreeze = self.unfreeze.iter().map(|Thaw(unfreeze)| unfreeze.clone()).collect();
        }
        recipe.freeze_statistics = self.freeze_statistics.unwrap_or(recipe.freeze_statistics);
    }
}
