//! Random erasing.

use serde::{Deserialize, Serialize};

use super::draw::{Draw, check_probability, check_range};
use super::fill::{Fill, NamedFill};
use crate::{Erasure, Error, Operation};

/// Random erasing (Zhong et al. 2017): a rectangle of random area, aspect ratio and place takes another value, as in
/// torchvision's `RandomErasing`.
///
/// torchvision erases after normalisation, where its value 0 is the mean: here the pixels before it take the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomErasing {
    /// Probability. Default 0.5.
    pub probability: f64,
    /// Least and greatest share of the image's area. Default 0.02 to 0.33.
    pub scale: [f64; 2],
    /// Least and greatest height / width. Default 0.3 to 3.3.
    pub ratio: [f64; 2],
    /// `"mean"` (the default), a level of 0 to 255, a level a channel, or `"random"`: values of a normal distribution
    /// with the mean and the standard deviation of the preprocessing.
    pub value: EraseValue,
}

/// Value of what is erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EraseValue {
    /// One colour.
    Fill(Fill),
    /// Noise.
    Noise(Noise),
}

/// Noise in place of what is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Noise {
    /// Normal numbers with the statistics of the preprocessing.
    Random,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            probability: 0.5,
            scale: [0.02, 0.33],
            ratio: [0.3, 3.3],
            value: EraseValue::Fill(Fill::Named(NamedFill::Mean)),
        }
    }
}

/// Attempts before the image is left as it is.
const TRIES: usize = 10;

impl RandomErasing {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, RandomErasing};
    /// let erasing = RandomErasing::default().with(|erasing| erasing.probability = 0.25);
    /// assert!(Augment::RandomErasing(erasing).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_probability("random_erasing.probability", self.probability)?;
        check_range("random_erasing.scale", self.scale, 1.0, "0 < least <= greatest <= 1")?;
        check_range("random_erasing.ratio", self.ratio, 1e6, "0 < least <= greatest")
    }

    pub(super) fn operations(&self, whole: [usize; 2], draw: &mut Draw<'_>) -> Vec<Operation> {
        if !draw.random.chance(self.probability) {
            return Vec::new();
        }
        let Some((corner, size)) = self.rectangle(whole, draw) else { return Vec::new() };
        let erasure = match &self.value {
            EraseValue::Fill(fill) => {
                Erasure::Colour(fill.levels(draw.colours).into_iter().map(f32::from).collect())
            }
            EraseValue::Noise(Noise::Random) => {
                let channels = draw.colours.mean.len();
                let values = size[0] * size[1] * channels;
                Erasure::Values((0..values).map(|at| noise(draw, at % channels)).collect())
            }
        };
        vec![Operation::Erase { corner, size, erasure }]
    }

    /// Corner and size of what is erased; `None` where no attempt fits.
    fn rectangle(
        &self,
        [height, width]: [usize; 2],
        draw: &mut Draw<'_>,
    ) -> Option<([usize; 2], [usize; 2])> {
        let area = (height * width) as f64;
        for _ in 0..TRIES {
            let target = area * draw.between(self.scale);
            let aspect = draw.between(self.ratio.map(f64::ln)).exp();
            let h = (target * aspect).sqrt().round_ties_even() as usize;
            let w = (target / aspect).sqrt().round_ties_even() as usize;
            if h < height && w < width {
                let top = draw.random.below((height - h) as u64 + 1) as usize;
                let left = draw.random.below((width - w) as u64 + 1) as usize;
                return Some(([top, left], [h, w]));
            }
        }
        None
    }
}

/// Level of a normal number in a channel.
fn noise(draw: &mut Draw<'_>, channel: usize) -> f32 {
    let normal = draw.random.normal();
    let of = |values: &[f64]| values.get(channel).copied().unwrap_or(0.5);
    let value = of(&draw.colours.mean) + of(&draw.colours.std) * normal;
    (255.0 * value.clamp(0.0, 1.0)) as f32
}
