//! One decoded image, and the cuts that preprocessing and augmentation make.

mod remap;

use residual_arch::OddMargin;

use crate::{Error, Orientation, Part};

pub(crate) use remap::{Level, Remap};

/// Image of `u8` pixels: rows from the top, pixels from the left, channels together (HWC). Decoded photographs have one
/// channel (grey) or three (RGB); an image that a program makes, an array or a stack of pages has as many as its network
/// takes.
///
/// Values of more than 8 bits ([`values`](Self::values)), opacity ([`opacity`](Self::opacity)) and the orientation that a
/// camera recorded ([`orientation`](Self::orientation)) are kept beside them until
/// [`Preprocessor`](crate::Preprocessor) uses or drops them.
#[derive(Clone, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
    values: Option<Vec<f32>>,
    opacity: Option<Vec<u16>>,
    orientation: Orientation,
    sequence: Option<Sequence>,
    /// Image that this one is a part of.
    within: Option<Within>,
}

/// Image that another one is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Within {
    /// `[height, width]` of the whole.
    pub(crate) size: [usize; 2],
    /// `[top, left]` of the part.
    pub(crate) corner: [usize; 2],
}

/// Values are finite: [`Image::deep`] checks them.
impl Eq for Image {}

/// Pictures of a file that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// The first one, of frames or pages.
    First,
    /// All pages, each a channel.
    Stacked,
}

/// The most channels of an array or of pages.
pub(crate) const MAX_CHANNELS: usize = 32;

