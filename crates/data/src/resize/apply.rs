//! A resize and its limits.

use std::ops::Range;

use residual_arch::Interpolation;

use super::deep::deep;
use super::filter::Filter;
use super::nearest::nearest;
use super::passes::{along_columns, along_rows};
use super::taps::Taps;
use crate::stages::{self, Stage};
use crate::{Error, Image, MAX_PIXELS, Part};

/// Image resized to exactly `[height, width]`. `file` is named in errors.
///
/// # Errors
/// [`Error::ImageTooLarge`] where the result would have more than [`MAX_PIXELS`]; [`Error::NoPixels`] for a side of 0.
pub(crate) fn resize(
    image: Image,
    size: [usize; 2],
    interpolation: Interpolation,
    file: &str,
) -> Result<Image, Error> {
    resize_part(image, Target { size, part: Part { corner: [0, 0], size }, interpolation }, file)
}

/// Resize of an image, or of a part of it, of whose result a part is made.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// `[height, width]` of the whole result.
    pub(crate) size: [usize; 2],
    /// Part of the result, which lies in it.
    pub(crate) part: Part,
    pub(crate) interpolation: Interpolation,
}

impl Target {
    /// Part of an image of `[height, width]` that the result is made of.
    pub(crate) fn source(&self, whole: [usize; 2]) -> Option<Part> {
        if whole == self.size {
            return Some(self.part);
        }
        let [rows, columns] = self.sources(whole, &self.taps(whole, Filter::new(self.interpolation)?));
        Some(Part { corner: [rows.start, columns.start], size: [rows.len(), columns.len()] })
    }

    /// Rows and columns of an image that are read: along a side that keeps its length, there is no pass.
    fn sources(&self, whole: [usize; 2], taps: &[Taps; 2]) -> [Range<usize>; 2] {
        [0, 1].map(|side| match whole[side] == self.size[side] {
            true => self.part.corner[side]..self.part.corner[side] + self.part.size[side],
            false => taps[side].source(),
        })
    }

    /// Taps along the height and the width of an image.
    fn taps(&self, whole: [usize; 2], filter: Filter) -> [Taps; 2] {
        [0, 1].map(|side| {
            let (first, length) = (self.part.corner[side], self.part.size[side]);
            Taps::new(whole[side], self.size[side], filter).of_part(first..first + length)
        })
    }
}

/// Part of an image resized: the pixels that the whole would have there.
///
/// # Errors
/// Those of [`resize`].
pub(crate) fn resize_part(image: Image, target: Target, file: &str) -> Result<Image, Error> {
    stages::timed(Stage::Resize, || resized(image, target, file))
}

fn resized(image: Image, target: Target, file: &str) -> Result<Image, Error> {
    let Target { size: [height, width], part, interpolation } = target;
    // What is between the passes is never larger than both the source and the result.
    if height.checked_mul(width).is_none_or(|pixels| pixels > MAX_PIXELS) {
        let (width, height, limit) = (width as u64, height as u64, MAX_PIXELS as u64);
        return Err(Error::ImageTooLarge { file: file.into(), width, height, limit });
    }
    if height == 0 || width == 0 {
        return Err(Error::NoPixels { width, height, channels: image.channels() });
    }
    let whole = image.whole_size();
    let corner = part.corner.map(usize::cast_signed);
    if whole == [height, width] {
        return Ok(image.window_of_whole(corner, part.size));
    }
    let filter = match Filter::new(interpolation) {
        Some(filter) if image.values().is_none() => filter,
        Some(filter) => return Ok(deep(image, [height, width], filter)?.window_of_whole(corner, part.size)),
        None => return Ok(nearest(&image, [height, width])?.window_of_whole(corner, part.size)),
    };
    let taps = target.taps(whole, filter);
    let [y, x] = target.sources(whole, &taps);
    let image = image.window_of_whole([y.start, x.start].map(usize::cast_signed), [y.len(), x.len()]);
    let [of_rows, of_columns] = taps;
    let (of_rows, of_columns) = (of_rows.behind(y.start), of_columns.behind(x.start));
    let rows = |image: Image| match width == whole[1] {
        true => Ok(image),
        false => along_rows(&image, part.size[1], &of_columns),
    };
    let columns = |image: Image| match height == whole[0] {
        true => Ok(image),
        false => along_columns(&image, part.size[0], &of_rows),
    };
    match columns_first(whole, [height, width]) {
        true => columns(image).and_then(rows),
        false => rows(image).and_then(columns),
    }
}

