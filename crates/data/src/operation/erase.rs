//! Erasure of a rectangle.

use crate::Image;

/// Values that take the place of those of a rectangle.
#[derive(Clone, Debug, PartialEq)]
pub enum Erasure {
    /// One value a channel, on the scale 0 to 255.
    Colour(Vec<f32>),
    /// Every value, `[height, width, channels]`, on the scale 0 to 255.
    Values(Vec<f32>),
}

/// The image without the rectangle of `size = [height, width]` at `corner = [top, left]`, as far as it is in the image.
pub(super) fn erase(mut image: Image, corner: [usize; 2], size: [usize; 2], erasure: &Erasure) -> Image {
    let channels = image.channels();
    let (bottom, width) = (image.height(), image.width());
    let rows = corner[0].min(bottom)..corner[0].saturating_add(size[0]).min(bottom);
    let columns = corner[1].min(width)..corner[1].saturating_add(size[1]).min(width);
    let value = |row: usize, column: usize, channel: usize| match erasure {
        Erasure::Colour(colour) => colour.get(channel.min(colour.len().saturating_sub(1))).copied(),
        Erasure::Values(values) => {
            let at = ((row - corner[0]) * size[1] + column - corner[1]) * channels + channel;
            values.get(at).copied()
        }
    };
    let each = |put: &mut dyn FnMut(usize, f32)| {
        for row in rows.clone() {
            for column in columns.clone() {
                for channel in 0..channels {
                    let value = value(row, column, channel).unwrap_or(0.0);
                    put((row * width + column) * channels + channel, value);
                }
            }
        }
    };
    if image.values().is_some() {
        return image.with_each_value(|values| each(&mut |at, value| values[at] = value / 255.0));
    }
    let pixels = image.pixels_mut();
    each(&mut |at, value| pixels[at] = value.round_ties_even() as u8);
    image
}
