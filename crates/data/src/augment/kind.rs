//! The augmentations of a recipe.

use serde::{Deserialize, Serialize};

use super::blur::GaussianBlur;
use super::crop::{RandomResizedCrop, pad_crop};
use super::draw::{Draw, check_probability};
use super::erasing::{EraseValue, RandomErasing};
use super::fill::Fill;
use super::jitter::ColorJitter;
use super::policy::{AugMix, AutoAugment, RandAugment, TrivialAugmentWide};
use super::rotation::{RandomAffine, RandomRotation};
use super::three::ThreeAugment;
use crate::{Error, Image, Operation};

/// Augmentation: a random change to a training image. A recipe lists them, and they are applied in that order:
///
/// ```toml
/// augment = [{ kind = "pad_crop", padding = 4 }, { kind = "horizontal_flip" }, { kind = "rand_augment" }]
/// ```
///
/// Names and parameters are torchvision's, in small letters. Preprocessing's `resize` and `crop` come first, so that an
/// augmentation sees the image at the network's size; where the list has a
/// [`RandomResizedCrop`](Self::RandomResizedCrop), that one takes their place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Augment {
    /// Random part of the image, resized.
    RandomResizedCrop(RandomResizedCrop),
    /// `padding` black pixels on every side, then a random cut at the image's own size (He et al.
    /// 2015, section 4.2, with 4).
    PadCrop {
        /// Pixels on each side.
        #[serde(default = "default_padding")]
        padding: usize,
    },
    /// Flip of left and right.
    HorizontalFlip {
        /// Probability, 0 to 1.
        #[serde(default = "half")]
        probability: f64,
    },
    /// Flip of top and bottom.
    VerticalFlip {
        /// Probability, 0 to 1.
        #[serde(default = "half")]
        probability: f64,
    },
    /// Rotation by a random angle.
    RandomRotation(RandomRotation),
    /// Random affine transformation.
    RandomAffine(RandomAffine),
    /// Random changes of brightness, contrast, saturation and hue.
    #[serde(alias = "colour_jitter")]
    ColorJitter(ColorJitter),
    /// Grey in place of the colours.
    RandomGrayscale {
        /// Probability, 0 to 1.
        #[serde(default = "tenth")]
        probability: f64,
    },
    /// Gaussian blur.
    GaussianBlur(GaussianBlur),
    /// Some random operations of one magnitude (Cubuk et al. 2019).
    RandAugment(RandAugment),
    /// One random operation of a random magnitude (Müller and Hutter 2021).
    TrivialAugmentWide(TrivialAugmentWide),
    /// Two operations of a policy that was learnt (Cubuk et al. 2018).
    AutoAugment(AutoAugment),
    /// Mixture of the image with chains of operations (Hendrycks et al. 2019).
    AugMix(AugMix),
    /// Grey, solarisation or blur, and colour jitter (Touvron et al. 2022, DeiT III).
    ThreeAugment(ThreeAugment),
    /// Erasure of a random rectangle (Zhong et al. 2017).
    RandomErasing(RandomErasing),
}

fn default_padding() -> usize {
    4
}

fn half() -> f64 {
    0.5
}

fn tenth() -> f64 {
    0.1
}

