//! Random changes to training images, on `u8` pixels, before normalisation.

use residual_arch::Interpolation;
use residual_random::Random;
use serde::{Deserialize, Serialize};

use crate::random::Use;
use crate::resize::resize;
use crate::{Error, Image, MAX_PIXELS};

/// Augmentation: a random change to a training image. A recipe lists them, and they are applied in that order:
///
/// ```toml
/// augment = [{ kind = "pad_crop", padding = 4 }, { kind = "horizontal_flip" }]
/// ```
///
/// Preprocessing's `resize` and `crop` come first, so that an augmentation sees the image at the
/// network's size; where the list has a [`RandomResizedCrop`](Self::RandomResizedCrop), that one
/// takes their place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Augment {
    /// Random part of the image, resized to `size`: area and aspect ratio are drawn as
    /// torchvision's `RandomResizedCrop` draws them, ten times at most, else the largest centre
    /// that keeps within `ratio` (Szegedy et al. 2014, section 6).
    RandomResizedCrop {
        /// `[height, width]` of the result.
        size: [usize; 2],
        /// Least and greatest share of the image's area.
        #[serde(default = "default_scale")]
        scale: [f64; 2],
        /// Least and greatest width / height.
        #[serde(default = "default_ratio")]
        ratio: [f64; 2],
    },
    /// `padding` black pixels on every side, then a random cut at the image's own size (He et al.
    /// 2015, section 4.2, with 4).
    PadCrop {
        /// Pixels on each side.
        padding: usize,
    },
    /// Flip of left and right.
    HorizontalFlip {
        /// Probability, 0 to 1.
        #[serde(default = "default_probability")]
        probability: f64,
    },
}

fn default_scale() -> [f64; 2] {
    [0.08, 1.0]
}

fn default_ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

fn default_probability() -> f64 {
    0.5
}

/// Attempts of `RandomResizedCrop` before the centre is taken.
const TRIES: usize = 10;

impl Augment {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]: a size of 0, an empty or negative range, a probability outside 0 to 1.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |option, found, expected| Err(Error::InvalidOption { option, found, expected });
        let range = |[low, high]: [f64; 2], most: f64| low > 0.0 && low <= high && high <= most;
        match *self {
            Self::RandomResizedCrop { size, .. }
                if size.contains(&0)
                    || size[0].checked_mul(size[1]).is_none_or(|pixels| pixels > MAX_PIXELS) =>
            {
                invalid("random_resized_crop.size", format!("{size:?}"), "[height, width], at least 1")
            }
            Self::RandomResizedCrop { scale, .. } if !range(scale, 1.0) => {
                invalid("random_resized_crop.scale", format!("{scale:?}"), "0 < least <= greatest <= 1")
            }
            Self::RandomResizedCrop { ratio, .. } if !range(ratio, 1e6) => {
                invalid("random_resized_crop.ratio", format!("{ratio:?}"), "0 < least <= greatest")
            }
            Self::PadCrop { padding } if padding > 1 << 16 => {
                invalid("pad_crop.padding", padding.to_string(), "a number of pixels up to 65536")
            }
            Self::HorizontalFlip { probability } if !(0.0..=1.0).contains(&probability) => {
                invalid("horizontal_flip.probability", probability.to_string(), "0 to 1")
            }
            _ => Ok(()),
        }
    }

    /// True where the augmentation chooses the size of the result.
    pub(crate) fn sets_size(&self) -> bool {
        matches!(self, Self::RandomResizedCrop { .. })
    }

    fn apply(&self, mut image: Image, random: &mut Random, file: &str) -> Result<Image, Error> {
        match *self {
            Self::RandomResizedCrop { size, scale, ratio } => {
                let (corner, part) = random_part([image.height(), image.width()], scale, ratio, random);
                resize(image.window(corner, part), size, Interpolation::Bilinear, file)
            }
            Self::PadCrop { padding } => {
                let mut offset = || random.below(2 * padding as u64 + 1) as isize - padding as isize;
                let (top, left) = (offset(), offset());
                Ok(image.window([top, left], [image.height(), image.width()]))
            }
            Self::HorizontalFlip { probability } => {
                if random.chance(probability) {
                    image.flip_horizontally();
                }
                Ok(image)
            }
        }
    }
}

/// Augments one sample by the list. The result depends on (`seed`, `epoch`, `index`) alone.
///
/// # Errors
/// None for a list that passes [`Augment::check`].
pub fn augment(
    mut image: Image,
    list: &[Augment],
    [seed, epoch, index]: [u64; 3],
    file: &str,
) -> Result<Image, Error> {
    for (position, one) in list.iter().enumerate() {
        let mut random = Use::Augment(position as u32).key([seed, epoch, index]).stream();
        image = one.apply(image, &mut random, file)?;
    }
    Ok(image)
}

