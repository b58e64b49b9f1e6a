//! [`Preprocess`] applied: what every image goes through, in training, evaluation and prediction.

use residual_arch::{
    Fill, Interpolation, MAX_PREPROCESSED_PIXELS, OddMargin, OrientationPolicy, Preprocess, Resize,
};

use crate::resize::resize;
use crate::{Error, Image};

/// A checked [`Preprocess`], ready to be applied.
///
/// ```
/// use residual_arch::Preprocess;
/// use residual_data::{Image, Preprocessor};
///
/// let image = Image::new(1, 1, 3, vec![255, 0, 128]).unwrap();
/// let preprocess = Preprocess::normalise_only().with(|preprocess| {
///     preprocess.mean = vec![0.5; 3];
///     preprocess.std = vec![0.5; 3];
/// });
/// let (values, shape) = Preprocessor::new(&preprocess)?.apply(image, "dot.png")?;
/// assert_eq!(shape, [3, 1, 1]);
/// assert_eq!(values[..2], [1.0, -1.0]);
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Preprocessor {
    orientation: OrientationPolicy,
    /// Colour behind what is transparent.
    background: Option<[u8; 3]>,
    resize: Option<Resize>,
    interpolation: Interpolation,
    crop: Option<[usize; 2]>,
    odd_margin: OddMargin,
    /// Colour of what the crop adds, a value a channel.
    fill: Vec<u8>,
    /// `(p / 255 - mean[c]) / std[c]` of every pixel value p, a table a channel.
    tables: Vec<Vec<f32>>,
    /// Mean and standard deviation of each channel, for values of more than 8 bits.
    statistics: Vec<(f32, f32)>,
}

impl Preprocessor {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] where `mean` and `std` are not a finite number for each channel, `std` is
    /// not positive, or a size is 0 or beyond reason.
    pub fn new(preprocess: &Preprocess) -> Result<Self, Error> {
        let Preprocess {
            orientation, alpha, resize, interpolation, crop, odd_margin, fill, mean, std, ..
        } = preprocess;
        let invalid = |option, found, expected| Err(Error::InvalidOption { option, found, expected });
        if mean.is_empty() || !mean.iter().all(|m| m.is_finite()) {
            return invalid("mean", format!("{mean:?}"), "a finite number for each channel");
        }
        if std.len() != mean.len() || !std.iter().all(|s| s.is_finite() && *s > 0.0) {
            return invalid("std", format!("{std:?}"), "as many positive numbers as `mean` has");
        }
        let fits = |[height, width]: [usize; 2]| {
            let pixels = height.checked_mul(width);
            height > 0 && width > 0 && pixels.is_some_and(|pixels| pixels <= MAX_PREPROCESSED_PIXELS)
        };
        for (option, size) in preprocess.sizes() {
            if !fits(size) {
                return invalid(
                    option,
                    format!("{size:?}"),
                    "[height, width], at least 1 and at most 2048x2048 pixels",
                );
            }
        }
        let table =
            |(&mean, &std): (&f32, &f32)| (0..=255u8).map(|p| (f32::from(p) / 255.0 - mean) / std).collect();
        Ok(Self {
            orientation: *orientation,
            background: alpha.background(),
            resize: *resize,
            interpolation: *interpolation,
            crop: *crop,
            odd_margin: *odd_margin,
            fill: mean.iter().map(|&mean| filled(*fill, mean)).collect(),
            tables: mean.iter().zip(std).map(table).collect(),
            statistics: mean.iter().copied().zip(std.iter().copied()).collect(),
        })
    }

    /// Number of channels of the result.
    pub fn channels(&self) -> usize {
        self.tables.len()
    }

    /// The image as the policies have it: upright or as it is stored, its transparency on a background or dropped, in
    /// the right channels.
    ///
    /// # Errors
    /// [`Error::ChannelsDiffer`], naming `file`.
    pub fn admit(&self, image: Image, file: &str) -> Result<Image, Error> {
        let image = match self.orientation {
            OrientationPolicy::Apply => image.upright(),
            OrientationPolicy::Ignore => image,
        };
        let image = match self.background {
            Some(colour) => image.over(colour),
            None => image.without_opacity(),
        };
        image.with_channels(self.channels(), file)
    }

    /// The image in the right channels, resized and cropped.
    ///
    /// # Errors
    /// Naming `file`: [`Error::ChannelsDiffer`]; [`Error::ImageTooLarge`] for a very long image whose shorter side is
    /// enlarged.
    pub fn fit(&self, image: Image, file: &str) -> Result<Image, Error> {
        let mut image = self.admit(image, file)?;
        if let Some(target) = self.resize {
            let size = target.target([image.height(), image.width()]);
            image = resize(image, size, self.interpolation, file)?;
        }
        Ok(match self.crop {
            Some(size) if size != [image.height(), image.width()] => {
                image.centre_crop(size, self.odd_margin, &self.fill)
            }
            _ => image,
        })
    }

    /// Appends the normalised pixels, channel by channel (CHW).
    pub fn normalise(&self, image: &Image, values: &mut Vec<f32>) {
        if let Some(deep) = image.values() {
            for (channel, &(mean, std)) in self.statistics.iter().enumerate() {
                let first = channel.min(image.channels() - 1);
                let read = deep[first..].iter().step_by(image.channels());
                values.extend(read.map(|&value| (value - mean) / std));
            }
            return;
        }
        for (channel, table) in self.tables.iter().enumerate() {
            // A grey image has one value for every channel.
            let first = channel.min(image.channels() - 1);
            let pixels = image.pixels()[first..].iter().step_by(image.channels());
            values.extend(pixels.map(|&p| table[usize::from(p)]));
        }
    }

    /// Everything: the values of one image and their shape `[channels, height, width]`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn apply(&self, image: Image, file: &str) -> Result<(Vec<f32>, [usize; 3]), Error> {
        let image = self.fit(image, file)?;
        let shape = [self.channels(), image.height(), image.width()];
        let mut values = Vec::with_capacity(shape.iter().product());
        self.normalise(&image, &mut values);
        Ok((values, shape))
    }
}

