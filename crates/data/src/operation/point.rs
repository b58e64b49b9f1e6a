//! Point operations: each level of a channel becomes another, by a table.

use crate::Image;

/// Table of the level that each becomes.
type Table = [u8; 256];

/// The image with every level replaced, in all channels alike.
pub(super) fn by_table(mut image: Image, table: impl Fn(u8) -> u8) -> Image {
    let table: Table = std::array::from_fn(|level| table(level as u8));
    image.pixels_mut().iter_mut().for_each(|pixel| *pixel = table[usize::from(*pixel)]);
    image
}

/// `bits` of each level, the highest ones.
pub(super) fn posterize(image: Image, bits: u8) -> Image {
    let mask = (0xff00_u32 >> bits.min(8)) as u8;
    by_table(image, |level| level & mask)
}

/// Levels from the threshold upwards inverted.
pub(super) fn solarize(image: Image, threshold: f64) -> Image {
    by_table(image, |level| if f64::from(level) < threshold { level } else { 255 - level })
}

pub(super) fn invert(image: Image) -> Image {
    by_table(image, |level| 255 - level)
}

/// The levels of each channel stretched to 0 to 255.
pub(super) fn autocontrast(image: Image) -> Image {
    by_channel(image, |counts| {
        let low = counts.iter().position(|&count| count > 0)?;
        let high = counts.iter().rposition(|&count| count > 0)?;
        if high <= low {
            return None;
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        Some(std::array::from_fn(|level| (level as f64 * scale + offset) as u8))
    })
}

/// Each channel with levels that are equally frequent, as far as that goes.
pub(super) fn equalize(image: Image) -> Image {
    by_channel(image, |counts| {
        let last = *counts.iter().rfind(|&&count| count > 0)?;
        let step = (counts.iter().sum::<usize>() - last) / 255;
        if step == 0 {
            return None;
        }
        let mut sum = step / 2;
        Some(std::array::from_fn(|level| {
            let value = (sum / step).min(255) as u8;
            sum += counts[level];
            value
        }))
    })
}

/// A table for each channel, of its histogram; `None` leaves it as it is.
fn by_channel(mut image: Image, table: impl Fn(&[usize; 256]) -> Option<Table>) -> Image {
    let channels = image.channels();
    let mut counts = vec![[0_usize; 256]; channels];
    for pixel in image.pixels().chunks_exact(channels) {
        for (counts, &level) in counts.iter_mut().zip(pixel) {
            counts[usize::from(level)] += 1;
        }
    }
    let same: Table = std::array::from_fn(|level| level as u8);
    let tables: Vec<Table> = counts.iter().map(|counts| table(counts).unwrap_or(same)).collect();
    for pixel in image.pixels_mut().chunks_exact_mut(channels) {
        for (level, table) in pixel.iter_mut().zip(&tables) {
            *level = table[usize::from(*level)];
        }
    }
    image
}
