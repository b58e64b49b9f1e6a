//! Sharpness: a blend with the smoothed image, as Pillow's `ImageEnhance.Sharpness`.

use super::blend::blended;
use crate::Image;

/// Blend with the image smoothed by `[[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13`, whose border stays as it is.
pub(super) fn sharpness(mut image: Image, factor: f64) -> Image {
    let [height, width, channels] = [image.height(), image.width(), image.channels()];
    if height < 3 || width < 3 {
        return image;
    }
    let (row, factor) = (width * channels, factor as f32);
    let source = image.pixels().to_vec();
    let mut columns = vec![0_u16; row];
    for (y, target) in image.pixels_mut().chunks_exact_mut(row).enumerate().take(height - 1).skip(1) {
        let [above, here, below] = [y - 1, y, y + 1].map(|y| &source[y * row..(y + 1) * row]);
        for (sum, ((&above, &here), &below)) in columns.iter_mut().zip(above.iter().zip(here).zip(below)) {
            *sum = u16::from(above) + u16::from(here) + u16::from(below);
        }
        let neighbours = columns.iter().zip(&columns[channels..]).zip(&columns[2 * channels..]);
        let inner = target[channels..].iter_mut().zip(&here[channels..]);
        for ((level, &own), ((&left, &middle), &right)) in inner.zip(neighbours) {
            // Sums of 13ths are never half-way between two levels.
            let sum = left + middle + right + 4 * u16::from(own);
            *level = blended(((2 * sum + 13) / 26) as u8, own, factor);
        }
    }
    image
}