/// White in 16 bits.
const WHITE: f32 = 65535.0;

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
        check(width, height, channels, pixels.len())?;
        let (values, opacity, orientation, sequence) = (None, None, Orientation::default(), None);
        Ok(Self { width, height, channels, pixels, values, opacity, orientation, sequence, within: None })
    }

    /// Image deeper than 8 bits: interleaved values, `height * width * channels` of them, on the scale that 8 bits have
    /// as `pixel / 255`, so that black is 0 and white is 1. They are resized and normalised as they are;
    /// [`pixels`](Self::pixels) are their 8 highest bits of 16.
    ///
    /// # Errors
    /// Those of [`new`](Self::new); [`Error::NotFinite`] for infinities and NaN.
    ///
    /// ```
    /// use residual_data::Image;
    /// let image = Image::deep(2, 1, 1, vec![0.5, 1.5])?;
    /// assert_eq!((image.values(), image.pixels()), (Some(&[0.5, 1.5][..]), &[128, 255][..]));
    /// # Ok::<(), residual_data::Error>(())
    /// ```
    pub fn deep(width: usize, height: usize, channels: usize, values: Vec<f32>) -> Result<Self, Error> {
        check(width, height, channels, values.len())?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite);
        }
        let pixels = values.iter().map(|&value| shown(value)).collect();
        Ok(Self { values: Some(values), ..Self::new(width, height, channels, pixels)? })
    }

    /// Width: pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height: number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of channels: 1 for grey, 3 for RGB, any other for arrays, stacks of pages, and what a program has made.
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

    /// Values of an image of more than 8 bits, `[height, width, channels]`, on the scale 0 to 1: `pixel / 65535` of 16
    /// bits. `None` where 8 bits are all.
    pub fn values(&self) -> Option<&[f32]> {
        self.values.as_deref()
    }

    /// Opacity (alpha) of each pixel, `[height, width]`, 65535 for what hides the background. `None` where all pixels
    /// do.
    pub fn opacity(&self) -> Option<&[u16]> {
        self.opacity.as_deref()
    }

    /// Bytes of memory that the image takes.
    pub(crate) fn memory(&self) -> u64 {
        let values = self.values.as_ref().map_or(0, |values| 4 * values.len());
        let opacity = self.opacity.as_ref().map_or(0, |opacity| 2 * opacity.len());
        (size_of::<Self>() + self.pixels.len() + values + opacity) as u64
    }

    /// Orientation that the file records (EXIF); the pixels are as they are stored.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// True for the first frame of an animation, or the first page of several.
    pub fn is_first_of_several(&self) -> bool {
        self.sequence == Some(Sequence::First)
    }

    /// The image with the opacity of its pixels, unless they are all opaque.
    pub(crate) fn with_opacity(mut self, opacity: Vec<u16>) -> Self {
        debug_assert_eq!(opacity.len(), self.width * self.height);
        self.opacity = Some(opacity).filter(|opacity| opacity.iter().any(|&value| value != u16::MAX));
        self
    }

    /// The image without the opacity of its pixels.
    pub(crate) fn without_opacity(self) -> Self {
        Self { opacity: None, ..self }
    }

    pub(crate) fn with_orientation(self, orientation: Orientation) -> Self {
        Self { orientation, ..self }
    }

    /// The image as a part of another one.
    pub(crate) fn with_whole(self, within: Option<Within>) -> Self {
        Self { within, ..self }
    }

    /// `[height, width]` of the image that this one is a part of, or of itself.
    pub(crate) fn whole_size(&self) -> [usize; 2] {
        self.within.map_or([self.height, self.width], |within| within.size)
    }

    /// Copy of a part of the image, or of all of it.
    pub(crate) fn part(&self, part: Option<Part>) -> Self {
        let Some(Part { corner, size }) = part else { return self.clone() };
        let whole = [self.height, self.width];
        let within = Within { size: whole, corner };
        self.window(corner.map(usize::cast_signed), size).with_whole(Some(within))
    }

    /// The window of the whole image, which lies in this part of it.
    pub(crate) fn window_of_whole(self, [top, left]: [isize; 2], size: [usize; 2]) -> Self {
        let origin = self.within.map_or([0, 0], |within| within.corner);
        let corner = [top - origin[0] as isize, left - origin[1] as isize];
        match corner == [0, 0] && size == [self.height, self.width] {
            true => self.with_whole(None),
            false => self.window(corner, size),
        }
    }

    pub(crate) fn with_sequence(self, sequence: Option<Sequence>) -> Self {
        Self { sequence, ..self }
    }

    /// The image as it is seen: turned and mirrored as its [`orientation`](Self::orientation) says, as Pillow's
    /// `ImageOps.exif_transpose` does.
    ///
    /// ```
    /// use residual_data::{Image, Orientation};
    /// let image = Image::new(2, 1, 1, vec![1, 2])?;
    /// assert_eq!(image.orientation(), Orientation::default());
    /// assert_eq!(image.clone().upright(), image);
    /// # Ok::<(), residual_data::Error>(())
    /// ```
    pub fn upright(self) -> Self {
        let turn = self.orientation;
        if turn == Orientation::default() {
            return self;
        }
        let size = [self.height, self.width];
        let [height, width] = turn.size(size);
        Self {
            width,
            height,
            pixels: turn.apply(&self.pixels, size, self.channels),
            values: self.values.map(|values| turn.apply(&values, size, self.channels)),
            opacity: self.opacity.map(|opacity| turn.apply(&opacity, size, 1)),
            orientation: Orientation::default(),
            ..self
        }
    }

    /// The image laid over a background of one colour, `[red, green, blue]`, by its [`opacity`](Self::opacity):
    /// `(colour * a + background * (255 - a)) / 255`, rounded as Pillow's `paste` with a mask does. An opaque image stays
    /// as it is; a grey one becomes RGB where the colour is not grey.
    #[must_use]
    pub fn over(mut self, colour: [u8; 3]) -> Self {
        let Some(opacity) = self.opacity.take() else { return self };
        if self.channels == 1 && colour != [colour[0]; 3] {
            self = self.repeated();
        }
        let background = if self.channels == 3 { colour.to_vec() } else { vec![colour[0]; self.channels] };
        for (pixel, &alpha) in self.pixels.chunks_exact_mut(self.channels).zip(&opacity) {
            let alpha = u32::from(alpha >> 8);
            for (value, &behind) in pixel.iter_mut().zip(&background) {
                let sum = u32::from(*value) * alpha + u32::from(behind) * (255 - alpha) + 128;
                *value = (((sum >> 8) + sum) >> 8) as u8;
            }
        }
        if let Some(mut values) = self.values.take() {
            for (pixel, &alpha) in values.chunks_exact_mut(self.channels).zip(&opacity) {
                let alpha = f32::from(alpha) / WHITE;
                for (value, &behind) in pixel.iter_mut().zip(&background) {
                    *value = *value * alpha + f32::from(behind) / 255.0 * (1.0 - alpha);
                }
            }
            self = self.with_values(values);
        }
        self
    }

    /// Conversion between grey and RGB; an image that has `channels` already stays as it is, and of pages that were
    /// stacked to another number of channels, the first is taken.
    ///
    /// Grey is ITU-R 601's luma in fixed point as Pillow computes it,
    /// `(19595 R + 38470 G + 7471 B + 32768) / 65536`; RGB of a grey image repeats its value.
    ///
    /// # Errors
    /// [`Error::ChannelsDiffer`], naming `file`, for any other conversion.
    pub fn with_channels(self, channels: usize, file: &str) -> Result<Self, Error> {
        match (self.channels, channels) {
            (found, _) if found == channels => Ok(self),
            (_, 1) if self.sequence == Some(Sequence::Stacked) => Ok(self.first_page()),
            (_, 3) if self.sequence == Some(Sequence::Stacked) => Ok(self.first_page().repeated()),
            (3, 1) => Ok(self.grey()),
            (1, 3) => Ok(self.repeated()),
            (found, _) => Err(Error::ChannelsDiffer { file: file.to_owned(), found, expected: channels }),
        }
    }

    fn grey(self) -> Self {
        let luma = |p: &[u8]| {
            let luma = 19595 * u32::from(p[0]) + 38470 * u32::from(p[1]) + 7471 * u32::from(p[2]);
            ((luma + 0x8000) >> 16) as u8
        };
        let values = self.values.as_deref().map(|values| {
            values.as_chunks::<3>().0.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect()
        });
        let pixels = self.pixels.chunks_exact(3).map(luma).collect();
        Self { channels: 1, pixels, values, ..self }
    }

    fn repeated(self) -> Self {
        let values =
            self.values.as_deref().map(|values| values.iter().flat_map(|&value| [value; 3]).collect());
        let pixels = self.pixels.iter().flat_map(|&p| [p; 3]).collect();
        Self { channels: 3, pixels, values, ..self }
    }

    /// The first page of a stack.
    fn first_page(self) -> Self {
        let values =
            self.values.as_deref().map(|values| values.iter().step_by(self.channels).copied().collect());
        let pixels = self.pixels.iter().step_by(self.channels).copied().collect();
        Self { channels: 1, pixels, values, sequence: Some(Sequence::First), ..self }
    }

    /// Image with other values and the same size, opacity and orientation.
    pub(crate) fn with_values(self, values: Vec<f32>) -> Self {
        let pixels = values.iter().map(|&value| shown(value)).collect();
        Self { pixels, values: Some(values), ..self }
    }

    /// The window of `size = [height, width]` whose upper left corner is at `top`, `left`; what lies
    /// outside the image is black.
    pub(crate) fn window(&self, corner: [isize; 2], size: [usize; 2]) -> Self {
        self.window_on(&vec![0; self.channels], corner, size)
    }

    /// Window on another background, a value a channel.
    pub(crate) fn window_on(
        &self,
        background: &[u8],
        corner: [isize; 2],
        [height, width]: [usize; 2],
    ) -> Self {
        let window = Window { source: [self.height, self.width], corner, size: [height, width] };
        let values = self.values.as_deref().map(|values| {
            let background: Vec<f32> = background.iter().map(|&value| f32::from(value) / 255.0).collect();
            window.cut(values, &background)
        });
        let pixels = window.cut(&self.pixels, background);
        let opacity = self.opacity.as_deref().map(|opacity| window.cut(opacity, &[u16::MAX]));
        let (channels, orientation, sequence) = (self.channels, self.orientation, self.sequence);
        Self { width, height, channels, pixels, values, opacity, orientation, sequence, within: None }
    }

    /// The centre, as torchvision's `center_crop` takes it: an odd margin is halved to the even
    /// neighbour (Python's `round`) or cut, and a side that is too short is padded with `fill`, the odd
    /// pixel at the end.
    pub(crate) fn centre_crop(&self, size: [usize; 2], odd_margin: OddMargin, fill: &[u8]) -> Self {
        let whole = [self.height, self.width];
        self.window_on(fill, [0, 1].map(|side| centred(whole[side], size[side], odd_margin)), size)
    }

    /// Left and right exchanged.
    pub(crate) fn flip_horizontally(&mut self) {
        mirror(&mut self.pixels, self.width, self.channels);
        if let Some(values) = &mut self.values {
            mirror(values, self.width, self.channels);
        }
        if let Some(opacity) = &mut self.opacity {
            mirror(opacity, self.width, 1);
        }
    }
}

