//! What happens to an image before it reaches the stem.

use serde::{Deserialize, Serialize};

/// Preprocessing as data: it travels with the network, inside its checkpoint, so that training,
/// evaluation, prediction and export all do the same thing.
///
/// An image goes through, in this order: [`orientation`](Self::orientation), [`alpha`](Self::alpha),
/// [`resize`](Self::resize), centre [`crop`](Self::crop), `x = pixel / 255`, `(x - mean[c]) / std[c]`. Of 16 bits it is
/// `x = pixel / 65535`, before the resize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preprocess {
    /// Orientation that a camera recorded: applied or ignored.
    #[serde(default, skip_serializing_if = "OrientationPolicy::is_default")]
    pub orientation: OrientationPolicy,
    /// Treatment of transparency: dropped, or a colour behind it.
    #[serde(default, skip_serializing_if = "Alpha::is_default")]
    pub alpha: Alpha,
    /// Resize first, or take the image at its own size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Interpolation of the resize.
    #[serde(default, skip_serializing_if = "Interpolation::is_default")]
    pub interpolation: Interpolation,
    /// Then cut this many pixels, `[height, width]`, out of the centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[usize; 2]>,
    /// Place of the crop where the margin is odd.
    #[serde(default, skip_serializing_if = "OddMargin::is_default")]
    pub odd_margin: OddMargin,
    /// Colour of what the crop adds where the image is smaller.
    #[serde(default, skip_serializing_if = "Fill::is_default")]
    pub fill: Fill,
    /// Mean of each channel, on the scale 0 to 1. Its length says whether images are read as grey (1) or as RGB (3);
    /// any other, 2 to 32, is for arrays (`.npy`), pages of a TIFF file, and images that a program gives, of as many.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: Vec<f32>,
}

/// Treatment of the orientation that a camera recorded (EXIF). A file that says nothing about it was written by
/// somebody whose programs ignore it, as torchvision and timm do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrientationPolicy {
    /// The pixels as they are stored, which of a turned photograph lie on their side.
    #[default]
    Ignore,
    /// The photograph as it was seen, as Pillow's `ImageOps.exif_transpose` turns it.
    Apply,
}

/// Treatment of transparency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alpha {
    /// The colours as they are stored, whether or not they would be seen, as Pillow's `convert("RGB")` takes them.
    #[default]
    Drop,
    /// The image on white.
    White,
    /// The image on black.
    Black,
    /// The image on a colour, `[red, green, blue]`.
    Colour([u8; 3]),
}

/// Resize of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resize {
    /// The shorter side becomes this long; the aspect ratio is kept.
    ShorterSide(usize),
    /// Exactly `[height, width]`; the aspect ratio is not kept (timm's crop mode `squash`).
    Exact([usize; 2]),
    /// The aspect ratio is kept and `[height, width]` is covered: one side fits, the other may be longer (timm's
    /// `ResizeKeepRatio` with `longest=0`; of a square, [`ShorterSide`](Self::ShorterSide) but for the rounding).
    Cover([usize; 2]),
    /// The aspect ratio is kept and the whole image lies within `[height, width]`: one side fits, the other may be
    /// shorter, and a crop fills up what is missing (timm's crop mode `border`).
    Within([usize; 2]),
}

/// Place of a centre crop where the margin is odd, so that half of it is no whole number of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OddMargin {
    /// The half rounded to the even neighbour: torchvision's and timm's.
    #[default]
    Round,
    /// The half cut: that of Hugging Face's transformers.
    Floor,
}

impl OddMargin {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Colour of pixels outside an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Black, torchvision's.
    #[default]
    Black,
    /// The mean of the normalisation, rounded to a pixel value: 0 once normalised.
    Mean,
}

/// Interpolation of a resize, with antialiasing but for [`Nearest`](Self::Nearest), as Pillow computes it: the filter is
/// stretched where the image shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Mean of the pixels under a target pixel.
    Box,
    /// A triangle of radius 1.
    #[default]
    Bilinear,
    /// A sinc of radius 1 in a Hamming window.
    Hamming,
    /// Keys' cubic convolution of radius 2, with a = -1/2.
    Bicubic,
    /// A sinc of radius 3 in a sinc window.
    Lanczos,
}

impl OrientationPolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Alpha {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The colour behind the image, `[red, green, blue]`; `None` where transparency is dropped.
    pub fn background(self) -> Option<[u8; 3]> {
        match self {
            Self::Drop => None,
            Self::White => Some([255; 3]),
            Self::Black => Some([0; 3]),
            Self::Colour(colour) => Some(colour),
        }
    }
}

impl Fill {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Resize {
    /// `[height, width]` of an image of `[height, width]` after the resize.
    ///
    /// The longer side of [`ShorterSide`](Self::ShorterSide) is `side * long / short`, cut to a whole number, as
    /// torchvision does; [`Cover`](Self::Cover) and [`Within`](Self::Within) round to the nearest, as timm does.
    pub fn target(self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::Exact(size) => size,
            Self::ShorterSide(side) => {
                let longer = |long: usize, short: usize| {
                    usize::try_from(side as u128 * long as u128 / short.max(1) as u128).unwrap_or(usize::MAX)
                };
                if width <= height { [longer(height, width), side] } else { [side, longer(width, height)] }
            }
            Self::Cover([h, w]) => {
                scaled([height, width], (height as f64 / h as f64).min(width as f64 / w as f64))
            }
            Self::Within([h, w]) => {
                scaled([height, width], (height as f64 / h as f64).max(width as f64 / w as f64))
            }
        }
    }
}

