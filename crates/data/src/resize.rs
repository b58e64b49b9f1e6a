//! Bilinear resizing with antialiasing, to the bit as Pillow's `Image.resize` does it (and so as
//! torchvision resizes a PIL image): a triangle filter as wide as the scale, weights in fixed point
//! of 22 bits, first along rows, then along columns, rounded to `u8` after each.
//!
//! This is the order of Pillow up to version 12. Version 13 goes along columns first where the
//! height shrinks much more than the width; the two orders differ by one grey level at most.

use crate::{Error, Image, MAX_PIXELS};

/// Fractional bits of a weight: 32, less 8 for the pixel and 2 of headroom.
const PRECISION: u32 = 22;

/// The source pixels of one target pixel, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The taps along one side of `source` pixels that becomes `target` long. With
/// s = max(source / target, 1) and centre c = (x + 1/2) source / target, pixel i weighs
/// max(0, 1 - |i + 1/2 - c| / s), normalised to 1.
fn taps(source: usize, target: usize) -> Vec<Taps> {
    let scale = source as f64 / target as f64;
    let support = scale.max(1.0);
    let narrow = 1.0 / support;
    let along = |x: usize| {
        let centre = (x as f64 + 0.5) * scale;
        // Casts saturate at 0, where Pillow clamps.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(source);
        let triangle = |i: usize| (1.0 - ((i as f64 - centre + 0.5) * narrow).abs()).max(0.0);
        let sum: f64 = (first..end).map(triangle).sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1u32 << PRECISION) + 0.5) as i32;
        Taps { first, weights: (first..end).map(|i| fixed(triangle(i))).collect() }
    };
    (0..target).map(along).collect()
}

fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

fn along_rows(image: &Image, width: usize) -> Result<Image, Error> {
    let channels = image.channels();
    let taps = taps(image.width(), width);
    let mut pixels = Vec::with_capacity(image.height() * width * channels);
    for row in image.pixels().chunks_exact(image.width() * channels) {
        for tap in &taps {
            for channel in 0..channels {
                let source = row[tap.first * channels + channel..].iter().step_by(channels);
                let sum = source.zip(&tap.weights).fold(HALF, |sum, (&p, &w)| sum + i32::from(p) * w);
                pixels.push(round(sum));
            }
        }
    }
    Image::new(width, image.height(), channels, pixels)
}

fn along_columns(image: &Image, height: usize) -> Result<Image, Error> {
    let row = image.width() * image.channels();
    let mut pixels = Vec::with_capacity(height * row);
    let mut sums = vec![HALF; row];
    for tap in taps(image.height(), height) {
        sums.fill(HALF);
        let rows = image.pixels()[tap.first * row..].chunks_exact(row);
        for (source, &weight) in rows.zip(&tap.weights) {
            for (sum, &p) in sums.iter_mut().zip(source) {
                *sum += i32::from(p) * weight;
            }
        }
        pixels.extend(sums.iter().map(|&sum| round(sum)));
    }
    Image::new(image.width(), height, image.channels(), pixels)
}

/// The image at exactly `[height, width]`. `file` is named in errors.
///
/// # Errors
/// [`Error::ImageTooLarge`] where the result, or the rows half way there, would have more than
/// [`MAX_PIXELS`]; [`Error::NoPixels`] for a side of 0.
pub(crate) fn resize(image: Image, [height, width]: [usize; 2], file: &str) -> Result<Image, Error> {
    for rows in [height, image.height()] {
        if rows.checked_mul(width).is_none_or(|pixels| pixels > MAX_PIXELS) {
            let (width, height, limit) = (width as u64, rows as u64, MAX_PIXELS as u64);
            return Err(Error::ImageTooLarge { file: file.into(), width, height, limit });
        }
    }
    let mut image = image;
    if width != image.width() {
        image = along_rows(&image, width)?;
    }
    if height != image.height() {
        image = along_columns(&image, height)?;
    }
    Ok(image)
}

/// `[height, width]` once the shorter side is `side` long: the longer one becomes
/// `side * long / short`, cut to a whole number, as torchvision does.
pub(crate) fn shorter_side([height, width]: [usize; 2], side: usize) -> [usize; 2] {
    let scaled = |long: usize, short: usize| {
        usize::try_from(side as u128 * long as u128 / short.max(1) as u128).unwrap_or(usize::MAX)
    };
    if width <= height { [scaled(height, width), side] } else { [side, scaled(width, height)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pixels: &[u8], width: usize) -> Vec<u8> {
        let image = Image::new(pixels.len(), 1, 1, pixels.to_vec()).unwrap();
        resize(image, [1, width], "row").unwrap().pixels().to_vec()
    }

    fn column(pixels: &[u8], height: usize) -> Vec<u8> {
        let image = Image::new(1, pixels.len(), 1, pixels.to_vec()).unwrap();
        resize(image, [height, 1], "column").unwrap().pixels().to_vec()
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

    /// The same calls in Pillow 12.3.
    #[test]
    fn values_are_pillows() {
        let pixels: Vec<u8> = (0..35u32).map(|i| (i * 37 % 256) as u8).collect();
        let image = Image::new(7, 5, 1, pixels).unwrap();
        let resized = |size| resize(image.clone(), size, "x").unwrap().pixels().to_vec();
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

    #[test]
    fn rows_are_rounded_before_columns() {
        // Rows: (0 + 1) / 2 = 0.5 -> 1 and 0; columns: (1 + 0) / 2 = 0.5 -> 1. In one go it were 0.25 -> 0.
        let image = Image::new(2, 2, 1, vec![0, 1, 0, 0]).unwrap();
        assert_eq!(resize(image, [1, 1], "x").unwrap().pixels(), [1]);
    }

    #[test]
    fn the_longer_side_is_cut_not_rounded() {
        assert_eq!(shorter_side([375, 500], 256), [256, 341]);
        assert_eq!(shorter_side([500, 375], 256), [341, 256]);
        assert_eq!(shorter_side([10, 10], 3), [3, 3]);
        assert_eq!(shorter_side([1, usize::MAX], usize::MAX), [usize::MAX, usize::MAX]);
    }

    #[test]
    fn what_would_be_huge_is_refused() {
        let tall = || Image::new(1, 60_000, 1, vec![0; 60_000]).unwrap();
        assert!(matches!(resize(tall(), [1, 100_000], "x"), Err(Error::ImageTooLarge { .. })));
        assert!(matches!(resize(tall(), [usize::MAX, 2], "x"), Err(Error::ImageTooLarge { .. })));
        assert!(matches!(resize(tall(), [0, 2], "x"), Err(Error::InvalidOption { .. })));
        assert!(matches!(resize(tall(), [2, 0], "x"), Err(Error::InvalidOption { .. })));
    }

    proptest::proptest! {
        #[test]
        fn any_shape_to_any_shape(w in 1usize..40, h in 1usize..40, tw in 1usize..60, th in 1usize..60, v: u8) {
            let flat = Image::new(w, h, 3, vec![v; w * h * 3]).unwrap();
            let resized = resize(flat, [th, tw], "x").unwrap();
            proptest::prop_assert_eq!((resized.width(), resized.height(), resized.channels()), (tw, th, 3));
            proptest::prop_assert!(resized.pixels().iter().all(|&p| p == v));
        }

        #[test]
        fn the_shorter_side_is_met(w in 1usize..5000, h in 1usize..5000, side in 1usize..600) {
            let [th, tw] = shorter_side([h, w], side);
            proptest::prop_assert_eq!(th.min(tw), side);
            proptest::prop_assert_eq!(th >= tw, h >= w || th == tw);
        }
    }
}
