//! Batches and rates that a recipe leaves open.
//!
//! `resnet18`, 220 of 244 images of two classes of the sample, 24 to judge by, seed 0, validation loss (accuracy) after
//! each of five epochs: with 64 images in a step, the last 28 left out and a rate of 0.05, 9.4 (50%), 1046 (50%),
//! 149 (54%), 19 (54%), 3.6 (29%); with what is chosen here (8 images, 0.00625) and statistics taken anew, 0.40 (79%),
//! 0.50 (71%), 0.32 (88%), 0.41 (75%), 0.44 (79%).

use crate::OptimiserConfig;
use crate::optimiser::UsualRate;

/// Images in a step, where there are enough of them for [`STEPS`] steps an epoch.
pub(crate) const BATCH: usize = 64;

/// ResNet-50's error with 16 images in a batch is that with 32; with 8 it is 1.2 points above, with 4 3.7 (Wu and
/// He 2018, figure 1).
const SMALLEST_BATCH: usize = 8;

/// Steps that an epoch should have.
const STEPS: usize = 20;

/// A last batch of fewer images than this, and than half of a full one, is left out.
const FEWEST: usize = 4;

/// Share of the rate with which weights that were trained before are trained on. `small`, trained on four classes of
/// the sample and then for three epochs on 220 images of two others: the validation loss rises from 0.24 to 0.54 at the
/// whole rate and falls from 0.63 to 0.46 at a tenth.
const FINE_TUNING: f64 = 0.1;

/// Default batch size: the greatest power of two of which an epoch has [`STEPS`], within limits.
pub(crate) fn default_batch(training_images: usize) -> usize {
    match training_images / STEPS {
        0 => SMALLEST_BATCH,
        wanted => (1usize << wanted.ilog2()).clamp(SMALLEST_BATCH, BATCH),
    }
}

/// Test for a last batch of so few images that they are left out.
pub(crate) fn leaves_last_out(training_images: usize, batch_size: usize) -> bool {
    let left = training_images % batch_size.max(1);
    let few = left == 1 || (left < FEWEST && 2 * left < batch_size);
    left > 0 && training_images > batch_size && few
}

/// The optimiser's usual rate for [`BATCH`] images, by its rule for smaller batches, downwards alone: what holds for 64
/// images need not hold for a thousand.
pub(crate) fn default_rate(optimiser: &OptimiserConfig, batch_size: usize, has_init: bool) -> f64 {
    let UsualRate { rate, power } = optimiser.usual_rate();
    let rate = rate * (batch_size.min(BATCH) as f64 / BATCH as f64).powf(power);
    if has_init { rate * FINE_TUNING } else { rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_twenty_steps_where_the_images_suffice() {
        let cases =
            [(1, 8), (19, 8), (220, 8), (319, 8), (320, 16), (639, 16), (640, 32), (1280, 64), (1 << 20, 64)];
        for (images, wanted) in cases {
            assert_eq!(default_batch(images), wanted, "{images}");
        }
    }

    #[test]
    fn a_last_batch_of_few_images_is_left_out() {
        // 220 images leave 4 of 8; 5,000 leave 8 of 64.
        let kept = [(220, 8), (5000, 64), (244, 64), (5, 64), (1, 64), (13, 5), (10, 5), (5, 3), (7, 1)];
        for (images, batch) in kept {
            assert!(!leaves_last_out(images, batch), "{images} in batches of {batch}");
        }
        for (images, batch) in [(65, 64), (219, 8), (12, 5), (7, 2), (67, 64), (4, 3)] {
            assert!(leaves_last_out(images, batch), "{images} in batches of {batch}");
        }
    }

    #[test]
    fn the_rate_falls_with_the_batch_and_for_weights_that_were_trained_before() {
        let sgd = OptimiserConfig::sgd();
        assert_eq!(default_rate(&sgd, 64, false), 0.05);
        assert_eq!(default_rate(&sgd, 256, false), 0.05);
        assert_eq!(default_rate(&sgd, 8, false), 0.00625);
        assert!((default_rate(&sgd, 64, true) - 0.005).abs() < 1e-12);
        assert_eq!(default_rate(&OptimiserConfig::adamw(), 16, false), 5e-4);
    }
}
