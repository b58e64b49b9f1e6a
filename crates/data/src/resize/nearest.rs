//! Resizing to the nearest pixel.

use crate::{Error, Image};

/// The image at `[height, width]`: target pixel x is source pixel floor((x + 1/2) source / target), the position
/// summed step by step as Pillow does.
pub(super) fn nearest(image: &Image, [height, width]: [usize; 2]) -> Result<Image, Error> {
    let channels = image.channels();
    let columns = positions(image.width(), width);
    let rows: Vec<&[u8]> = image.pixels().chunks_exact(image.width() * channels).collect();
    let mut pixels = Vec::with_capacity(height * width * channels);
    for row in positions(image.height(), height) {
        for &column in &columns {
            pixels.extend_from_slice(&rows[row][column * channels..][..channels]);
        }
    }
    Image::new(width, height, channels, pixels)
}

fn positions(source: usize, target: usize) -> Vec<usize> {
    let scale = source as f64 / target as f64;
    let positions = std::iter::successors(Some(scale * 0.5), |position| Some(position + scale));
    positions.take(target).map(|position| (position as usize).min(source - 1)).collect()
}