/// Corner and size of the part that `RandomResizedCrop` cuts out.
fn random_part(
    [height, width]: [usize; 2],
    scale: [f64; 2],
    ratio: [f64; 2],
    random: &mut Random,
) -> ([isize; 2], [usize; 2]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize) -> Image {
        Image::new(width, height, 1, (0..width * height).map(|i| (i % 255 + 1) as u8).collect()).unwrap()
    }

    fn at(image: &Image, one: Augment, index: u64) -> Image {
        augment(image.clone(), &[one], [1, 0, index], "x").unwrap()
    }

    #[test]
    fn pad_crop_shifts_in_both_directions_and_fills_with_black() {
        let source = image(4, 4);
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..200 {
            let cut = at(&source, Augment::PadCrop { padding: 1 }, index);
            assert_eq!((cut.width(), cut.height()), (4, 4));
            let matching: Vec<[isize; 2]> = (-1..=1)
                .flat_map(|y| (-1..=1).map(move |x| [y, x]))
                .filter(|&corner| source.window(corner, [4, 4]) == cut)
                .collect();
            assert_eq!(matching.len(), 1);
            seen.insert(matching[0]);
        }
        assert_eq!(seen.len(), 9, "every shift comes up: {seen:?}");
        assert_eq!(at(&source, Augment::PadCrop { padding: 0 }, 0), source);
    }

    #[test]
    fn flips_come_up_as_often_as_asked() {
        let source = image(3, 2);
        let flips = |probability| {
            let one = Augment::HorizontalFlip { probability };
            (0..1000).filter(|&index| at(&source, one.clone(), index) != source).count()
        };
        assert_eq!((flips(0.0), flips(1.0)), (0, 1000));
        assert!((430..570).contains(&flips(0.5)));
    }

    #[test]
    fn random_parts_keep_to_scale_and_ratio() {
        let (scale, ratio) = (default_scale(), default_ratio());
        let mut areas = Vec::new();
        for index in 0..2000 {
            let mut random = Use::Augment(0).key([3, 0, index]).stream();
            let ([top, left], [h, w]) = random_part([100, 120], scale, ratio, &mut random);
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
        // The whole area at a ratio of 1 does not fit a 10x1000 image.
        let part = random_part([10, 1000], [1.0, 1.0], [0.9, 1.1], &mut random);
        assert_eq!(part, ([0, 494], [10, 11]));
        let part = random_part([1000, 9], [1.0, 1.0], [0.9, 1.1], &mut random);
        assert_eq!(part, ([495, 0], [10, 9]));
    }

    #[test]
    fn a_list_is_one_function_of_its_key() {
        let list = [
            Augment::RandomResizedCrop { size: [8, 8], scale: default_scale(), ratio: default_ratio() },
            Augment::PadCrop { padding: 2 },
            Augment::HorizontalFlip { probability: 0.5 },
        ];
        let run = |key| augment(image(20, 16), &list, key, "x").unwrap();
        assert_eq!(run([1, 2, 3]), run([1, 2, 3]));
        assert_ne!(run([1, 2, 3]), run([1, 2, 4]));
        assert_ne!(run([1, 2, 3]), run([1, 3, 3]));
        assert_ne!(run([1, 2, 3]), run([2, 2, 3]));
        assert_eq!((run([1, 2, 3]).width(), run([1, 2, 3]).height()), (8, 8));
    }

    #[test]
    fn a_recipe_reads_as_documented() {
        #[derive(Deserialize, Serialize)]
        struct Recipe {
            augment: Vec<Augment>,
        }
        let text = "augment = [{ kind = \"random_resized_crop\", size = [224, 224] }, \
                    { kind = \"pad_crop\", padding = 4 }, { kind = \"horizontal_flip\" }]";
        let recipe: Recipe = toml::from_str(text).unwrap();
        let crop =
            Augment::RandomResizedCrop { size: [224, 224], scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] };
        let flip = Augment::HorizontalFlip { probability: 0.5 };
        assert_eq!(recipe.augment, [crop, Augment::PadCrop { padding: 4 }, flip]);
        let again: Recipe = toml::from_str(&toml::to_string(&recipe).unwrap()).unwrap();
        assert_eq!(again.augment, recipe.augment);
        assert!(toml::from_str::<Recipe>("augment = [{ kind = \"pad_crop\", pading = 4 }]").is_err());
        assert!(toml::from_str::<Recipe>("augment = [{ kind = \"rotate\" }]").is_err());
    }

    #[test]
    fn impossible_values_are_refused() {
        let crop = |size, scale, ratio| Augment::RandomResizedCrop { size, scale, ratio };
        for one in [
            crop([0, 4], [0.1, 1.0], [1.0, 1.0]),
            crop([usize::MAX, 4], [0.1, 1.0], [1.0, 1.0]),
            crop([4, 4], [0.0, 1.0], [1.0, 1.0]),
            crop([4, 4], [0.5, 0.1], [1.0, 1.0]),
            crop([4, 4], [0.5, 1.5], [1.0, 1.0]),
            crop([4, 4], [0.5, 1.0], [f64::NAN, 1.0]),
            Augment::PadCrop { padding: usize::MAX },
            Augment::HorizontalFlip { probability: 1.5 },
            Augment::HorizontalFlip { probability: f64::NAN },
        ] {
            assert!(matches!(one.check(), Err(Error::InvalidOption { .. })), "{one:?}");
        }
    }
}