impl Augment {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]: a size of 0, an empty or negative range, a probability outside 0 to 1.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::RandomResizedCrop(crop) => crop.check(),
            Self::PadCrop { padding } if *padding > 1 << 16 => Err(Error::InvalidOption {
                option: "pad_crop.padding",
                found: padding.to_string(),
                expected: "a number of pixels up to 65536",
            }),
            Self::PadCrop { .. } => Ok(()),
            Self::HorizontalFlip { probability } => {
                check_probability("horizontal_flip.probability", *probability)
            }
            Self::VerticalFlip { probability } => {
                check_probability("vertical_flip.probability", *probability)
            }
            Self::RandomRotation(rotation) => rotation.check(),
            Self::RandomAffine(affine) => affine.check(),
            Self::ColorJitter(jitter) => jitter.check(),
            Self::RandomGrayscale { probability } => {
                check_probability("random_grayscale.probability", *probability)
            }
            Self::GaussianBlur(blur) => blur.check(),
            Self::RandAugment(policy) => policy.check(),
            Self::TrivialAugmentWide(policy) => policy.check(),
            Self::AutoAugment(policy) => policy.check(),
            Self::AugMix(policy) => policy.check(),
            Self::ThreeAugment(policy) => policy.check(),
            Self::RandomErasing(erasing) => erasing.check(),
        }
    }

    /// Name of the augmentation, as in a recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RandomResizedCrop(_) => "random_resized_crop",
            Self::PadCrop { .. } => "pad_crop",
            Self::HorizontalFlip { .. } => "horizontal_flip",
            Self::VerticalFlip { .. } => "vertical_flip",
            Self::RandomRotation(_) => "random_rotation",
            Self::RandomAffine(_) => "random_affine",
            Self::ColorJitter(_) => "color_jitter",
            Self::RandomGrayscale { .. } => "random_grayscale",
            Self::GaussianBlur(_) => "gaussian_blur",
            Self::RandAugment(_) => "rand_augment",
            Self::TrivialAugmentWide(_) => "trivial_augment_wide",
            Self::AutoAugment(_) => "auto_augment",
            Self::AugMix(_) => "aug_mix",
            Self::ThreeAugment(_) => "three_augment",
            Self::RandomErasing(_) => "random_erasing",
        }
    }

    /// True where the augmentation chooses the size of the result.
    pub(crate) fn sets_size(&self) -> bool {
        matches!(self, Self::RandomResizedCrop(_))
    }

    /// Checks that images of so many channels can have it.
    pub(super) fn check_channels(&self, channels: usize) -> Result<(), Error> {
        if let Some(reason) = self.needs_colour().filter(|_| channels != 3) {
            return Err(Error::AugmentChannels { augmentation: self.name(), reason, channels });
        }
        match self {
            Self::RandomRotation(rotation) => rotation.fill.check_channels("random_rotation.fill", channels),
            Self::RandomAffine(affine) => affine.fill.check_channels("random_affine.fill", channels),
            Self::RandAugment(policy) => policy.fill.check_channels("rand_augment.fill", channels),
            Self::TrivialAugmentWide(policy) => {
                policy.fill.check_channels("trivial_augment_wide.fill", channels)
            }
            Self::AutoAugment(policy) => policy.fill.check_channels("auto_augment.fill", channels),
            Self::AugMix(policy) => policy.fill.check_channels("aug_mix.fill", channels),
            Self::RandomErasing(RandomErasing { value: EraseValue::Fill(value), .. }) => {
                Fill::check_channels(value, "random_erasing.value", channels)
            }
            _ => Ok(()),
        }
    }

    /// Reason why the channels must be red, green and blue.
    fn needs_colour(&self) -> Option<&'static str> {
        match self {
            Self::ColorJitter(jitter) if jitter.needs_colour() => {
                Some("saturation and hue are of red, green and blue")
            }
            Self::RandomGrayscale { .. } => Some("grey is made of red, green and blue"),
            Self::ThreeAugment(_) => Some("one of the three makes grey of red, green and blue"),
            _ => None,
        }
    }

    /// Operations that are drawn for an image of `[height, width]`, in the order in which they are applied.
    pub(super) fn operations(&self, size: [usize; 2], draw: &mut Draw<'_>) -> Vec<Operation> {
        match self {
            Self::RandomResizedCrop(crop) => vec![crop.operation(size, draw)],
            Self::PadCrop { padding } => vec![pad_crop(size, *padding, &mut draw.random)],
            Self::HorizontalFlip { probability } => draw.with(*probability, Operation::HorizontalFlip),
            Self::VerticalFlip { probability } => draw.with(*probability, Operation::VerticalFlip),
            Self::RandomRotation(rotation) => vec![rotation.operation(draw)],
            Self::RandomAffine(affine) => vec![affine.operation(size, draw)],
            Self::ColorJitter(jitter) => jitter.operations(draw),
            Self::RandomGrayscale { probability } => draw.with(*probability, Operation::Grayscale),
            Self::GaussianBlur(blur) => blur.operations(draw),
            Self::RandAugment(policy) => policy.operations(size, draw),
            Self::TrivialAugmentWide(policy) => policy.operations(size, draw),
            Self::AutoAugment(policy) => policy.operations(size, draw),
            Self::AugMix(policy) => vec![policy.operation(size, draw)],
            Self::ThreeAugment(policy) => policy.operations(draw),
            Self::RandomErasing(erasing) => erasing.operations(size, draw),
        }
    }

    /// True where the augmentation is defined on 8 bits alone, whichever operations are drawn.
    fn needs_8_bits(&self) -> bool {
        matches!(
            self,
            Self::RandAugment(_)
                | Self::TrivialAugmentWide(_)
                | Self::AutoAugment(_)
                | Self::AugMix(_)
                | Self::ThreeAugment(_)
        )
    }

    pub(super) fn apply(&self, mut image: Image, draw: &mut Draw<'_>, file: &str) -> Result<Image, Error> {
        if self.needs_8_bits() && image.values().is_some() {
            return Err(Error::MoreThan8Bits { file: file.to_owned(), operation: self.name() });
        }
        for operation in self.operations(image.whole_size(), draw) {
            image = operation.apply(image, file)?;
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Recipe {
        augment: Vec<Augment>,
    }

    fn read(text: &str) -> Result<Vec<Augment>, toml::de::Error> {
        toml::from_str::<Recipe>(&format!("augment = [{text}]")).map(|recipe| recipe.augment)
    }

    #[test]
    fn a_recipe_reads_as_documented() {
        let text = "{ kind = \"random_resized_crop\", size = [224, 224] }, \
                    { kind = \"pad_crop\", padding = 4 }, { kind = \"horizontal_flip\" }";
        let augment = read(text).unwrap();
        let crop = Augment::RandomResizedCrop(RandomResizedCrop::new([224, 224]));
        let flip = Augment::HorizontalFlip { probability: 0.5 };
        assert_eq!(augment, [crop, Augment::PadCrop { padding: 4 }, flip]);
        let text = toml::to_string(&Recipe { augment: augment.clone() }).unwrap();
        assert!(!text.contains("interpolation"), "as earlier versions write it: {text}");
        assert_eq!(toml::from_str::<Recipe>(&text).unwrap().augment, augment);
        assert!(read("{ kind = \"pad_crop\", pading = 4 }").is_err());
        assert!(read("{ kind = \"random_resized_crop\", size = [2, 2], scala = [1, 1] }").is_err());
        assert!(read("{ kind = \"rotate\" }").is_err());
    }

    /// A line of a recipe for each augmentation.
    const EACH: [&str; 15] = [
        "{ kind = \"random_resized_crop\", size = [8, 9], interpolation = \"bicubic\" }",
        "{ kind = \"pad_crop\" }",
        "{ kind = \"horizontal_flip\" }",
        "{ kind = \"vertical_flip\", probability = 0.25 }",
        "{ kind = \"random_rotation\", degrees = 15, interpolation = \"bilinear\", fill = [1, 2, 3] }",
        "{ kind = \"random_affine\", degrees = [-5, 10], translate = [0.1, 0.2], shear = [3, [0, 4]], fill = \"mean\" }",
        "{ kind = \"color_jitter\", brightness = 0.4, contrast = [0.5, 1.5], saturation = 0.3, hue = 0.1 }",
        "{ kind = \"random_grayscale\" }",
        "{ kind = \"gaussian_blur\", kernel_size = 9 }",
        "{ kind = \"rand_augment\", ops = 2, magnitude = 9 }",
        "{ kind = \"trivial_augment_wide\" }",
        "{ kind = \"auto_augment\", policy = \"cifar10\" }",
        "{ kind = \"aug_mix\", severity = 5 }",
        "{ kind = \"three_augment\" }",
        "{ kind = \"random_erasing\", value = \"random\" }",
    ];

    #[test]
    fn every_augmentation_is_read_and_written_by_its_name() {
        for line in EACH {
            let augment = read(line).unwrap();
            assert!(augment[0].check().is_ok(), "{line}");
            assert!(line.contains(&format!("\"{}\"", augment[0].name())), "{line}");
            let text = toml::to_string(&Recipe { augment: augment.clone() }).unwrap();
            assert_eq!(toml::from_str::<Recipe>(&text).unwrap().augment, augment, "{text}");
        }
        let british = read("{ kind = \"colour_jitter\", hue = 0.1 }").unwrap();
        assert_eq!(british[0].name(), "color_jitter");
    }

    #[test]
    fn impossible_values_are_refused() {
        for line in [
            "{ kind = \"random_resized_crop\", size = [0, 4] }",
            "{ kind = \"random_resized_crop\", size = [9223372036854775807, 4] }",
            "{ kind = \"random_resized_crop\", scale = [0.0, 1.0] }",
            "{ kind = \"random_resized_crop\", scale = [0.5, 0.1] }",
            "{ kind = \"random_resized_crop\", scale = [0.5, 1.5] }",
            "{ kind = \"random_resized_crop\", ratio = [nan, 1.0] }",
            "{ kind = \"pad_crop\", padding = 1000000 }",
            "{ kind = \"horizontal_flip\", probability = 1.5 }",
            "{ kind = \"vertical_flip\", probability = nan }",
            "{ kind = \"random_grayscale\", probability = -0.5 }",
            "{ kind = \"random_rotation\", degrees = -1 }",
            "{ kind = \"random_rotation\", degrees = [10, -10] }",
            "{ kind = \"random_rotation\", degrees = inf }",
            "{ kind = \"random_rotation\", degrees = 10, interpolation = \"lanczos\" }",
            "{ kind = \"random_affine\", degrees = 0, translate = [2.0, 0.0] }",
            "{ kind = \"random_affine\", degrees = 0, scale = [0.0, 1.0] }",
            "{ kind = \"random_affine\", degrees = 0, shear = [90, 0] }",
            "{ kind = \"color_jitter\", hue = 0.7 }",
            "{ kind = \"color_jitter\", brightness = -0.7 }",
            "{ kind = \"color_jitter\", contrast = [-1.0, 1.0] }",
            "{ kind = \"gaussian_blur\", kernel_size = 4 }",
            "{ kind = \"gaussian_blur\", sigma = [0.0, 1.0] }",
            "{ kind = \"rand_augment\", magnitude = 31 }",
            "{ kind = \"rand_augment\", num_magnitude_bins = 1 }",
            "{ kind = \"rand_augment\", ops = 1000 }",
            "{ kind = \"trivial_augment_wide\", num_magnitude_bins = 0 }",
            "{ kind = \"aug_mix\", severity = 11 }",
            "{ kind = \"aug_mix\", severity = 0 }",
            "{ kind = \"aug_mix\", mixture_width = 0 }",
            "{ kind = \"aug_mix\", alpha = 0.0 }",
            "{ kind = \"three_augment\", color_jitter = -1.0 }",
            "{ kind = \"random_erasing\", scale = [0.5, 0.1] }",
            "{ kind = \"random_erasing\", probability = 2.0 }",
        ] {
            let one = &read(line).unwrap()[0];
            let error = one.check().unwrap_err();
            assert!(matches!(error, Error::InvalidOption { .. }), "{line}");
            assert!(error.to_string().starts_with(one.name()), "{error}");
        }
    }
}
