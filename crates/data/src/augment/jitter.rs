//! Random changes of brightness, contrast, saturation and hue.

use serde::{Deserialize, Serialize};

use super::draw::{Draw, check_probability};
use super::fill::Spread;
use crate::{Error, Operation};

/// Colour jitter, as torchvision's `ColorJitter`: brightness, contrast, saturation and hue change by random factors, in a
/// random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ColorJitter {
    /// Factor of the brightness: `b` stands for `[max(0, 1 - b), 1 + b]`. Default 0.
    pub brightness: Spread,
    /// Factor of the contrast, alike. Default 0.
    pub contrast: Spread,
    /// Factor of the saturation, alike. Default 0.
    pub saturation: Spread,
    /// Shift of the hue: `h` stands for `[-h, h]`, up to 0.5. Default 0.
    pub hue: Spread,
    /// Probability that the image is changed at all. Default 1.
    pub probability: f64,
}

const NONE: Spread = Spread::Around(0.0);

impl Default for ColorJitter {
    fn default() -> Self {
        Self { brightness: NONE, contrast: NONE, saturation: NONE, hue: NONE, probability: 1.0 }
    }
}

impl ColorJitter {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, ColorJitter, Spread};
    /// let jitter = ColorJitter::default().with(|jitter| jitter.hue = Spread::Around(0.1));
    /// assert!(Augment::ColorJitter(jitter).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_probability("color_jitter.probability", self.probability)?;
        let factor = "a number that is not negative, or [least, greatest]";
        self.brightness.check("color_jitter.brightness", [0.0, f64::MAX], factor)?;
        self.contrast.check("color_jitter.contrast", [0.0, f64::MAX], factor)?;
        self.saturation.check("color_jitter.saturation", [0.0, f64::MAX], factor)?;
        let hue = "0 to 0.5, or [least, greatest] from -0.5 to 0.5";
        self.hue.check("color_jitter.hue", [-0.5, 0.5], hue)?;
        match self.hue {
            Spread::Around(most) if most > 0.5 => Err(Error::InvalidOption {
                option: "color_jitter.hue",
                found: most.to_string(),
                expected: hue,
            }),
            _ => Ok(()),
        }
    }

    /// True where it changes colours, and not levels alone.
    pub(super) fn needs_colour(&self) -> bool {
        self.saturation != NONE || self.hue != NONE
    }

    pub(super) fn operations(&self, draw: &mut Draw<'_>) -> Vec<Operation> {
        if self.probability < 1.0 && !draw.random.chance(self.probability) {
            return Vec::new();
        }
        let mut order = [0, 1, 2, 3];
        draw.random.shuffle(&mut order);
        let factors = [self.brightness, self.contrast, self.saturation].map(|spread| {
            let factor = draw.between(spread.of_factor());
            (spread != NONE).then_some(factor)
        });
        let hue = draw.between(self.hue.about(0.0));
        let [brightness, contrast, saturation] = factors;
        let mut operations = [
            brightness.map(Operation::Brightness),
            contrast.map(Operation::Contrast),
            saturation.map(Operation::Saturation),
            (self.hue != NONE).then_some(Operation::Hue(hue)),
        ];
        order.into_iter().filter_map(|place: usize| operations[place].take()).collect()
    }
}
