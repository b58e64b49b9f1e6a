//! Rules by which the recipe of a fine-tuning is chosen from the data and the network.

use residual_arch::{NetSpec, OrientationPolicy, Preprocess, Resize};
use residual_data::{Augment, Fit, RandomResizedCrop, Source};

use crate::recipes::batches::default_batch;
use crate::recipes::settle::{SMALL_INPUT, size};
use crate::{EarlyStop, OptimiserConfig, Recipe, Schedule, Warmup};

/// Number of images below which batch norms keep the running statistics that they came with.
const FEW_IMAGES: usize = 500;

/// Number of images that a whole fine-tuning sees, with small inputs and with wide ones.
const IMAGES_SEEN: [usize; 2] = [6_000, 4_000];

/// Rate for 64 images in a step, and its factor from each part of the network to the one before. ResNet-20 of CIFAR-10, as
/// `bench/peers/finetune.py` has it, validation accuracy of 1,000 digits (of 1,000 photographs of its own classes): a head
/// alone 94.0% (88.3%), with 1e-3 and 0.85 98.5% (90.3%), with 5e-4 and 0.75 (89.7%).
const RATE: f64 = 1e-3;
const DECAY: f64 = 0.85;

/// Least and most epochs.
const EPOCHS: [usize; 2] = [4, 12];

/// Epochs in a row without a lower loss on the validation images after which the training ends.
const PATIENCE: usize = 4;

/// Number of images whose sizes are looked at.
const LOOKED_AT: usize = 9;

/// Facts about the data and the network that the recipe follows from.
pub(crate) struct Facts<'a> {
    pub(crate) images: usize,
    pub(crate) spec: &'a NetSpec,
    /// Median of the images' shorter sides; `None` where none could be decoded.
    pub(crate) shorter_side: Option<usize>,
}

impl Facts<'_> {
    /// The recipe for these data.
    pub(crate) fn recipe(&self) -> Recipe {
        let preprocess = self.preprocess();
        let [_, height, width] = self.spec.input;
        let input = size(&preprocess).unwrap_or([height, width]);
        let seen = IMAGES_SEEN[usize::from(input[1] > SMALL_INPUT)];
        let batch_size = default_batch(self.images);
        Recipe::default().with(|recipe| {
            recipe.epochs = (seen / self.images.max(1)).clamp(EPOCHS[0], EPOCHS[1]);
            recipe.batch_size = Some(batch_size);
            recipe.optimiser = OptimiserConfig::adamw();
            // A step is as long as Adam makes it whatever the gradient: by the root of the batch.
            recipe.lr = Some(RATE * (batch_size as f64 / 64.0).sqrt());
            recipe.layer_decay = Some(DECAY);
            recipe.schedule = Schedule::cosine();
            recipe.warmup = Warmup::Epochs(0.5);
            // Of the loss on the validation images, which is without label smoothing as the head's is.
            recipe.early_stop = Some(EarlyStop::new(PATIENCE));
            recipe.freeze_statistics = self.images < FEW_IMAGES;
            recipe.evaluate_first = true;
            recipe.augment = Some(augment(input));
            recipe.preprocess = Some(preprocess);
        })
    }

    /// The network's own preprocessing; for images that are much smaller than what the network was trained on, to a
    /// smaller size.
    fn preprocess(&self) -> Preprocess {
        let own = Fit::preprocess(self.spec).with_orientation(OrientationPolicy::Apply);
        let (Some([height, width]), Some(side)) = (size(&own), self.shorter_side) else { return own };
        if height != width || width <= SMALL_INPUT || side >= width / 4 {
            return own;
        }
        let smaller = enlarged(side, width);
        own.with(|own| {
            own.resize = own.resize.map(|resize| match resize {
                Resize::ShorterSide(_) => Resize::ShorterSide(smaller),
                _ => Resize::Exact([smaller; 2]),
            });
            own.crop = own.crop.map(|_| [smaller; 2]);
        })
    }
}

/// Size that images with a side of `side` pixels are brought to, for a network that was trained on `usual`: four times
/// their own, at least half of the network's, in steps of 32.
fn enlarged(side: usize, usual: usize) -> usize {
    (4 * side).max(usual / 2).next_multiple_of(32).min(usual)
}

/// Augmentations for an input of `[height, width]`.
fn augment([height, width]: [usize; 2]) -> Vec<Augment> {
    let crop = if width <= SMALL_INPUT {
        Augment::PadCrop { padding: width / 8 }
    } else {
        let mut crop = RandomResizedCrop::new([height, width]);
        // Milder than for a training from nothing, which is long enough to see every part of an image.
        crop.scale = [0.35, 1.0];
        Augment::RandomResizedCrop(crop)
    };
    vec![crop, Augment::HorizontalFlip { probability: 0.5 }]
}

/// Median of the shorter sides of some of the images.
pub(crate) fn shorter_side(images: &dyn Source) -> Option<usize> {
    let looked_at = LOOKED_AT.min(images.len());
    let at = |number: usize| number * images.len() / looked_at;
    let decoded = (0..looked_at).filter_map(|number| images.image(at(number)).ok());
    let mut sides: Vec<usize> = decoded.map(|image| image.width().min(image.height())).collect();
    sides.sort_unstable();
    sides.get(sides.len() / 2).copied()
}
