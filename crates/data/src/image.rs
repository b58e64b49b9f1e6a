//! One decoded image, and the cuts that preprocessing and augmentation make.

use crate::Error;

/// Image of `u8` pixels: rows from the top, pixels from the left, channels together (HWC). Decoded files have one
/// channel (grey) or three (RGB); an image that a program makes has as many as its network takes.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// Image of interleaved bytes, `height * width * channels` of them, for any number of channels.
    ///
    /// # Errors
    /// [`Error::NoPixels`] where one of the sizes is 0, [`Error::PixelBytes`] for another number of bytes.
    ///
    /// ```
    /// use residual_data::{Error, Image};
    /// // Red, green, blue and near infrared.
    /// let image = Image::new(2, 1, 4, vec![0; 8])?;
    /// assert_eq!(image.channels(), 4);
    /// assert!(matches!(Image::new(2, 1, 4, vec![0; 6]), Err(Error::PixelBytes { found: 6, .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Self, Error> {
        if width == 0 || height == 0 || channels == 0 {
            return Err(Error::NoPixels { width, height, channels });
        }
        let expected = width.checked_mul(height).and_then(|size| size.checked_mul(channels));
        if expected != Some(pixels.len()) {
            return Err(Error::PixelBytes { width, height, channels, found: pixels.len() });
        }
        Ok(Self { width, height, channels, pixels })
    }

    /// Width: pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height: number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of channels: 1 for grey, 3 for RGB, any other for what a program has made.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Pixels, `[height, width, channels]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Pixels alone, `[height, width, channels]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Conversion between grey and RGB; an image that has `channels` already stays as it is.
    ///
    /// Grey is ITU-R 601's luma in fixed point as Pillow computes it,
    /// `(19595 R + 38470 G + 7471 B + 32768) / 65536`; RGB of a grey image repeats its value.
    ///
    /// # Errors
    /// [`Error::ChannelsDiffer`], naming `file`, for any other conversion.
    pub fn with_channels(self, channels: usize, file: &str) -> Result<Self, Error> {
        let pixels = match (self.channels, channels) {
            (3, 1) => self
                .pixels
                .chunks_exact(3)
                .map(|p| {
                    let luma = 19595 * u32::from(p[0]) + 38470 * u32::from(p[1]) + 7471 * u32::from(p[2]);
                    ((luma + 0x8000) >> 16) as u8
                })
                .collect(),
            (1, 3) => self.pixels.iter().flat_map(|&p| [p; 3]).collect(),
            (found, _) if found == channels => return Ok(self),
            (found, _) => {
                return Err(Error::ChannelsDiffer { file: file.to_owned(), found, expected: channels });
            }
        };
        Ok(Self { channels, pixels, ..self })
    }

    /// The window of `size = [height, width]` whose upper left corner is at `top`, `left`; what lies
    /// outside the image is black.
    pub(crate) fn window(&self, corner: [isize; 2], size: [usize; 2]) -> Self {
        self.window_on(&vec![0; self.channels], corner, size)
    }

    /// Window on another background, a value a channel.
    fn window_on(&self, background: &[u8], [top, left]: [isize; 2], [height, width]: [usize; 2]) -> Self {
        let mut pixels = background.repeat(height * width);
        let from = left.max(0);
        let to = left.saturating_add_unsigned(width).min(self.width as isize);
        for y in 0..height {
            let source = top.saturating_add_unsigned(y);
            if source < 0 || source >= self.height as isize || from >= to {
                continue;
            }
            let start = (source as usize * self.width + from as usize) * self.channels;
            let length = (to - from) as usize * self.channels;
            let target = (y * width + (from - left) as usize) * self.channels;
            pixels[target..target + length].copy_from_slice(&self.pixels[start..start + length]);
        }
        Self { width, height, channels: self.channels, pixels }
    }

    /// The centre, as torchvision's `center_crop` takes it: an odd margin is halved to the even
    /// neighbour (Python's `round`), and a side that is too short is padded with `fill`, the odd
    /// pixel at the end.
    pub(crate) fn centre_crop(&self, size: [usize; 2], fill: &[u8]) -> Self {
        let offset = |have: usize, want: usize| {
            if have < want {
                return -(((want - have) / 2) as isize);
            }
            let margin = have - want;
            (margin / 2 + usize::from(margin % 4 == 3)) as isize
        };
        self.window_on(fill, [offset(self.height, size[0]), offset(self.width, size[1])], size)
    }

    /// Left and right exchanged.
    pub(crate) fn flip_horizontally(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.width * self.channels) {
            let (mut left, mut right) = (0, self.width - 1);
            while left < right {
                for channel in 0..self.channels {
                    row.swap(left * self.channels + channel, right * self.channels + channel);
                }
                left += 1;
                right -= 1;
            }
        }
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{}x{})", self.channels, self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Image {
        Image::new(width, height, 1, (1..=(width * height) as u8).collect()).unwrap()
    }

    #[test]
    fn pixels_must_fill_the_image() {
        assert!(Image::new(2, 2, 3, vec![0; 12]).is_ok());
        assert!(Image::new(2, 2, 5, vec![0; 20]).is_ok());
        let reason = |width, channels, bytes| Image::new(width, 2, channels, vec![0; bytes]).unwrap_err();
        assert_eq!(
            reason(2, 3, 11).to_string(),
            "2x2 pixels of 3 channels are not 11 bytes; help: give height * width * channels of them, interleaved"
        );
        assert!(matches!(reason(usize::MAX, 3, 0), Error::PixelBytes { .. }));
        assert!(matches!(reason(0, 3, 0), Error::NoPixels { .. }));
        assert!(matches!(reason(2, 0, 0), Error::NoPixels { .. }));
    }

    #[test]
    fn a_window_is_black_outside_the_image() {
        let image = ramp(2, 2);
        assert_eq!(image.window([-1, -1], [3, 3]).pixels, [0, 0, 0, 0, 1, 2, 0, 3, 4]);
        assert_eq!(image.window([1, 1], [2, 2]).pixels, [4, 0, 0, 0]);
        assert_eq!(image.window([5, 0], [1, 2]).pixels, [0, 0]);
        assert_eq!(image.window([0, -7], [1, 2]).pixels, [0, 0]);
    }

    #[test]
    fn the_centre_is_rounded_as_python_rounds() {
        // round(0.5) = 0, round(1.5) = 2, round(2.5) = 2, round(3.5) = 4.
        for (margin, offset) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (9, 4)] {
            let cut = ramp(margin + 1, 1).centre_crop([1, 1], &[0]);
            assert_eq!(usize::from(cut.pixels[0]), offset + 1, "margin {margin}");
        }
    }

    #[test]
    fn a_small_image_is_padded_around() {
        assert_eq!(ramp(1, 1).centre_crop([1, 4], &[0]).pixels, [0, 1, 0, 0]);
        assert_eq!(ramp(3, 1).centre_crop([3, 1], &[9]).pixels, [9, 2, 9]);
    }

    #[test]
    fn flipping_keeps_channels_in_order() {
        let mut image = Image::new(3, 1, 3, (1..=9).collect()).unwrap();
        image.flip_horizontally();
        assert_eq!(image.pixels, [7, 8, 9, 4, 5, 6, 1, 2, 3]);
    }

    #[test]
    fn grey_and_rgb() {
        let image = Image::new(2, 1, 3, vec![255, 0, 0, 10, 20, 30]).unwrap();
        // (19595 * 255 + 32768) >> 16 = 76; (195950 + 769400 + 224130 + 32768) >> 16 = 18.
        let grey = image.clone().with_channels(1, "x").unwrap();
        assert_eq!((grey.channels(), grey.pixels()), (1, &[76, 18][..]));
        assert_eq!(grey.with_channels(3, "x").unwrap().pixels, [76, 76, 76, 18, 18, 18]);
        assert_eq!(image.clone().with_channels(3, "x").unwrap(), image);
        let error = image.with_channels(4, "field.tif").unwrap_err();
        assert!(error.to_string().starts_with("field.tif: 3 channels, where 4 are expected"), "{error}");
    }
}
