//! [`Preprocess`] applied: what every image goes through, in training, evaluation and prediction.

use residual_arch::{
    Fill, Interpolation, MAX_PREPROCESSED_PIXELS, OddMargin, OrientationPolicy, Preprocess, Resize,
};

use crate::image::centred;
use crate::resize::{Target, resize, resize_part};
use crate::{Error, Image, MAX_PIXELS, Orientation, Part};

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
    tables: Vec<[f32; 256]>,
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
        let table = |(&mean, &std): (&f32, &f32)| std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std);
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

    /// True where an image that records this orientation is turned.
    pub(crate) fn turns(&self, orientation: Orientation) -> bool {
        self.orientation == OrientationPolicy::Apply && orientation != Orientation::default()
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
        let image = self.admit(image, file)?;
        let whole = image.whole_size();
        if let Some(target) = self.target(whole) {
            return resize_part(image, target, file);
        }
        let image = resize(image, self.resized(whole), self.interpolation, file)?;
        Ok(match self.crop {
            Some(size) => image.centre_crop(size, self.odd_margin, &self.fill),
            None => image,
        })
    }

    /// Part of an image of `[height, width]` that [`fit`](Self::fit) looks at, where it is known.
    pub(crate) fn part(&self, whole: [usize; 2]) -> Option<Part> {
        self.target(whole)?.source(whole)
    }

    /// `[height, width]` of an image behind the resize.
    fn resized(&self, whole: [usize; 2]) -> [usize; 2] {
        self.resize.map_or(whole, |resize| resize.target(whole))
    }

    /// Resize and crop of an image of `[height, width]`; `None` where the crop adds pixels, or the resize too many.
    fn target(&self, whole: [usize; 2]) -> Option<Target> {
        let size = self.resized(whole);
        size[0].checked_mul(size[1]).filter(|&pixels| pixels <= MAX_PIXELS)?;
        let crop = self.crop.unwrap_or(size);
        let corner = [0, 1].map(|side| centred(size[side], crop[side], self.odd_margin));
        let part = Part { corner: corner.map(isize::unsigned_abs), size: crop };
        let interpolation = self.interpolation;
        part.is_in(size).then_some(Target { size, part, interpolation })
    }

    /// The image as far as nothing is random: [fitted](Self::fit), or only [admitted](Self::admit) where a random crop
    /// `sets_size`.
    pub(crate) fn prepare(&self, image: Image, sets_size: bool, file: &str) -> Result<Image, Error> {
        if sets_size { self.admit(image, file) } else { self.fit(image, file) }
    }

    /// Appends the normalised pixels, channel by channel (CHW).
    pub fn normalise(&self, image: &Image, values: &mut Vec<f32>) {
        let begin = values.len();
        values.resize(begin + self.channels() * image.height() * image.width(), 0.0);
        self.normalise_into(image, &mut values[begin..]);
    }

    /// Writes the normalised pixels, channel by channel (CHW), over as many values.
    pub(crate) fn normalise_into(&self, image: &Image, values: &mut [f32]) {
        let planes = values.chunks_exact_mut(image.height() * image.width());
        if let Some(deep) = image.values() {
            for ((channel, &(mean, std)), plane) in self.statistics.iter().enumerate().zip(planes) {
                let first = channel.min(image.channels() - 1);
                let read = deep[first..].iter().step_by(image.channels());
                plane.iter_mut().zip(read).for_each(|(value, &read)| *value = (read - mean) / std);
            }
            return;
        }
        if let ([red, green, blue], 3) = (&self.tables[..], image.channels()) {
            return rgb([red, green, blue], image.pixels().as_chunks().0, values);
        }
        for ((channel, table), plane) in self.tables.iter().enumerate().zip(planes) {
            // A grey image has one value for every channel.
            let first = channel.min(image.channels() - 1);
            let pixels = image.pixels()[first..].iter().step_by(image.channels());
            plane.iter_mut().zip(pixels).for_each(|(value, &p)| *value = table[usize::from(p)]);
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

/// Writes the values of RGB pixels, by the table of each channel.
fn rgb(tables: [&[f32; 256]; 3], pixels: &[[u8; 3]], values: &mut [f32]) {
    let (red, rest) = values.split_at_mut(pixels.len());
    let (green, blue) = rest.split_at_mut(pixels.len());
    for (((pixel, red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
        let [r, g, b] = pixel.map(usize::from);
        (*red, *green, *blue) = (tables[0][r], tables[1][g], tables[2][b]);
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
