//! AutoAugment.

use residual_arch::Interpolation;
use serde::{Deserialize, Serialize};

use super::learnt::{CIFAR10, IMAGENET, Pair, SVHN};
use super::random::check_bits;
use super::space::{Bin, LEARNT, signed};
use crate::augment::draw::Draw;
use crate::augment::fill::Fill;
use crate::augment::rotation::{check_interpolation, nearest};
use crate::{Error, Image, Sampling};

/// AutoAugment (Cubuk et al. 2018): one of 25 pairs of changes, each of which comes with its probability and magnitude.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AutoAugment {
    /// Data on which the pairs were learnt. Default `imagenet`.
    pub policy: AutoAugmentPolicy,
    /// `nearest` (the default) or `bilinear`.
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    pub fill: Fill,
}

/// Data on which a policy of [`AutoAugment`] was learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AutoAugmentPolicy {
    /// ImageNet.
    #[default]
    Imagenet,
    /// CIFAR-10.
    Cifar10,
    /// Street View House Numbers.
    Svhn,
}

impl AutoAugmentPolicy {
    fn pairs(self) -> &'static [Pair; 25] {
        match self {
            Self::Imagenet => &IMAGENET,
            Self::Cifar10 => &CIFAR10,
            Self::Svhn => &SVHN,
        }
    }
}

impl Default for AutoAugment {
    fn default() -> Self {
        Self { policy: AutoAugmentPolicy::Imagenet, interpolation: nearest(), fill: Fill::default() }
    }
}

/// Bins of the magnitudes.
const BINS: usize = 10;

impl AutoAugment {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, AutoAugment};
    /// let policy = AutoAugment::default().with(|policy| policy.policy = residual_data::AutoAugmentPolicy::Svhn);
    /// assert!(Augment::AutoAugment(policy).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(in crate::augment) fn check(&self) -> Result<(), Error> {
        check_interpolation("auto_augment.interpolation", self.interpolation)
    }

    pub(in crate::augment) fn apply(&self, mut image: Image, draw: &mut Draw<'_>) -> Result<Image, Error> {
        check_bits(&image, "auto_augment", draw.file)?;
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        let pairs = self.policy.pairs();
        for step in &pairs[draw.random.below(pairs.len() as u64) as usize] {
            if !draw.random.chance(step.probability) {
                continue;
            }
            let size = [image.height(), image.width()];
            let magnitude = LEARNT.magnitude(step.change, Bin { bin: step.bin, bins: BINS }, size);
            let magnitude = signed(step.change, magnitude, &mut draw.random);
            image = step.change.apply(image, magnitude, &sampling, draw.file)?;
        }
        Ok(image)
    }
}
