//! The two passes of a resize: along rows, and along columns. Each rounds to `u8`.
//!
//! Both weigh two taps at a time into sums in memory: loops of that form become vectors, those that carry sums from
//! tap to tap do not. 300x280 RGB pixels take, with AVX2, 153 us along rows to a width of 224, and 224x280 65 us along
//! columns to a height of 224; a pixel after the other, and a row of sums, took 357 and 173 (Xeon of 2.3 GHz, family 6,
//! model 207).

use residual_kernels::Vectorise;

use super::taps::{PRECISION, Taps};
use crate::vectors::vectorised;
use crate::{Error, Image};

const HALF: i32 = 1 << (PRECISION - 1);

#[inline(always)]
fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Weights two at a time; behind an odd number of them comes a zero.
#[inline(always)]
fn pairs(weights: &[i32]) -> impl Iterator<Item = [i32; 2]> {
    weights.chunks(2).map(|pair| [pair[0], pair.get(1).copied().unwrap_or(0)])
}

/// The image at the taps' width.
pub(super) fn along_rows(image: &Image, width: usize, taps: &Taps) -> Result<Image, Error> {
    let mut pixels = vec![0; image.height() * width * image.channels()];
    match image.channels() {
        1 => vectorised(Rows::<1> { image, taps, pixels: &mut pixels }),
        3 => vectorised(Rows::<3> { image, taps, pixels: &mut pixels }),
        4 => vectorised(Rows::<4> { image, taps, pixels: &mut pixels }),
        channels => pixels = rows_of_any(image, width, taps, channels),
    }
    Image::new(width, image.height(), image.channels(), pixels)
}

/// Pass along the rows of an image of `C` channels, up to four.
struct Rows<'a, const C: usize> {
    image: &'a Image,
    taps: &'a Taps,
    pixels: &'a mut [u8],
}

/// Rows that are summed together, four bytes of each: the channels of a pixel, and what fills them up.
const TOGETHER: usize = 16;
const LANES: usize = 4 * TOGETHER;

impl<const C: usize> Vectorise for Rows<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (width, stride) = (self.image.width(), self.pixels.len() / self.image.height());
        // Pixels of some rows beside each other; behind the last ones, one for a weight of zero.
        let mut columns = vec![0; (width + 1) * LANES];
        let (mut sums, mut bytes) = ([HALF; LANES], [0; LANES]);
        let sources = self.image.pixels().chunks(TOGETHER * width * C);
        for (source, target) in sources.zip(self.pixels.chunks_mut(TOGETHER * stride)) {
            for (place, row) in source.chunks_exact(width * C).enumerate() {
                let targets = columns[4 * place..].chunks_mut(LANES);
                for (target, pixel) in targets.zip(row.as_chunks::<C>().0) {
                    target[..C].copy_from_slice(pixel);
                }
            }
            for (x, (first, weights)) in self.taps.iter().enumerate() {
                sums.fill(HALF);
                let mut read = columns[first * LANES..].as_chunks().0;
                for weights in pairs(weights) {
                    let [a, b, rest @ ..] = read else { break };
                    weigh(&mut sums, [a, b], weights);
                    read = rest;
                }
                for (byte, &sum) in bytes.iter_mut().zip(&sums) {
                    *byte = rounded(sum);
                }
                for (row, pixel) in target.chunks_exact_mut(stride).zip(bytes.as_chunks::<4>().0) {
                    row[x * C..x * C + C].copy_from_slice(&pixel[..C]);
                }
            }
        }
    }
}

#[inline(always)]
fn weigh(sums: &mut [i32; LANES], [a, b]: [&[u8; LANES]; 2], [of_a, of_b]: [i32; 2]) {
    for i in 0..LANES {
        sums[i] += i32::from(a[i]) * of_a + i32::from(b[i]) * of_b;
    }
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
    let stride = image.width() * image.channels();
    let mut pixels = vec![0; height * stride];
    vectorised(Columns { source: image.pixels(), stride, taps, pixels: &mut pixels });
    Image::new(image.width(), height, image.channels(), pixels)
}

/// Pass along columns: rows are weighed and summed.
struct Columns<'a> {
    source: &'a [u8],
    stride: usize,
    taps: &'a Taps,
    pixels: &'a mut [u8],
}

impl Vectorise for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let stride = self.stride;
        let mut sums = vec![HALF; stride];
        for (target, (first, weights)) in self.pixels.chunks_exact_mut(stride).zip(self.taps.iter()) {
            sums.fill(HALF);
            let mut rows = self.source[first * stride..].chunks_exact(stride);
            for [of_a, of_b] in pairs(weights) {
                let Some(a) = rows.next() else { break };
                // Behind the last row there is only a weight of zero.
                let b = rows.next().unwrap_or(a);
                for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += i32::from(a) * of_a + i32::from(b) * of_b;
                }
            }
            for (target, &sum) in target.iter_mut().zip(&sums) {
                *target = rounded(sum);
            }
        }
    }
}