/// True where the height loses more than twice as many pixels as the width.
pub(super) fn columns_first([height, width]: [usize; 2], [new_height, new_width]: [usize; 2]) -> bool {
    let lost = |old: usize, new: usize| old as i128 - new as i128;
    lost(height, new_height) > 0 && lost(height, new_height) > 2 * lost(width, new_width)
}

#[cfg(test)]
mod tests {
    use Interpolation::Bilinear;

    use super::*;

    fn row(pixels: &[u8], width: usize) -> Vec<u8> {
        let image = Image::new(pixels.len(), 1, 1, pixels.to_vec()).unwrap();
        resize(image, [1, width], Bilinear, "row").unwrap().pixels().to_vec()
    }

    fn column(pixels: &[u8], height: usize) -> Vec<u8> {
        let image = Image::new(1, pixels.len(), 1, pixels.to_vec()).unwrap();
        resize(image, [height, 1], Bilinear, "column").unwrap().pixels().to_vec()
    }

    /// The formula in exact arithmetic, by hand.
    #[test]
    fn values_follow_from_the_formula() {
        // 2 -> 4: centres at 0.25, 0.75, 1.25, 1.75; weights (1), (3/4, 1/4), (1/4, 3/4), (1).
        assert_eq!(row(&[0, 100], 4), [0, 25, 75, 100]);
        // 4 -> 2: s = 2, centres 1 and 3. Pixels 0 to 2 weigh 3/4, 3/4, 1/4 of 7/4.
        // (0 * 3 + 70 * 3 + 140 * 1) / 7 = 50; (70 * 1 + 140 * 3 + 210 * 3) / 7 = 160.
        assert_eq!(row(&[0, 70, 140, 210], 2), [50, 160]);
        // 3 -> 1: s = 3, centre 1.5; weights 2/3, 1, 2/3 of 7/3: (30 * 2 + 60 * 3 + 121 * 2) / 7 = 68.86.
        assert_eq!(row(&[30, 60, 121], 1), [69]);
        assert_eq!(column(&[30, 60, 121], 1), [69]);
        assert_eq!(column(&[0, 100], 4), [0, 25, 75, 100]);
    }

    /// Values of the same calls in Pillow 12.3.
    #[test]
    fn values_are_pillows() {
        let pixels: Vec<u8> = (0..35u32).map(|i| (i * 37 % 256) as u8).collect();
        let image = Image::new(7, 5, 1, pixels).unwrap();
        let resized = |size| resize(image.clone(), size, Bilinear, "x").unwrap().pixels().to_vec();
        assert_eq!(resized([3, 4]), [20, 78, 146, 204, 25, 83, 151, 209, 30, 88, 156, 214]);
        let tall = [
            [32, 111, 190, 33, 112, 191, 35, 114, 193, 36, 115, 194, 38, 117, 196].as_slice(),
            &[40, 119, 198, 41, 120, 199, 43, 122, 201, 44, 123, 202],
        ];
        assert_eq!(resized([9, 3]), tall.concat());
        let wide = [
            [3, 23, 49, 75, 101, 127, 153, 179, 205, 225].as_slice(),
            &[9, 29, 55, 81, 107, 133, 159, 185, 211, 231],
        ];
        assert_eq!(resized([2, 10]), wide.concat());
    }

