//! Resizing to the nearest pixel.

use crate::{Error, Image};

/// The image at `[height, width]`: target pixel x is source pixel floor((x + 1/2) source / target), the position
/// summed step by step as Pillow does.
pub(super) fn nearest(image: &Image, [height, width]: [usize; 2]) -> Result<Image, Error> {
    let columns = positions(image.width(), width);
    let rows = positions(image.height(), height);
    let places: Vec<usize> =
        rows.iter().flat_map(|row| columns.iter().map(move |column| row * image.width() + column)).collect();
    let channels = image.channels();
    match image.values() {
        Some(values) => Image::deep(width, height, channels, picked(values, &places, channels)),
        None => Image::new(width, height, channels, picked(image.pixels(), &places, channels)),
    }
}

fn picked<T: Copy>(samples: &[T], places: &[usize], channels: usize) -> Vec<T> {
    places.iter().flat_map(|&place| &samples[place * channels..][..channels]).copied().collect()
}

fn positions(source: usize, target: usize) -> Vec<usize> {
    let scale = source as f64 / target as f64;
    let positions = std::iter::successors(Some(scale * 0.5), |position| Some(position + scale));
    positions.take(target).map(|position| (position as usize).min(source - 1)).collect()
}
