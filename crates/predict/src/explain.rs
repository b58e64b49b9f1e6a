//! Heat maps: where in an image a class is seen.

use residual_data::Image;

use crate::Prediction;

/// Small images are enlarged by whole steps until their shorter side has this many pixels.
const VISIBLE: usize = 224;

/// Share of the map in the colour of the strongest place.
const STRONGEST: f32 = 0.6;

/// An answer, and where in the image its class is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The answer.
    pub prediction: Prediction,
    /// The class that the map is of, counted from 0.
    pub class: usize,
    /// The map.
    pub map: HeatMap,
    /// The image as the network saw it, resized and cropped; `None` where a tensor was given.
    pub image: Option<Image>,
}

/// A class activation map (Zhou et al. 2016, section 2): how much each place of the last block's output adds to the
/// logit of a class. Its mean is the logit without its bias.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// `[height, width]` of the last stage.
    pub size: [usize; 2],
    /// The values, row by row.
    pub values: Vec<f32>,
}

impl Explanation {
    /// The image in grey under the map's positive part in colour ([`HeatMap::over`]); `None` where a tensor was given.
    pub fn overlay(&self) -> Option<Image> {
        self.image.as_ref().and_then(|image| self.map.over(image))
    }
}

impl HeatMap {
    /// The image in grey under the map's positive part in colour, from blue to red. Small images are enlarged by whole
    /// steps, so that their shorter side has 224 pixels or more.
    ///
    /// `None` where the map has no values, and for an image that is neither grey nor RGB.
    pub fn over(&self, image: &Image) -> Option<Image> {
        let [rows, columns] = self.size;
        if self.values.is_empty() || self.values.len() != rows * columns {
            return None;
        }
        let (width, height) = (image.width(), image.height());
        let times = VISIBLE.div_ceil(width.min(height)).max(1);
        let grey = image.clone().with_channels(1, "the image").ok()?;
        let greatest = self.values.iter().fold(f32::MIN_POSITIVE, |max, &value| max.max(value));
        let pixel = |y: usize, x: usize| {
            let place =
                [(y, height * times), (x, width * times)].map(|(at, of)| (at as f32 + 0.5) / of as f32);
            let heat = (self.between(place) / greatest).clamp(0.0, 1.0);
            let value = f32::from(grey.pixels()[y / times * width + x / times]);
            let share = STRONGEST * heat;
            colour(heat).map(|colour| (value * (1.0 - share) + 255.0 * colour * share) as u8)
        };
        let (width, height) = (width * times, height * times);
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let pixels: Vec<u8> = pixels.flat_map(|(y, x)| pixel(y, x)).collect();
        Image::new(width, height, 3, pixels).ok()
    }

    /// The map at `place`, each coordinate from 0 to 1, between the centres of its elements.
    fn between(&self, [y, x]: [f32; 2]) -> f32 {
        let [height, width] = self.size;
        let neighbours = |at: f32, of: usize| {
            let at = (at * of as f32 - 0.5).clamp(0.0, (of - 1) as f32);
            (at as usize, (at as usize + 1).min(of - 1), at.fract())
        };
        let ((top, bottom, down), (left, right, along)) = (neighbours(y, height), neighbours(x, width));
        let row = |row: usize| {
            self.values[row * width + left] * (1.0 - along) + self.values[row * width + right] * along
        };
        row(top) * (1.0 - down) + row(bottom) * down
    }
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
        let image = Image::new(2, 2, 3, vec![100; 12]).unwrap();
        let map = HeatMap { size: [2, 2], values: vec![1.0, -1.0, -1.0, -1.0] };
        let drawn = map.over(&image).unwrap();
        assert_eq!([drawn.height(), drawn.width()], [224, 224]);
        let at = |y: usize, x: usize| &drawn.pixels()[(y * 224 + x) * 3..][..3];
        let &[red, green, blue] = at(10, 10) else { panic!() };
        assert!(red > 100 && green < 60 && blue < 60, "{red} {green} {blue}");
        assert_eq!(at(220, 220), [100; 3]);
        assert_eq!(HeatMap { size: [0, 0], values: vec![] }.over(&image), None);
    }

    #[test]
    fn between_centres_by_hand() {
        let map = HeatMap { size: [1, 2], values: vec![0.0, 4.0] };
        let found = [0.0, 0.25, 0.5, 0.75, 1.0].map(|x| map.between([0.3, x]));
        assert_eq!(found, [0.0, 0.0, 2.0, 4.0, 4.0]);
    }
}