/// Offset of a centre crop along a side: see [`Image::centre_crop`].
pub(crate) fn centred(have: usize, want: usize, odd_margin: OddMargin) -> isize {
    if have < want {
        return -(((want - have) / 2) as isize);
    }
    let margin = have - want;
    let rounds_up = odd_margin == OddMargin::Round && margin % 4 == 3;
    (margin / 2 + usize::from(rounds_up)) as isize
}

/// Checks that the sizes make an image of so many values.
fn check(width: usize, height: usize, channels: usize, found: usize) -> Result<(), Error> {
    if width == 0 || height == 0 || channels == 0 {
        return Err(Error::NoPixels { width, height, channels });
    }
    match width.checked_mul(height).and_then(|size| size.checked_mul(channels)) {
        Some(expected) if expected == found => Ok(()),
        _ => Err(Error::PixelBytes { width, height, channels, found }),
    }
}

/// The 8 bits by which a value is shown: the highest of 16, as Pillow takes them.
fn shown(value: f32) -> u8 {
    (((value.clamp(0.0, 1.0) * WHITE).round() as u32) >> 8) as u8
}

/// A window on an image.
struct Window {
    /// `[height, width]` of the image.
    source: [usize; 2],
    /// `[top, left]`
    corner: [isize; 2],
    /// `[height, width]`
    size: [usize; 2],
}

