//! Blends of an image with another one, as Pillow's `ImageEnhance` changes brightness, contrast and saturation:
//! `degenerate + factor * (image - degenerate)`.

use super::point::by_table;
use crate::Image;

/// `from + factor * (to - from)`, cut to a level.
#[inline(always)]
pub(super) fn blended(from: u8, to: u8, factor: f32) -> u8 {
    (f32::from(from) + factor * f32::from(i16::from(to) - i16::from(from))) as u8
}

/// Blend with black.
pub(super) fn brightness(image: Image, factor: f64) -> Image {
    blend_with_level(image, 0, 0.0, factor)
}

/// Blend with the mean of the image in grey; with more than three channels, or two, with the mean of all values.
pub(super) fn contrast(image: Image, factor: f64) -> Image {
    if let Some(values) = image.values() {
        let mean = match image.channels() {
            3 => mean(values.as_chunks::<3>().0, |&[r, g, b]| f64::from(0.299 * r + 0.587 * g + 0.114 * b)),
            _ => mean(values, |&value| f64::from(value)),
        };
        return blend_with_level(image, 0, mean as f32, factor);
    }
    let mean = match image.channels() {
        3 => mean(image.pixels().as_chunks::<3>().0, |&pixel| f64::from(luma(pixel))),
        _ => mean(image.pixels(), |&level| f64::from(level)),
    };
    blend_with_level(image, (mean + 0.5) as u8, 0.0, factor)
}

/// Blend with the image in grey; an image of other than three channels has no colours, and stays as it is.
pub(super) fn saturation(mut image: Image, factor: f64) -> Image {
    if image.channels() != 3 {
        return image;
    }
    let factor = factor as f32;
    if image.values().is_some() {
        return image.with_each_value(|values| {
            for pixel in values.as_chunks_mut::<3>().0 {
                let [r, g, b] = *pixel;
                let grey = 0.299 * r + 0.587 * g + 0.114 * b;
                *pixel = pixel.map(|value| grey + factor * (value - grey));
            }
        });
    }
    for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
        let grey = luma(*pixel);
        *pixel = pixel.map(|level| blended(grey, level, factor));
    }
    image
}

/// Red, green and blue all at the luma.
pub(super) fn grayscale(mut image: Image) -> Image {
    if image.channels() != 3 {
        return image;
    }
    if image.values().is_some() {
        return saturation(image, 0.0);
    }
    for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
        *pixel = [luma(*pixel); 3];
    }
    image
}

/// Luma of ITU-R 601 in fixed point, as Pillow computes it.
#[inline(always)]
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16) as u8
}

/// Blend with one level: `level` of 8 bits, `value` of more.
fn blend_with_level(image: Image, level: u8, value: f32, factor: f64) -> Image {
    let factor = factor as f32;
    if image.values().is_some() {
        return image.with_each_value(|values| {
            values.iter_mut().for_each(|each| *each = value + factor * (*each - value));
        });
    }
    by_table(image, |from| blended(level, from, factor))
}

fn mean<T>(items: &[T], level: impl Fn(&T) -> f64) -> f64 {
    items.iter().map(level).sum::<f64>() / items.len() as f64
}
