//! `--explain`: where in an image its class is seen.

use residual::data::Image;

use super::overlays::MARK;
use crate::cli::failure::Outcome;

/// Small images are enlarged by whole steps until their shorter side has this many pixels.
const VISIBLE: usize = 224;

/// How much of the colour of the strongest place is the map's.
const STRONGEST: f32 = 0.6;

/// The overlay of a class activation map, `[height, width]` of the last stage, as the bytes of a PNG file.
pub(super) fn drawn(image: &Image, map: &[f32], size: [usize; 2]) -> Outcome<Vec<u8>> {
    encode(&overlay(&image.clone().with_channels(1, "the image")?, map, size))
}

/// An RGB image.
struct Overlay {
    /// `[height, width]`
    size: [usize; 2],
    pixels: Vec<[u8; 3]>,
}

/// The grey image under the map's positive part in colour, from blue to red.
fn overlay(grey: &Image, map: &[f32], size: [usize; 2]) -> Overlay {
    let (width, height) = (grey.width(), grey.height());
    let times = VISIBLE.div_ceil(width.min(height)).max(1);
    let greatest = map.iter().fold(f32::MIN_POSITIVE, |max, &value| max.max(value));
    let pixel = |y: usize, x: usize| {
        let place = [(y, height * times), (x, width * times)].map(|(at, of)| (at as f32 + 0.5) / of as f32);
        let heat = (between(map, size, place) / greatest).clamp(0.0, 1.0);
        let value = f32::from(grey.pixels()[y / times * width + x / times]);
        let share = STRONGEST * heat;
        colour(heat).map(|colour| (value * (1.0 - share) + 255.0 * colour * share) as u8)
    };
    let size = [height * times, width * times];
    Overlay {
        size,
        pixels: (0..size[0])
            .flat_map(|y| (0..size[1]).map(move |x| (y, x)))
            .map(|(y, x)| pixel(y, x))
            .collect(),
    }
}

/// The bytes of a PNG file.
fn encode(overlay: &Overlay) -> Outcome<Vec<u8>> {
    let [height, width] = overlay.size.map(|side| side as u32);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_text_chunk(MARK.0.to_owned(), MARK.1.to_owned())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(overlay.pixels.as_flattened())?;
    writer.finish()?;
    Ok(bytes)
}

/// The map at `place`, each coordinate from 0 to 1, between the centres of its elements.
fn between(map: &[f32], [height, width]: [usize; 2], [y, x]: [f32; 2]) -> f32 {
    let neighbours = |at: f32, of: usize| {
        let at = (at * of as f32 - 0.5).clamp(0.0, (of - 1) as f32);
        (at as usize, (at as usize + 1).min(of - 1), at.fract())
    };
    let ((top, bottom, down), (left, right, along)) = (neighbours(y, height), neighbours(x, width));
    let row = |row: usize| map[row * width + left] * (1.0 - along) + map[row * width + right] * along;
    row(top) * (1.0 - down) + row(bottom) * down
}

/// Blue, green, yellow, red.
fn colour(heat: f32) -> [f32; 3] {
    let peak = |centre: f32| (1.5 - (4.0 * heat - centre).abs()).clamp(0.0, 1.0);
    [peak(3.0), peak(2.0), peak(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_place_is_red_and_the_rest_is_grey() {
        let image = Image::new(2, 2, 1, vec![100; 4]).unwrap();
        let drawn = overlay(&image, &[1.0, -1.0, -1.0, -1.0], [2, 2]);
        assert_eq!(drawn.size, [224, 224]);
        let [red, green, blue] = drawn.pixels[10 * 224 + 10];
        assert!(red > 100 && green < 60 && blue < 60, "{red} {green} {blue}");
        assert_eq!(drawn.pixels[220 * 224 + 220], [100; 3]);
    }

    #[test]
    fn between_centres_by_hand() {
        let map = [0.0, 4.0];
        let found = [0.0, 0.25, 0.5, 0.75, 1.0].map(|x| between(&map, [1, 2], [0.3, x]));
        assert_eq!(found, [0.0, 0.0, 2.0, 4.0, 4.0]);
    }
}
