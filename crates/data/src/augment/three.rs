//! 3-Augment.

use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::fill::Spread;
use super::jitter::ColorJitter;
use crate::{Error, Operation};

/// 3-Augment (Touvron et al. 2022, DeiT III, section 3.1): one of grey, solarisation and Gaussian blur, each as likely as
/// the others, then colour jitter. Crop and flip come before it in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ThreeAugment {
    /// Jitter of brightness, contrast and saturation. Default 0.3.
    pub color_jitter: f64,
    /// Level from which solarisation inverts. Default 128.
    pub threshold: f64,
    /// Least and greatest radius of the blur, as Pillow's `ImageFilter.GaussianBlur` takes it. Default 0.1 to 2.
    pub radius: [f64; 2],
}

impl Default for ThreeAugment {
    fn default() -> Self {
        Self { color_jitter: 0.3, threshold: 128.0, radius: [0.1, 2.0] }
    }
}

impl ThreeAugment {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, ThreeAugment};
    /// let three = ThreeAugment::default().with(|three| three.color_jitter = 0.2);
    /// assert!(Augment::ThreeAugment(three).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    fn jitter(&self) -> ColorJitter {
        let spread = Spread::Around(self.color_jitter);
        ColorJitter { brightness: spread, contrast: spread, saturation: spread, ..ColorJitter::default() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let invalid = |option, found, expected| Err(Error::InvalidOption { option, found, expected });
        if !(self.color_jitter >= 0.0 && self.color_jitter.is_finite()) {
            let found = self.color_jitter.to_string();
            return invalid("three_augment.color_jitter", found, "a number that is not negative");
        }
        if !(0.0..=256.0).contains(&self.threshold) {
            return invalid("three_augment.threshold", self.threshold.to_string(), "0 to 256");
        }
        let [least, greatest] = self.radius;
        if !(least >= 0.0 && least <= greatest && greatest <= 100.0) {
            let found = format!("{:?}", self.radius);
            return invalid("three_augment.radius", found, "0 <= least <= greatest <= 100");
        }
        Ok(())
    }

    pub(super) fn operations(&self, draw: &mut Draw<'_>) -> Vec<Operation> {
        let one = match draw.random.below(3) {
            0 => Operation::Grayscale,
            1 => Operation::Solarize(self.threshold),
            _ => Operation::PillowBlur(draw.between(self.radius)),
        };
        [vec![one], self.jitter().operations(draw)].concat()
    }
}