/// Pixel value of a fill in a channel of this mean, as timm rounds it.
fn filled(fill: Fill, mean: f32) -> u8 {
    match fill {
        Fill::Black => 0,
        Fill::Mean => (255.0 * f64::from(mean)).round_ties_even() as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: usize, height: usize) -> Image {
        let pixels = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
        Image::new(width, height, 3, pixels).unwrap()
    }

    #[test]
    fn values_are_those_of_the_formula_in_chw() {
        let image = gradient(3, 2);
        let preprocess = Preprocess::normalise_only();
        let (values, shape) = Preprocessor::new(&preprocess).unwrap().apply(image.clone(), "x").unwrap();
        assert_eq!(shape, [3, 2, 3]);
        for (i, &value) in values.iter().enumerate() {
            let (channel, pixel) = (i / 6, i % 6);
            let p = f32::from(image.pixels()[pixel * 3 + channel]);
            assert_eq!(value, (p / 255.0 - preprocess.mean[channel]) / preprocess.std[channel]);
        }
    }

    #[test]
    fn shorter_side_then_centre() {
        let preprocessor = Preprocessor::new(&Preprocess::imagenet(8, 6)).unwrap();
        let (_, shape) = preprocessor.apply(gradient(30, 20), "x").unwrap();
        assert_eq!(shape, [3, 6, 6]);
        let exact =
            Preprocess::normalise_only().with(|preprocess| preprocess.resize = Some(Resize::Exact([5, 9])));
        assert_eq!(Preprocessor::new(&exact).unwrap().apply(gradient(30, 20), "x").unwrap().1, [3, 5, 9]);
    }

    #[test]
    fn colours_follow_the_mean() {
        let grey = Preprocess::normalise_only()
            .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.0], vec![1.0]));
        let (values, shape) = Preprocessor::new(&grey).unwrap().apply(gradient(4, 4), "x").unwrap();
        assert_eq!((values.len(), shape), (16, [1, 4, 4]));
        let dot = Image::new(1, 1, 1, vec![51]).unwrap();
        let rgb = grey.with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.0; 3], vec![1.0; 3]));
        assert_eq!(Preprocessor::new(&rgb).unwrap().apply(dot, "x").unwrap().0, [0.2; 3]);
    }

    #[test]
    fn any_number_of_channels_is_normalised() {
        let image = Image::new(2, 1, 4, vec![0, 51, 102, 153, 255, 204, 51, 0]).unwrap();
        let four = Preprocess::normalise_only()
            .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.0; 4], vec![1.0; 4]));
        let (values, shape) = Preprocessor::new(&four).unwrap().apply(image.clone(), "x").unwrap();
        assert_eq!(shape, [4, 1, 2]);
        assert_eq!(values, [0.0, 1.0, 0.2, 0.8, 0.4, 0.2, 0.6, 0.0]);
        let three = four.with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.0; 3], vec![1.0; 3]));
        let error = Preprocessor::new(&three).unwrap().apply(image, "x").unwrap_err();
        assert!(matches!(error, Error::ChannelsDiffer { found: 4, expected: 3, .. }), "{error}");
    }

    #[test]
    fn impossible_values_are_refused() {
        let good = Preprocess::normalise_only();
        let bad = [
            good.clone().with(|preprocess| preprocess.mean = vec![0.5; 2]),
            good.clone().with(|preprocess| (preprocess.mean, preprocess.std) = (vec![], vec![])),
            good.clone().with(|preprocess| preprocess.mean = vec![f32::NAN; 3]),
            good.clone().with(|preprocess| preprocess.std = vec![0.5]),
            good.clone().with(|preprocess| preprocess.std = vec![0.5, 0.5, 0.0]),
            good.clone().with(|preprocess| preprocess.crop = Some([0, 4])),
            good.clone().with(|preprocess| preprocess.crop = Some([usize::MAX, 4])),
            good.clone().with(|preprocess| preprocess.resize = Some(Resize::ShorterSide(0))),
            good.clone().with(|preprocess| preprocess.resize = Some(Resize::Exact([1 << 20, 1 << 20]))),
            good.clone().with(|preprocess| preprocess.resize = Some(Resize::ShorterSide(8192))),
            good.clone().with(|preprocess| preprocess.resize = Some(Resize::ShorterSide(2049))),
            good.clone().with(|preprocess| preprocess.crop = Some([1, 1 << 23])),
        ];
        Preprocessor::new(&good.with(|preprocess| preprocess.resize = Some(Resize::ShorterSide(2048))))
            .unwrap();
        for preprocess in bad {
            let error = Preprocessor::new(&preprocess).unwrap_err();
            assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
        }
    }

    #[test]
    fn a_very_long_image_is_refused_by_name() {
        let long = Image::new(60_000, 1, 1, vec![0; 60_000]).unwrap();
        let error = Preprocessor::new(&Preprocess::imagenet(256, 224)).unwrap().apply(long, "a/b.png");
        assert!(error.unwrap_err().to_string().starts_with("a/b.png: 15360000x256"));
    }
}
