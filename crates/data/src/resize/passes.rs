//! The two passes of a resize: along rows, and along columns. Each rounds to `u8`.

use super::taps::{PRECISION, Taps};
use crate::{Error, Image};

const HALF: i32 = 1 << (PRECISION - 1);

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The image at the taps' width.
pub(super) fn along_rows(image: &Image, width: usize, taps: &Taps) -> Result<Image, Error> {
    let pixels = match image.channels() {
        1 => rows::<1>(image, width, taps),
        3 => rows::<3>(image, width, taps),
        4 => rows::<4>(image, width, taps),
        channels => rows_of_any(image, width, taps, channels),
    };
    Image::new(width, image.height(), image.channels(), pixels)
}

fn rows<const C: usize>(image: &Image, width: usize, taps: &Taps) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(image.height() * width * C);
    for row in image.pixels().chunks_exact(image.width() * C) {
        let (row, _) = row.as_chunks::<C>();
        for (first, weights) in taps.iter() {
            let mut sums = [HALF; C];
            for (pixel, &weight) in row[first..].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            pixels.extend(sums.map(rounded));
        }
    }
    pixels
}

fn rows_of_any(image: &Image, width: usize, taps: &Taps, channels: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(image.height() * width * channels);
    for row in image.pixels().chunks_exact(image.width() * channels) {
        for (first, weights) in taps.iter() {
            for channel in 0..channels {
                let source = row[first * channels + channel..].iter().step_by(channels);
                let sum =
                    source.zip(weights).fold(HALF, |sum, (&value, &weight)| sum + i32::from(value) * weight);
                pixels.push(rounded(sum));
            }
        }
    }
    pixels
}

/// The image at the taps' height.
pub(super) fn along_columns(image: &Image, height: usize, taps: &Taps) -> Result<Image, Error> {
    let row = image.width() * image.channels();
    let mut pixels = Vec::with_capacity(height * row);
    let mut sums = vec![HALF; row];
    for (first, weights) in taps.iter() {
        sums.fill(HALF);
        for (source, &weight) in image.pixels()[first * row..].chunks_exact(row).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(source) {
                *sum += i32::from(value) * weight;
            }
        }
        pixels.extend(sums.iter().map(|&sum| rounded(sum)));
    }
    Image::new(image.width(), height, image.channels(), pixels)
}
