//! Resizing of images deeper than 8 bits: sums in `f64`, rounded to `f32` after each pass, as Pillow's for mode `F`.

use super::apply::columns_first;
use super::filter::Filter;
use super::taps::Taps;
use crate::{Error, Image};

/// Values with their sizes.
struct Values {
    values: Vec<f32>,
    height: usize,
    width: usize,
    channels: usize,
}

/// The image at `[height, width]`.
pub(super) fn deep(image: Image, [height, width]: [usize; 2], filter: Filter) -> Result<Image, Error> {
    let source = [image.height(), image.width()];
    let values = image.values().map(<[f32]>::to_vec).unwrap_or_default();
    let values = Values { values, height: source[0], width: source[1], channels: image.channels() };
    let columns_come_first = columns_first(source, [height, width]);
    let resized = match columns_come_first {
        true => along_rows(along_columns(values, height, filter), width, filter),
        false => along_columns(along_rows(values, width, filter), height, filter),
    };
    Image::deep(width, height, resized.channels, resized.values)
}

fn along_rows(source: Values, width: usize, filter: Filter) -> Values {
    if source.width == width {
        return source;
    }
    let taps = Taps::exact(source.width, width, filter);
    let channels = source.channels;
    let mut values = Vec::with_capacity(source.height * width * channels);
    for row in source.values.chunks_exact(source.width * channels) {
        for (first, weights) in taps.iter() {
            for channel in 0..channels {
                let read = row[first * channels + channel..].iter().step_by(channels);
                values
                    .push(read.zip(weights).map(|(&value, weight)| f64::from(value) * weight).sum::<f64>()
                        as f32);
            }
        }
    }
    Values { values, width, ..source }
}

fn along_columns(source: Values, height: usize, filter: Filter) -> Values {
    if source.height == height {
        return source;
    }
    let row = source.width * source.channels;
    let mut values = Vec::with_capacity(height * row);
    let mut sums = vec![0.0; row];
    for (first, weights) in Taps::exact(source.height, height, filter).iter() {
        sums.fill(0.0);
        for (read, weight) in source.values[first * row..].chunks_exact(row).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(read) {
                *sum += f64::from(value) * weight;
            }
        }
        values.extend(sums.iter().map(|&sum| sum as f32));
    }
    Values { values, height, ..source }
}

#[cfg(test)]
mod tests {
    use residual_arch::Interpolation;

    use crate::Image;
    use crate::resize::resize;

    const BILINEAR: [f64; 12] = [
        0.100711002,
        0.145187154,
        0.197774633,
        0.242250785,
        0.415092617,
        0.459568768,
        0.512156248,
        0.556632399,
        0.729474246,
        0.773950397,
        0.826537847,
        0.871013998,
    ];
    const BICUBIC: [f64; 18] = [
        0.170055001,
        0.188760131,
        0.212690338,
        0.234919339,
        0.257148355,
        0.279377341,
        0.301606357,
        0.325536549,
        0.344241678,
        0.627483367,
        0.646188497,
        0.670118689,
        0.692347705,
        0.714576721,
        0.736805737,
        0.759034693,
        0.782964885,
        0.801670074,
    ];
    const LANCZOS: [f64; 2] = [0.437959879, 0.533765196];
    const NEAREST: [f64; 4] = [0.228641182, 0.342961788, 0.628763258, 0.743083834];

    /// Values of the same calls in Pillow 13, mode `F`.
    #[test]
    fn values_are_pillows() {
        let values: Vec<f32> = (0..35u32).map(|i| (i * 1873 % 65536) as f32 / 65535.0).collect();
        let image = Image::deep(7, 5, 1, values).unwrap();
        let resized = |interpolation, size| {
            resize(image.clone(), size, interpolation, "x").unwrap().values().unwrap().to_vec()
        };
        for (interpolation, size, expected) in [
            (Interpolation::Bilinear, [3, 4], &BILINEAR[..]),
            (Interpolation::Bicubic, [2, 9], &BICUBIC),
            (Interpolation::Lanczos, [1, 2], &LANCZOS),
            (Interpolation::Nearest, [2, 2], &NEAREST),
        ] {
            let found = resized(interpolation, size);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() <= 2e-7,
                    "{interpolation:?}: {found} {expected}"
                );
            }
        }
    }
}