    /// Bytes of a formula, as in bench/peers/resizes.py.
    fn formula(width: usize, height: usize, channels: usize, seed: u64) -> Image {
        let mut state = seed;
        let mut pixels = Vec::with_capacity(width * height * channels);
        for row in 0..height {
            let start = pixels.len();
            pixels.extend((0..width * channels).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            }));
            if row % 4 == 3 {
                let first = pixels[start];
                pixels[start..].fill(first);
            }
        }
        Image::new(width, height, channels, pixels).unwrap()
    }

    fn fnv(bytes: &[u8]) -> u64 {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// A thousand pairs of sizes, every filter, grey and RGB.
    #[test]
    fn results_have_the_bits_of_pillow() {
        let mut lines = 0;
        for line in include_str!("pillow.txt").lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split(' ').collect();
            let [width, height, channels, seed, new_width, new_height] =
                [0, 1, 2, 3, 4, 5].map(|i| parts[i].parse::<usize>().unwrap());
            let interpolation = match parts[6] {
                "nearest" => Interpolation::Nearest,
                "box" => Interpolation::Box,
                "bilinear" => Interpolation::Bilinear,
                "hamming" => Interpolation::Hamming,
                "bicubic" => Interpolation::Bicubic,
                "lanczos" => Interpolation::Lanczos,
                other => panic!("{other}"),
            };
            let image = formula(width, height, channels, seed as u64);
            let resized = resize(image.clone(), [new_height, new_width], interpolation, "x").unwrap();
            assert_eq!(format!("{:016x}", fnv(resized.pixels())), parts[7], "{line}");
            parts_are_those_of_the_whole(&image, &resized, interpolation, seed);
            lines += 1;
        }
        assert_eq!(lines, 1000);
    }

    /// A part of the result, made of the image and of the part of it that is needed.
    fn parts_are_those_of_the_whole(
        image: &Image,
        resized: &Image,
        interpolation: Interpolation,
        seed: usize,
    ) {
        let size = [resized.height(), resized.width()];
        let corner = [seed % size[0], seed / 7 % size[1]];
        let part = Part { corner, size: [0, 1].map(|i| 1 + seed / 3 % (size[i] - corner[i])) };
        let target = Target { size, part, interpolation };
        let wanted = resized.window(corner.map(usize::cast_signed), part.size);
        assert_eq!(resize_part(image.clone(), target, "x").unwrap(), wanted);
        let source = target.source([image.height(), image.width()]);
        assert_eq!(
            source.is_none(),
            interpolation == Interpolation::Nearest && size != [image.height(), image.width()]
        );
        assert_eq!(resize_part(image.part(source), target, "x").unwrap(), wanted);
    }

    #[test]
    fn rows_are_rounded_before_columns() {
        // Rows: (0 + 1) / 2 = 0.5 -> 1 and 0; columns: (1 + 0) / 2 = 0.5 -> 1. In one go it were 0.25 -> 0.
        let image = Image::new(2, 2, 1, vec![0, 1, 0, 0]).unwrap();
        assert_eq!(resize(image, [1, 1], Bilinear, "x").unwrap().pixels(), [1]);
    }

    #[test]
    fn what_would_be_huge_is_refused() {
        let tall = || Image::new(1, 60_000, 1, vec![0; 60_000]).unwrap();
        assert!(matches!(resize(tall(), [50_000, 2000], Bilinear, "x"), Err(Error::ImageTooLarge { .. })));
        assert!(matches!(resize(tall(), [usize::MAX, 2], Bilinear, "x"), Err(Error::ImageTooLarge { .. })));
        assert!(matches!(resize(tall(), [0, 2], Bilinear, "x"), Err(Error::NoPixels { .. })));
        assert!(matches!(resize(tall(), [2, 0], Bilinear, "x"), Err(Error::NoPixels { .. })));
    }

    proptest::proptest! {
        #[test]
        fn any_shape_to_any_shape(w in 1usize..40, h in 1usize..40, tw in 1usize..60, th in 1usize..60, v: u8) {
            let flat = Image::new(w, h, 3, vec![v; w * h * 3]).unwrap();
            let resized = resize(flat, [th, tw], Bilinear, "x").unwrap();
            proptest::prop_assert_eq!((resized.width(), resized.height(), resized.channels()), (tw, th, 3));
            proptest::prop_assert!(resized.pixels().iter().all(|&p| p == v));
        }
    }
}
