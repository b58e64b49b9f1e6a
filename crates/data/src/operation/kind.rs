//! The operations.

use residual_arch::Interpolation;

use super::affine::{Affine, Sampling, rotation};
use super::erase::{Erasure, erase};
use super::mixture::{Chain, mixture};
use super::warp::Warp;
use super::{blend, box_blur, gaussian, hue, point, sharpness};
use crate::image::Remap;
use crate::resize::resize;
use crate::{Error, Image};

/// Operation on the pixels of an image, with fixed parameters: a pure function. Named as in
/// `torchvision.transforms.v2.functional`, with the bits of its results on PIL images.
///
/// Geometry, blur, brightness, contrast and erasure work on any number of channels and on images of more than 8 bits;
/// saturation, hue and grey change images of three channels alone; what is made of tables of levels is for 8 bits.
///
/// ```
/// use residual_data::{Image, Operation};
/// let image = Image::new(2, 1, 1, vec![10, 200])?;
/// assert_eq!(Operation::Invert.apply(image, "x.png")?.pixels(), [245, 55]);
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Left and right exchanged.
    HorizontalFlip,
    /// Top and bottom exchanged.
    VerticalFlip,
    /// Part of the image, resized.
    ResizedCrop {
        /// `[top, left]` of the part; beyond the image it is black.
        corner: [isize; 2],
        /// `[height, width]` of the part.
        part: [usize; 2],
        /// `[height, width]` of the result.
        size: [usize; 2],
        /// Filter of the resize.
        interpolation: Interpolation,
    },
    /// Part of the image.
    Crop {
        /// `[top, left]` of the part; beyond the image it is black.
        corner: [isize; 2],
        /// `[height, width]` of the part.
        size: [usize; 2],
    },
    /// Affine transformation at the image's own size.
    Affine(Affine, Sampling),
    /// Rotation about the centre, in degrees, counter-clockwise.
    Rotate(f64, Sampling),
    /// Blend with black: 0 is black, 1 the image.
    Brightness(f64),
    /// Blend with the mean grey.
    Contrast(f64),
    /// Blend with the image in grey.
    Saturation(f64),
    /// Shift of the hue, from -0.5 to 0.5 of the circle.
    Hue(f64),
    /// Blend with the smoothed image: 0 is smooth, 1 the image, more is sharper.
    Sharpness(f64),
    /// Number of bits that are kept of each level, 0 to 8.
    Posterize(u8),
    /// Inversion of the levels from the threshold upwards.
    Solarize(f64),
    /// Stretch of each channel's levels to 0 to 255.
    Autocontrast,
    /// Equalisation of each channel's histogram.
    Equalize,
    /// Inversion of all levels.
    Invert,
    /// Grey in all three channels.
    Grayscale,
    /// Gaussian blur of torchvision.
    GaussianBlur {
        /// Taps of the kernel, `[x, y]`, odd numbers.
        kernel_size: [usize; 2],
        /// Standard deviation in pixels, `[x, y]`.
        sigma: [f64; 2],
    },
    /// Gaussian blur of Pillow, by box blurs; the standard deviation in pixels.
    PillowBlur(f64),
    /// Erasure of a rectangle.
    Erase {
        /// `[top, left]`
        corner: [usize; 2],
        /// `[height, width]`
        size: [usize; 2],
        /// Values that take its place.
        erasure: Erasure,
    },
    /// Weighted sum of the image and of results of chains of operations on it (Hendrycks et al. 2019, AugMix).
    Mixture {
        /// Weight of the image itself.
        own: f32,
        /// Chains and their weights.
        chains: Vec<Chain>,
    },
}