/// Both sides divided by `ratio`, at least 1.
fn scaled(size: [usize; 2], ratio: f64) -> [usize; 2] {
    size.map(|side| ((side as f64 / ratio).round_ties_even() as usize).max(1))
}

impl Interpolation {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The most pixels of a decoded image and of a network's input, 8192 x 8192.
pub const MAX_PIXELS: usize = 1 << 26;

/// The most pixels that a resize or a crop makes for a network, 2048 x 2048: a map of 64 channels of that size takes
/// a gigabyte. What is published goes up to 800 x 800.
pub const MAX_PREPROCESSED_PIXELS: usize = 1 << 22;

/// Channel means of ImageNet's training images, the usual normalisation.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Channel standard deviations of ImageNet's training images.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Preprocess {
    /// No resizing, ImageNet's normalisation: what CIFAR checkpoints are commonly trained with.
    pub fn normalise_only() -> Self {
        Self {
            orientation: OrientationPolicy::default(),
            alpha: Alpha::default(),
            resize: None,
            interpolation: Interpolation::default(),
            crop: None,
            odd_margin: OddMargin::default(),
            fill: Fill::default(),
            mean: IMAGENET_MEAN.to_vec(),
            std: IMAGENET_STD.to_vec(),
        }
    }

    /// The evaluation transform of ImageNet classifiers: shorter side to `resize`, centre crop of
    /// `crop` x `crop`, ImageNet's normalisation (He et al. 2015, section 3.4).
    pub fn imagenet(resize: usize, crop: usize) -> Self {
        Self { resize: Some(Resize::ShorterSide(resize)), crop: Some([crop, crop]), ..Self::normalise_only() }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::Preprocess;
    /// let grey = Preprocess::normalise_only().with(|grey| (grey.mean, grey.std) = (vec![0.5], vec![0.5]));
    /// assert_eq!((grey.mean.len(), grey.crop), (1, None));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Preprocessing with another treatment of orientations.
    pub fn with_orientation(self, orientation: OrientationPolicy) -> Self {
        Self { orientation, ..self }
    }

    /// The sizes that images are brought to, with the names of the fields: the resize, then the crop. A shorter side
    /// stands for a square of that side, the least image that it can give.
    pub fn sizes(&self) -> impl Iterator<Item = (&'static str, [usize; 2])> {
        let resize = self.resize.map(|resize| match resize {
            Resize::ShorterSide(side) => [side, side],
            Resize::Exact(size) | Resize::Cover(size) | Resize::Within(size) => size,
        });
        [("resize", resize), ("crop", self.crop)].into_iter().filter_map(|(field, size)| Some((field, size?)))
    }

    /// Preprocessing for an input of another size, `[channels, height, width]`; see
    /// [`NetSpec::with_input`](crate::NetSpec::with_input).
    pub fn with_input(mut self, [channels, height, width]: [usize; 3]) -> Self {
        let [crop_height, crop_width] = self.crop.unwrap_or([height, width]);
        let scaled = |[h, w]: [usize; 2]| match self.crop {
            Some(_) => [in_proportion(h, height, crop_height), in_proportion(w, width, crop_width)],
            None => [height, width],
        };
        self.resize = self.resize.map(|resize| match (resize, self.crop) {
            // As timm's `create_transform`: a square's shorter side is, for a rectangle, the least cover of each side.
            (Resize::ShorterSide(side), Some([old, same])) if old == same && height != width => {
                Resize::Cover([in_proportion(side, height, old), in_proportion(side, width, old)])
            }
            (Resize::ShorterSide(side), Some(_)) => {
                Resize::ShorterSide(in_proportion(side, height.min(width), crop_height.min(crop_width)))
            }
            (Resize::ShorterSide(_), None) => Resize::ShorterSide(height.min(width)),
            (Resize::Exact(size), _) => Resize::Exact(scaled(size)),
            (Resize::Cover(size), _) => Resize::Cover(scaled(size)),
            (Resize::Within(size), _) => Resize::Within(scaled(size)),
        });
        self.crop = self.crop.map(|_| [height, width]);
        for values in [&mut self.mean, &mut self.std] {
            match (values.len(), channels) {
                (3, 1) => *values = vec![values.iter().sum::<f32>() / 3.0],
                (1, 3) => *values = vec![values[0]; 3],
                _ => {}
            }
        }
        self
    }
}

/// `side * new / old`, to the nearest whole number.
fn in_proportion(side: usize, new: usize, old: usize) -> usize {
    let (side, new, old) = (side as u128, new as u128, old.max(1) as u128);
    usize::try_from((side * new + old / 2) / old).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_is_cut_not_rounded() {
        assert_eq!(Resize::ShorterSide(256).target([375, 500]), [256, 341]);
        assert_eq!(Resize::ShorterSide(256).target([500, 375]), [341, 256]);
        assert_eq!(Resize::ShorterSide(3).target([10, 10]), [3, 3]);
        assert_eq!(Resize::ShorterSide(usize::MAX).target([1, usize::MAX]), [usize::MAX, usize::MAX]);
    }

    /// timm 1.0's `ResizeKeepRatio((224, 320), longest=0)` and `longest=1`.
    #[test]
    fn covering_and_lying_within_round_to_the_nearest() {
        assert_eq!(Resize::Cover([224, 320]).target([375, 500]), [240, 320]);
        assert_eq!(Resize::Within([224, 320]).target([375, 500]), [224, 299]);
        assert_eq!(Resize::Cover([224, 320]).target([333, 1000]), [224, 673]);
        assert_eq!(Resize::Within([224, 320]).target([333, 1000]), [107, 320]);
        assert_eq!(Resize::Within([224, 224]).target([1, 1000]), [1, 224]);
    }
}
