//! Pillow's `ImageFilter.GaussianBlur`: three box blurs of a fractional radius along rows, then three along columns
//! (Gwosdek et al. 2011), in fixed point of 24 bits.

use crate::Image;

const PASSES: usize = 3;

/// Limit on the radius: a wider blur is flat.
const WIDEST: f64 = 10_000.0;

/// The image blurred by a Gaussian of standard deviation `radius`, in pixels.
pub(super) fn pillow_blur(mut image: Image, radius: f64) -> Image {
    let width = BoxWidth::new(box_radius(radius.abs().min(WIDEST) as f32));
    let shape = [image.height(), image.width(), image.channels()];
    if radius == 0.0 {
        return image;
    }
    let turned = [shape[1], shape[0], shape[2]];
    let mut pixels = transposed(image.pixels(), shape);
    (0..PASSES).for_each(|_| pixels = width.blur_columns(&pixels, turned));
    let mut pixels = transposed(&pixels, turned);
    (0..PASSES).for_each(|_| pixels = width.blur_columns(&pixels, shape));
    image.pixels_mut().copy_from_slice(&pixels);
    image
}

/// Radius of the box whose third power has the variance of the Gaussian.
fn box_radius(radius: f32) -> f32 {
    let variance = radius * radius / PASSES as f32;
    let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
    let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
    let mut part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
    part /= 6.0 * (variance - (whole + 1.0) * (whole + 1.0));
    whole + part
}

/// Box of whole pixels and a fraction of one at both ends.
struct BoxWidth {
    radius: usize,
    /// Weight of a whole pixel, of 2^24.
    whole: u32,
    /// Weight of the pixels at the ends.
    part: u32,
}

impl BoxWidth {
    fn new(radius: f32) -> Self {
        let whole = ((1 << 24) as f32 / (radius * 2.0 + 1.0)) as u32;
        let pixels = radius as usize;
        Self { radius: pixels, whole, part: ((1 << 24) - (pixels as u32 * 2 + 1) * whole) / 2 }
    }

    /// Moving sums of all columns at once; beyond the border its pixels go on.
    fn blur_columns(&self, source: &[u8], [height, width, channels]: [usize; 3]) -> Vec<u8> {
        let row = width * channels;
        let line = |at: isize| {
            let at = at.clamp(0, height as isize - 1) as usize;
            &source[at * row..(at + 1) * row]
        };
        let radius = self.radius as isize;
        let mut sums = vec![0_u32; row];
        for at in -radius - 1..radius {
            sums.iter_mut().zip(line(at)).for_each(|(sum, &level)| *sum += u32::from(level));
        }
        let mut blurred = vec![0; source.len()];
        for (y, target) in blurred.chunks_exact_mut(row).enumerate() {
            let y = y as isize;
            let [left, last, right] = [y - radius - 1, y + radius, y + radius + 1].map(line);
            let ends = left.iter().zip(last).zip(right);
            for ((level, sum), ((&left, &last), &right)) in target.iter_mut().zip(&mut sums).zip(ends) {
                *sum = sum.wrapping_add(u32::from(last)).wrapping_sub(u32::from(left));
                let bulk = *sum * self.whole + (u32::from(left) + u32::from(right)) * self.part;
                *level = (bulk.wrapping_add(1 << 23) >> 24) as u8;
            }
        }
        blurred
    }
}

/// Rows and columns exchanged.
fn transposed(pixels: &[u8], [height, width, channels]: [usize; 3]) -> Vec<u8> {
    let mut turned = Vec::with_capacity(pixels.len());
    for x in 0..width {
        for y in 0..height {
            let at = (y * width + x) * channels;
            turned.extend_from_slice(&pixels[at..at + channels]);
        }
    }
    turned
}
