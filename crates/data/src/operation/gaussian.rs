//! Gaussian blur, as torchvision computes it: a kernel of floats, the border reflected, rounded to 8 bits at the end.

use crate::Image;

/// The image blurred by a kernel of `size` taps, `[x, y]`, of these standard deviations.
pub(super) fn gaussian_blur(image: Image, size: [usize; 2], sigma: [f64; 2]) -> Image {
    let [along_rows, along_columns] = [0, 1].map(|axis| kernel(size[axis], sigma[axis]));
    let shape = [image.height(), image.width(), image.channels()];
    if let Some(values) = image.values() {
        let blurred = columns(&rows(values, shape, &along_rows), shape, &along_columns);
        return image.with_values(blurred);
    }
    let values: Vec<f32> = image.pixels().iter().map(|&level| f32::from(level)).collect();
    let blurred = columns(&rows(&values, shape, &along_rows), shape, &along_columns);
    let mut image = image;
    for (level, value) in image.pixels_mut().iter_mut().zip(blurred) {
        *level = value.round_ties_even() as u8;
    }
    image
}

/// Weights `exp(-x^2 / 2 sigma^2)` at whole distances from the middle, with a sum of 1.
fn kernel(size: usize, sigma: f64) -> Vec<f32> {
    let middle = (size - 1) as f64 / 2.0;
    let weights: Vec<f64> =
        (0..size).map(|tap| (-((tap as f64 - middle) / sigma).powi(2) / 2.0).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// Place of `at - before` among `size` pixels that are mirrored at the outermost ones.
fn reflected(at: usize, before: usize, size: usize) -> usize {
    if size == 1 {
        return 0;
    }
    let period = 2 * (size - 1);
    let place = (at + period * (before / period + 1) - before) % period;
    place.min(period - place)
}

fn rows(values: &[f32], [_, width, channels]: [usize; 3], kernel: &[f32]) -> Vec<f32> {
    let (row, before) = (width * channels, kernel.len() / 2);
    let mut padded = vec![0.0; (width + kernel.len() - 1) * channels];
    let mut blurred = vec![0.0; values.len()];
    for (source, target) in values.chunks_exact(row).zip(blurred.chunks_exact_mut(row)) {
        for (column, pixel) in padded.chunks_exact_mut(channels).enumerate() {
            let read = reflected(column, before, width) * channels;
            pixel.copy_from_slice(&source[read..read + channels]);
        }
        for (tap, &weight) in kernel.iter().enumerate() {
            add(target, &padded[tap * channels..], weight);
        }
    }
    blurred
}

fn columns(values: &[f32], [height, width, channels]: [usize; 3], kernel: &[f32]) -> Vec<f32> {
    let (row, before) = (width * channels, kernel.len() / 2);
    let mut blurred = vec![0.0; values.len()];
    for (line, target) in blurred.chunks_exact_mut(row).enumerate() {
        for (tap, &weight) in kernel.iter().enumerate() {
            add(target, &values[reflected(line + tap, before, height) * row..], weight);
        }
    }
    blurred
}

fn add(target: &mut [f32], source: &[f32], weight: f32) {
    target.iter_mut().zip(source).for_each(|(sum, &value)| *sum += value * weight);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_mirrored_as_often_as_needed() {
        let places: Vec<usize> = (0..9).map(|at| reflected(at, 3, 3)).collect();
        assert_eq!(places, [1, 2, 1, 0, 1, 2, 1, 0, 1]);
        assert_eq!(reflected(7, 3, 1), 0);
    }
}
