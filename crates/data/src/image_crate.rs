//! Images of the crate `image`.

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use crate::{Error, Image};

/// Side of an image in pixels, as this crate counts them.
fn sizes((width, height): (u32, u32)) -> [usize; 2] {
    [width as usize, height as usize]
}

/// Grey image, pixel by pixel.
///
/// # Errors
/// [`Error::NoPixels`] for an empty image.
impl TryFrom<GrayImage> for Image {
    type Error = Error;

    fn try_from(image: GrayImage) -> Result<Self, Error> {
        let [width, height] = sizes(image.dimensions());
        Self::new(width, height, 1, image.into_raw())
    }
}

/// RGB image, pixel by pixel.
///
/// # Errors
/// [`Error::NoPixels`] for an empty image.
///
/// ```
/// let photo = image::RgbImage::from_pixel(40, 30, image::Rgb([200, 100, 50]));
/// let image = residual_data::Image::try_from(photo)?;
/// assert_eq!((image.width(), image.height(), image.channels()), (40, 30, 3));
/// # Ok::<(), residual_data::Error>(())
/// ```
impl TryFrom<RgbImage> for Image {
    type Error = Error;

    fn try_from(image: RgbImage) -> Result<Self, Error> {
        let [width, height] = sizes(image.dimensions());
        Self::new(width, height, 3, image.into_raw())
    }
}

/// RGB image of an RGBA one, with its opacity ([`Image::opacity`]); for a network that takes four channels, give
/// [`Image::new`] the bytes.
///
/// # Errors
/// [`Error::NoPixels`] for an empty image.
impl TryFrom<RgbaImage> for Image {
    type Error = Error;

    fn try_from(image: RgbaImage) -> Result<Self, Error> {
        let [width, height] = sizes(image.dimensions());
        let rgb = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        let opacity = image.pixels().map(|pixel| u16::from(pixel[3]) * 257).collect();
        Ok(Self::new(width, height, 3, rgb)?.with_opacity(opacity))
    }
}

/// Image as [`decode`](crate::decode()) would give it: grey stays grey, everything else becomes RGB; opacity and more
/// than 8 bits are kept.
///
/// # Errors
/// [`Error::NoPixels`] for an empty image; [`Error::NotFinite`] for floats that are no numbers.
impl TryFrom<DynamicImage> for Image {
    type Error = Error;

    fn try_from(image: DynamicImage) -> Result<Self, Error> {
        let [width, height] = sizes((image.width(), image.height()));
        match image {
            DynamicImage::ImageLuma8(grey) => grey.try_into(),
            DynamicImage::ImageRgb8(rgb) => rgb.try_into(),
            DynamicImage::ImageRgba8(rgba) => rgba.try_into(),
            DynamicImage::ImageLumaA8(grey) => {
                let opacity = grey.pixels().map(|pixel| u16::from(pixel[1]) * 257).collect();
                let pixels = grey.pixels().map(|pixel| pixel[0]).collect();
                Ok(Self::new(width, height, 1, pixels)?.with_opacity(opacity))
            }
            DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
                let grey = image.into_luma_alpha16();
                let opacity = grey.pixels().map(|pixel| pixel[1]).collect();
                let values = grey.pixels().map(|pixel| f32::from(pixel[0]) / 65535.0).collect();
                Ok(Self::deep(width, height, 1, values)?.with_opacity(opacity))
            }
            DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
                let rgba = image.into_rgba16();
                let opacity = rgba.pixels().map(|pixel| pixel[3]).collect();
                let colours = rgba.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]);
                let values = colours.map(|value| f32::from(value) / 65535.0).collect();
                Ok(Self::deep(width, height, 3, values)?.with_opacity(opacity))
            }
            other => Self::deep(width, height, 3, other.into_rgb32f().into_raw()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

    use super::*;
    use crate::decode;

    /// Images of the crate `image` are what this crate decodes of the PNG files that it writes of them.
    #[test]
    fn a_converted_image_is_the_decoded_one() {
        let ramp = |x: u32, y: u32| (x * 37 + y * 91 + 5) as u8;
        let deep = |x: u32, y: u32| (x * 9001 + y * 12_345 + 77) as u16;
        let images: [DynamicImage; 8] = [
            ImageBuffer::from_fn(5, 3, |x, y| Luma([ramp(x, y)])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| LumaA([ramp(x, y), 9])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| Rgb([ramp(x, y), ramp(y, x), 7])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| Rgba([ramp(x, y), 0, 255, ramp(y, x)])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| Luma([deep(x, y)])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| Rgb([deep(x, y), deep(y, x), 70])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| Rgba([deep(x, y), deep(y, x), 70, deep(y, y)])).into(),
            ImageBuffer::from_fn(5, 3, |x, y| LumaA([deep(x, y), deep(y, x)])).into(),
        ];
        for image in images {
            let mut bytes = Vec::new();
            image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
            let kind = image.color();
            assert_eq!(Image::try_from(image).unwrap(), decode(&bytes, "x.png").unwrap(), "{kind:?}");
        }
    }

    #[test]
    fn transparency_is_dropped_and_an_empty_image_refused() {
        let rgba = RgbaImage::from_pixel(1, 2, Rgba([1, 2, 3, 0]));
        assert_eq!(Image::try_from(rgba).unwrap().pixels(), [1, 2, 3, 1, 2, 3]);
        let error = Image::try_from(RgbImage::new(0, 3)).unwrap_err();
        assert!(matches!(error, Error::NoPixels { width: 0, height: 3, channels: 3 }), "{error}");
    }
}
