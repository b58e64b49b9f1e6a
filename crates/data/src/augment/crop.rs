//! Random crops.

use residual_arch::Interpolation;
use residual_random::Random;
use serde::{Deserialize, Serialize};

use super::draw::{Draw, check_range};
use crate::{Error, MAX_PIXELS, Operation};

/// Random resized crop (Szegedy et al. 2014, section 6): a part of the image, of random area and aspect ratio, resized.
/// They are drawn as by torchvision's `RandomResizedCrop`, ten times at most, else the largest centre that keeps within
/// `ratio`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomResizedCrop {
    /// `[height, width]` of the result. Default: the network's input, which a recipe settles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Least and greatest share of the image's area.
    pub scale: [f64; 2],
    /// Least and greatest width / height.
    pub ratio: [f64; 2],
    /// Filter of the resize, with antialiasing. Default bilinear.
    #[serde(skip_serializing_if = "is_bilinear")]
    pub interpolation: Interpolation,
}

fn is_bilinear(interpolation: &Interpolation) -> bool {
    *interpolation == Interpolation::Bilinear
}

impl Default for RandomResizedCrop {
    fn default() -> Self {
        Self {
            size: None,
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            interpolation: Interpolation::Bilinear,
        }
    }
}

/// Attempts before the centre is taken.
const TRIES: usize = 10;

impl RandomResizedCrop {
    /// Crop to `[height, width]`, with torchvision's defaults.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size: Some(size), ..Self::default() }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, RandomResizedCrop};
    /// let crop = RandomResizedCrop::new([224, 224]).with(|crop| crop.scale = [0.35, 1.0]);
    /// assert!(Augment::RandomResizedCrop(crop).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let too_large = |[height, width]: [usize; 2]| {
            height == 0 || width == 0 || height.checked_mul(width).is_none_or(|pixels| pixels > MAX_PIXELS)
        };
        if let Some(size) = self.size.filter(|&size| too_large(size)) {
            return Err(Error::InvalidOption {
                option: "random_resized_crop.size",
                found: format!("{size:?}"),
                expected: "[height, width], at least 1",
            });
        }
        check_range("random_resized_crop.scale", self.scale, 1.0, "0 < least <= greatest <= 1")?;
        check_range("random_resized_crop.ratio", self.ratio, 1e6, "0 < least <= greatest")
    }

    pub(super) fn operation(&self, whole: [usize; 2], draw: &mut Draw<'_>) -> Operation {
        let (corner, part) = self.part(whole, &mut draw.random);
        let size = self.size.unwrap_or(whole);
        Operation::ResizedCrop { corner, part, size, interpolation: self.interpolation }
    }

    /// Corner and size of the part that is cut out.
    pub(super) fn part(&self, [height, width]: [usize; 2], random: &mut Random) -> ([isize; 2], [usize; 2]) {
        let Self { scale, ratio, .. } = *self;
        let area = (height * width) as f64;
        for _ in 0..TRIES {
            let target = area * random.between(scale[0], scale[1]);
            let aspect = random.between(ratio[0].ln(), ratio[1].ln()).exp();
            let w = (target * aspect).sqrt().round_ties_even() as usize;
            let h = (target / aspect).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = random.below((height - h) as u64 + 1) as isize;
                let left = random.below((width - w) as u64 + 1) as isize;
                return ([top, left], [h, w]);
            }
        }
        let aspect = width as f64 / height as f64;
        let [h, w] = if aspect < ratio[0] {
            [(width as f64 / ratio[0]).round_ties_even() as usize, width]
        } else if aspect > ratio[1] {
            [height, (height as f64 * ratio[1]).round_ties_even() as usize]
        } else {
            [height, width]
        };
        let [h, w] = [h.clamp(1, height), w.clamp(1, width)];
        ([((height - h) / 2) as isize, ((width - w) / 2) as isize], [h, w])
    }
}

/// `padding` black pixels on every side, then a random cut at the image's own size.
pub(super) fn pad_crop(size: [usize; 2], padding: usize, random: &mut Random) -> Operation {
    let mut offset = || random.below(2 * padding as u64 + 1) as isize - padding as isize;
    let (top, left) = (offset(), offset());
    Operation::Crop { corner: [top, left], size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Use;

    #[test]
    fn random_parts_keep_to_scale_and_ratio() {
        let crop = RandomResizedCrop::default();
        let mut areas = Vec::new();
        for index in 0..2000 {
            let mut random = Use::Augment(0).key([3, 0, index]).stream();
            let ([top, left], [h, w]) = crop.part([100, 120], &mut random);
            assert!(top >= 0 && left >= 0 && top as usize + h <= 100 && left as usize + w <= 120);
            let aspect = w as f64 / h as f64;
            assert!((0.7..1.4).contains(&aspect), "{w}x{h}");
            areas.push((w * h) as f64 / 12000.0);
        }
        let mean = areas.iter().sum::<f64>() / 2000.0;
        assert!(areas.iter().all(|&area| (0.07..=1.0).contains(&area)));
        assert!(
            (0.4..0.6).contains(&mean),
            "uniform in [0.08, 1] has mean 0.54, less what is rejected: {mean}"
        );
    }

    #[test]
    fn what_never_fits_falls_back_to_the_centre() {
        let mut random = Use::Augment(0).key([3, 0, 0]).stream();
        let crop = RandomResizedCrop { scale: [1.0, 1.0], ratio: [0.9, 1.1], ..RandomResizedCrop::default() };
        // The whole area at a ratio of 1 does not fit a 10x1000 image.
        assert_eq!(crop.part([10, 1000], &mut random), ([0, 494], [10, 11]));
        assert_eq!(crop.part([1000, 9], &mut random), ([495, 0], [10, 9]));
    }
}