impl Operation {
    /// Applies the operation; `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::MoreThan8Bits`] for a table of levels on an image of more than 8 bits; [`Error::NoPixels`] and
    /// [`Error::ImageTooLarge`] for a size that cannot be.
    pub fn apply(&self, mut image: Image, file: &str) -> Result<Image, Error> {
        if let (Some(name), true) = (self.needs_8_bits(), image.values().is_some()) {
            return Err(Error::MoreThan8Bits { file: file.to_owned(), operation: name });
        }
        let size = [image.height(), image.width()];
        Ok(match self {
            Self::HorizontalFlip => {
                image.flip_horizontally();
                image
            }
            Self::VerticalFlip => image.remapped(size, &Turn { size, turn: Turned::UpsideDown }, &[]),
            Self::ResizedCrop { corner, part, size, interpolation } => {
                return resize(image.window_of_whole(*corner, *part), *size, *interpolation, file);
            }
            Self::Crop { corner, size } => image.window(*corner, *size),
            Self::Affine(affine, sampling) => warped(&image, affine.inverse(size), sampling),
            Self::Rotate(degrees, sampling) => rotate(image, *degrees, sampling),
            Self::Brightness(factor) => blend::brightness(image, *factor),
            Self::Contrast(factor) => blend::contrast(image, *factor),
            Self::Saturation(factor) => blend::saturation(image, *factor),
            Self::Hue(factor) => hue::hue(image, *factor),
            Self::Sharpness(factor) => sharpness::sharpness(image, *factor),
            Self::Posterize(bits) => point::posterize(image, *bits),
            Self::Solarize(threshold) => point::solarize(image, *threshold),
            Self::Autocontrast => point::autocontrast(image),
            Self::Equalize => point::equalize(image),
            Self::Invert => point::invert(image),
            Self::Grayscale => blend::grayscale(image),
            Self::GaussianBlur { kernel_size, sigma } => {
                gaussian::gaussian_blur(image, kernel_size.map(|taps| taps | 1), *sigma)
            }
            Self::PillowBlur(radius) => box_blur::pillow_blur(image, *radius),
            Self::Erase { corner, size, erasure } => erase(image, *corner, *size, erasure),
            Self::Mixture { own, chains } => return mixture(image, *own, chains, file),
        })
    }

    /// `[height, width]` of the result for an image of `[height, width]`.
    pub(crate) fn result_size(&self, size: [usize; 2]) -> [usize; 2] {
        match self {
            Self::ResizedCrop { size, .. } | Self::Crop { size, .. } => *size,
            _ => size,
        }
    }

    /// Name of an operation that is defined on 8 bits alone.
    fn needs_8_bits(&self) -> Option<&'static str> {
        match self {
            Self::Hue(_) => Some("hue"),
            Self::Sharpness(_) => Some("sharpness"),
            Self::Posterize(_) => Some("posterize"),
            Self::Solarize(_) => Some("solarize"),
            Self::Autocontrast => Some("autocontrast"),
            Self::Equalize => Some("equalize"),
            Self::Invert => Some("invert"),
            Self::PillowBlur(_) => Some("Pillow's blur"),
            Self::Mixture { .. } => Some("mixture"),
            _ => None,
        }
    }
}

fn warped(image: &Image, matrix: [f64; 6], sampling: &Sampling) -> Image {
    let size = [image.height(), image.width()];
    let bilinear = sampling.interpolation != Interpolation::Nearest;
    image.remapped(size, &Warp { matrix, size, bilinear }, &sampling.fill)
}

/// Right angles move pixels, as Pillow has it: half a turn, and a quarter of one of a square.
fn rotate(image: Image, degrees: f64, sampling: &Sampling) -> Image {
    let size = [image.height(), image.width()];
    let degrees = degrees.rem_euclid(360.0);
    let turn = match degrees {
        0.0 => return image,
        180.0 => Turned::Half,
        90.0 if size[0] == size[1] => Turned::Left,
        270.0 if size[0] == size[1] => Turned::Right,
        _ => return warped(&image, rotation(degrees, size), sampling),
    };
    image.remapped(size, &Turn { size, turn }, &[])
}

/// Turn or flip of an image that keeps its size.
struct Turn {
    size: [usize; 2],
    turn: Turned,
}

enum Turned {
    UpsideDown,
    Half,
    /// Counter-clockwise, of a square.
    Left,
    Right,
}

impl Remap for Turn {
    fn remap<T: crate::image::Level>(&self, source: &[T], fill: &[T]) -> Vec<T> {
        let ([height, width], channels) = (self.size, fill.len());
        let mut turned = Vec::with_capacity(source.len());
        for y in 0..height {
            for x in 0..width {
                let [row, column] = match self.turn {
                    Turned::UpsideDown => [height - 1 - y, x],
                    Turned::Half => [height - 1 - y, width - 1 - x],
                    Turned::Left => [x, width - 1 - y],
                    Turned::Right => [height - 1 - x, y],
                };
                let at = (row * width + column) * channels;
                turned.extend_from_slice(&source[at..at + channels]);
            }
        }
        turned
    }
}
