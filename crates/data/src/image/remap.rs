//! Moves and changes of pixels, of 8 bits and of more alike.

use super::Image;

/// Level of a pixel: 8 bits, or a float of more.
pub(crate) trait Level: Copy {
    /// The level as a float, on its own scale.
    fn to_f64(self) -> f64;

    /// The level of a float on that scale, cut off where it is of 8 bits.
    fn cut(value: f64) -> Self;
}

impl Level for u8 {
    fn to_f64(self) -> f64 {
        self.into()
    }

    fn cut(value: f64) -> Self {
        value as u8
    }
}

impl Level for f32 {
    fn to_f64(self) -> f64 {
        self.into()
    }

    fn cut(value: f64) -> Self {
        value as f32
    }
}

/// Move of pixels that is the same for 8 bits and for more.
pub(crate) trait Remap {
    /// Levels of the result; `fill` has one for each channel.
    fn remap<T: Level>(&self, source: &[T], fill: &[T]) -> Vec<T>;
}

impl Image {
    /// Image of `size = [height, width]` that `map` makes of this one, without its opacity. `fill` has a level for each
    /// channel, or one for all; none is black.
    pub(crate) fn remapped(&self, [height, width]: [usize; 2], map: &impl Remap, fill: &[u8]) -> Self {
        let level = |channel: usize| fill.get(channel).or(fill.first()).copied().unwrap_or(0);
        let fill: Vec<u8> = (0..self.channels).map(level).collect();
        let (channels, orientation, sequence) = (self.channels, self.orientation, self.sequence);
        let empty = Self {
            width,
            height,
            channels,
            pixels: Vec::new(),
            values: None,
            opacity: None,
            orientation,
            sequence,
            within: None,
        };
        match &self.values {
            Some(values) => {
                let fill: Vec<f32> = fill.iter().map(|&level| f32::from(level) / 255.0).collect();
                empty.with_values(map.remap(values, &fill))
            }
            None => Self { pixels: map.remap(&self.pixels, &fill), ..empty },
        }
    }

    /// Pixels of an image of 8 bits, to be changed.
    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        debug_assert!(self.values.is_none());
        &mut self.pixels
    }

    /// The image of more than 8 bits with other values; one of 8 bits as it is.
    pub(crate) fn with_each_value(mut self, change: impl FnOnce(&mut [f32])) -> Self {
        match self.values.take() {
            Some(mut values) => {
                change(&mut values);
                self.with_values(values)
            }
            None => self,
        }
    }
}
