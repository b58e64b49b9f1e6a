//! The flags of `residual train` that change the training images.

use clap::Args;
use residual::data::Augment;
use residual::train::Recipe;

use crate::cli::failure::Outcome;

/// Changes to the training images, in place of a recipe's.
#[derive(Debug, Args)]
pub(super) struct AugmentArguments {
    /// Augmentations in order, such as random_resized_crop,horizontal_flip,rand_augment:magnitude=12 (see
    /// docs/augmentation.md). [default: a random crop and a flip]
    #[arg(long, value_name = "NAME,...", conflicts_with = "no_augment")]
    augment: Option<String>,
    /// Train on the images as they are: no crops, no flips.
    #[arg(long)]
    no_augment: bool,
    /// Repeat each image N times in a row, augmented anew; an epoch has as many times fewer images. [default: 1]
    #[arg(long, value_name = "N")]
    augment_repeats: Option<usize>,
    /// Mix images and their labels by mixup, with this parameter of its distribution; 0 for none. [default: 0]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    mixup: Option<f64>,
    /// Mix images and their labels by CutMix, alike; with both, either half of the time. [default: 0]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    cutmix: Option<f64>,
}

impl AugmentArguments {
    pub(super) fn put_into(&self, recipe: &mut Recipe) -> Outcome {
        if let Some(text) = &self.augment {
            recipe.augment = Some(Augment::parse_list(text)?);
        }
        if self.no_augment {
            recipe.augment = Some(Vec::new());
        }
        recipe.augment_repeats = self.augment_repeats.unwrap_or(recipe.augment_repeats);
        if self.mixup.is_none() && self.cutmix.is_none() {
            return Ok(());
        }
        let mut mix = recipe.mix.take().unwrap_or_default();
        mix.mixup = self.mixup.unwrap_or(mix.mixup);
        mix.cutmix = self.cutmix.unwrap_or(mix.cutmix);
        let is_off = mix.mixup == 0.0 && mix.cutmix == 0.0 && mix.cutmix_minmax.is_none();
        recipe.mix = Some(mix).filter(|_| !is_off);
        Ok(())
    }
}