impl Window {
    fn cut<T: Copy>(&self, source: &[T], background: &[T]) -> Vec<T> {
        let ([source_height, source_width], [top, left], [height, width]) =
            (self.source, self.corner, self.size);
        let channels = background.len();
        if let (Ok(top), Ok(left)) = (usize::try_from(top), usize::try_from(left))
            && top + height <= source_height
            && left + width <= source_width
        {
            let rows = source.chunks_exact(source_width * channels).skip(top).take(height);
            let mut target = Vec::with_capacity(height * width * channels);
            rows.for_each(|row| target.extend_from_slice(&row[left * channels..(left + width) * channels]));
            return target;
        }
        let mut target = background.repeat(height * width);
        let from = left.max(0);
        let to = left.saturating_add_unsigned(width).min(source_width as isize);
        for y in 0..height {
            let row = top.saturating_add_unsigned(y);
            if row < 0 || row >= source_height as isize || from >= to {
                continue;
            }
            let start = (row as usize * source_width + from as usize) * channels;
            let length = (to - from) as usize * channels;
            let at = (y * width + (from - left) as usize) * channels;
            target[at..at + length].copy_from_slice(&source[start..start + length]);
        }
        target
    }
}

/// Left and right of each row exchanged.
fn mirror<T>(samples: &mut [T], width: usize, channels: usize) {
    if channels == 3 {
        let rows = samples.chunks_exact_mut(3 * width);
        return rows.for_each(|row| row.as_chunks_mut::<3>().0.reverse());
    }
    for row in samples.chunks_exact_mut(width * channels) {
        let (mut left, mut right) = (0, width - 1);
        while left < right {
            for channel in 0..channels {
                row.swap(left * channels + channel, right * channels + channel);
            }
            left += 1;
            right -= 1;
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
            let cut = ramp(margin + 1, 1).centre_crop([1, 1], OddMargin::Round, &[0]);
            assert_eq!(usize::from(cut.pixels[0]), offset + 1, "margin {margin}");
            let cut = ramp(margin + 1, 1).centre_crop([1, 1], OddMargin::Floor, &[0]);
            assert_eq!(usize::from(cut.pixels[0]), margin / 2 + 1, "margin {margin}");
        }
    }

    #[test]
    fn a_small_image_is_padded_around() {
        assert_eq!(ramp(1, 1).centre_crop([1, 4], OddMargin::Round, &[0]).pixels, [0, 1, 0, 0]);
        assert_eq!(ramp(3, 1).centre_crop([3, 1], OddMargin::Round, &[9]).pixels, [9, 2, 9]);
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

    #[test]
    fn deep_values_go_where_the_pixels_go() {
        let values: Vec<f32> = (0..12).map(|i| i as f32 / 12.0).collect();
        let image = Image::deep(2, 2, 3, values.clone()).unwrap();
        assert_eq!(image.pixels()[..3], [0, 21, 42]);
        let cut = image.centre_crop([3, 2], OddMargin::Round, &[255, 0, 0]);
        assert_eq!(cut.values().unwrap()[..12], values);
        assert_eq!(cut.values().unwrap()[12..15], [1.0, 0.0, 0.0]);
        let mut flipped = image.clone();
        flipped.flip_horizontally();
        assert_eq!(flipped.values().unwrap()[..6], [3, 4, 5, 0, 1, 2].map(|i| values[i]));
        let grey = image.with_channels(1, "x").unwrap();
        assert!((grey.values().unwrap()[0] - (0.587 / 12.0 + 0.114 * 2.0 / 12.0)).abs() < 1e-6);
        assert!(matches!(Image::deep(1, 1, 1, vec![f32::NAN]), Err(Error::NotFinite)));
    }

    #[test]
    fn opacity_is_laid_over_a_colour() {
        let image = Image::new(3, 1, 1, vec![100; 3]).unwrap().with_opacity(vec![0, u16::MAX, 128 * 257]);
        // (100 * 128 + 255 * 127) / 255 = 177.2; (100 * 128) / 255 = 50.2.
        assert_eq!(image.clone().over([255; 3]).pixels(), [255, 100, 177]);
        assert_eq!(image.clone().over([0; 3]).pixels(), [0, 100, 50]);
        let red = image.over([255, 0, 0]);
        assert_eq!((red.channels(), red.pixels()), (3, &[255, 0, 0, 100, 100, 100, 177, 50, 50][..]));
        let opaque = Image::new(1, 1, 1, vec![9]).unwrap().with_opacity(vec![u16::MAX]);
        assert_eq!(opaque.opacity(), None);
    }

    #[test]
    fn of_a_stack_the_first_page_is_grey_or_rgb() {
        let stack = Image::new(2, 1, 4, (1..=8).collect()).unwrap().with_sequence(Some(Sequence::Stacked));
        assert_eq!(stack.clone().with_channels(4, "x").unwrap(), stack);
        let grey = stack.clone().with_channels(1, "x").unwrap();
        assert!(grey.is_first_of_several());
        assert_eq!(grey.pixels(), [1, 5]);
        assert_eq!(stack.clone().with_channels(3, "x").unwrap().pixels(), [1, 1, 1, 5, 5, 5]);
        assert!(matches!(
            stack.with_channels(2, "x"),
            Err(Error::ChannelsDiffer { found: 4, expected: 2, .. })
        ));
    }
}
