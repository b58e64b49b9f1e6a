//! Samples of strips and tiles to pixels.

use super::chunk;
use super::ifd::Tiff;
use super::page::{Alpha, Colour, Compression, Format, Page};
use crate::fault::Fault;
use crate::limits::corrupt;
use crate::{Error, Image, jpeg};

/// The image of a page; `file` is named in errors.
pub(super) fn image(tiff: &Tiff<'_>, page: &Page<'_>, file: &str) -> Result<Image, Error> {
    let named = |error| match error {
        Error::NotFinite => Fault::Corrupt("a value that is no finite number").of(file),
        error => corrupt(file, error),
    };
    let (width, height) = (page.width, page.height);
    if page.compression == Compression::Jpeg {
        let channels = if page.colour.samples() == 1 { 1 } else { 3 };
        let pixels = of_jpegs(tiff, page, channels).map_err(|fault| fault.of(file))?;
        return Image::new(width, height, channels, pixels).map_err(named);
    }
    let big_endian = tiff.is_big_endian();
    match page.format {
        Format::Bits(bits) => {
            let unpacked = |row: &[u8], at: usize| {
                let place = at * bits;
                row[place / 8] >> (8 - bits - place % 8) & (0xff >> (8 - bits))
            };
            let samples = gathered(tiff, page, unpacked).map_err(|fault| fault.of(file))?;
            of_bytes(page, bits, samples).map_err(named)
        }
        Format::Short => {
            let short = |row: &[u8], at: usize| {
                let bytes = [row[2 * at], row[2 * at + 1]];
                f32::from(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
                    / 65535.0
            };
            let values = gathered(tiff, page, short).map_err(|fault| fault.of(file))?;
            of_values(page, values).map_err(named)
        }
        Format::Float => {
            let float = |row: &[u8], at: usize| {
                let bytes = [0, 1, 2, 3].map(|byte| row[4 * at + byte]);
                if big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) }
            };
            let values = gathered(tiff, page, float).map_err(|fault| fault.of(file))?;
            of_values(page, values).map_err(named)
        }
    }
}

/// Samples that are used: the colours and the opacity.
fn used(page: &Page<'_>) -> usize {
    page.colour.samples() + usize::from(page.alpha != Alpha::None)
}

/// All samples that are used, `[height, width, samples]`; `sample` takes number `at` out of a row.
fn gathered<T: Copy + Default>(
    tiff: &Tiff<'_>,
    page: &Page<'_>,
    sample: impl Fn(&[u8], usize) -> T,
) -> Result<Vec<T>, Fault> {
    let used = used(page);
    let [down, across] = page.grid();
    let stored = if page.planar { 1 } else { page.samples };
    let row_bytes = (page.chunk[1] * stored * page.format.bits()).div_ceil(8);
    let mut samples = vec![T::default(); page.width * page.height * used];
    for number in 0..page.chunks.len() {
        let (plane, place) = (number / (down * across), number % (down * across));
        if plane >= used {
            break;
        }
        let [top, left] = [place / across * page.chunk[0], place % across * page.chunk[1]];
        let rows = page.chunk[0].min(page.height - top);
        let stored_rows = if page.tiled { page.chunk[0] } else { rows };
        let bytes = chunk::unpack(tiff, page, number, [stored_rows, row_bytes])?;
        let columns = page.chunk[1].min(page.width - left);
        for (y, row) in bytes.chunks_exact(row_bytes).take(rows).enumerate() {
            let start = ((top + y) * page.width + left) * used;
            let target = &mut samples[start..start + columns * used];
            for (x, pixel) in target.chunks_exact_mut(used).enumerate() {
                if page.planar {
                    pixel[plane] = sample(row, x);
                } else {
                    for (channel, value) in pixel.iter_mut().enumerate() {
                        *value = sample(row, x * stored + channel);
                    }
                }
            }
        }
    }
    Ok(samples)
}

fn of_bytes(page: &Page<'_>, bits: usize, samples: Vec<u8>) -> Result<Image, Error> {
    let (width, height) = (page.width, page.height);
    let used = used(page);
    let scale = 255 / (0xff >> (8 - bits)) as u8;
    let pixels: Vec<u8> = match &page.colour {
        Colour::Grey { inverted: false } => {
            samples.iter().step_by(used).map(|&value| value * scale).collect()
        }
        Colour::Grey { inverted: true } => {
            samples.iter().step_by(used).map(|&value| 255 - value * scale).collect()
        }
        Colour::Palette(palette) => {
            samples.iter().step_by(used).flat_map(|&index| palette[usize::from(index)]).collect()
        }
        Colour::Rgb if page.alpha == Alpha::Multiplied => {
            samples.chunks_exact(used).flat_map(divided).collect()
        }
        Colour::Rgb | Colour::YCbCr => match used {
            3 => return Image::new(width, height, 3, samples),
            _ => samples.chunks_exact(used).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        },
        Colour::Cmyk => samples.chunks_exact(used).flat_map(|p| inked([p[0], p[1], p[2], p[3]])).collect(),
    };
    let channels = pixels.len() / (width * height);
    let image = Image::new(width, height, channels, pixels)?;
    Ok(match page.alpha {
        Alpha::None => image,
        _ => image
            .with_opacity(samples.iter().skip(used - 1).step_by(used).map(|&a| u16::from(a) * 257).collect()),
    })
}

/// Colours that were multiplied with the opacity, as Pillow divides them.
fn divided(pixel: &[u8]) -> [u8; 3] {
    let alpha = u32::from(pixel[3]);
    [0, 1, 2].map(|channel| match alpha {
        0 | 255 => pixel[channel],
        _ => (255 * u32::from(pixel[channel]) / alpha).min(255) as u8,
    })
}

/// RGB of ink, as Pillow computes it: white less black, less each ink's share of that.
fn inked([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - k;
    [c, m, y].map(|ink| {
        let product = u32::from(ink) * u32::from(light) + 128;
        light - (((product >> 8) + product) >> 8) as u8
    })
}

fn of_values(page: &Page<'_>, values: Vec<f32>) -> Result<Image, Error> {
    let (width, height, used) = (page.width, page.height, used(page));
    let opacity: Vec<f32> = match page.alpha {
        Alpha::None => Vec::new(),
        _ => values.iter().skip(used - 1).step_by(used).copied().collect(),
    };
    let of_alpha = |pixel: usize| match (page.alpha, opacity.get(pixel)) {
        (Alpha::Multiplied, Some(&alpha)) if alpha > 0.0 => alpha,
        _ => 1.0,
    };
    let colours: Vec<f32> = match page.colour {
        Colour::Grey { inverted: true } => values.iter().step_by(used).map(|value| 1.0 - value).collect(),
        Colour::Cmyk => {
            let light = |p: &[f32]| [0, 1, 2].map(|ink| (1.0 - p[ink]) * (1.0 - p[3]));
            values.chunks_exact(used).flat_map(light).collect()
        }
        _ if opacity.is_empty() => values,
        _ => {
            let pixels = values.chunks_exact(used).enumerate();
            let colours =
                pixels.flat_map(|(place, pixel)| pixel[..used - 1].iter().map(move |value| (place, value)));
            colours.map(|(place, value)| value / of_alpha(place)).collect()
        }
    };
    let image = Image::deep(width, height, colours.len() / (width * height), colours)?;
    let to_short = |&alpha: &f32| (alpha.clamp(0.0, 1.0) * 65535.0).round() as u16;
    Ok(if opacity.is_empty() { image } else { image.with_opacity(opacity.iter().map(to_short).collect()) })
}

/// Pixels of strips and tiles that are JPEG files without tables.
fn of_jpegs(tiff: &Tiff<'_>, page: &Page<'_>, channels: usize) -> Result<Vec<u8>, Fault> {
    let [_, across] = page.grid();
    let mut pixels = vec![0; page.width * page.height * channels];
    for number in 0..page.chunks.len() {
        let stream = chunk::packed(tiff, page, number, 0)?;
        let stream = with_tables(page.jpeg_tables, &stream);
        let part = jpeg::decode_part(&stream, page.colour == Colour::Rgb)?;
        let [top, left] = [number / across * page.chunk[0], number % across * page.chunk[1]];
        let rows = page.chunk[0].min(page.height - top);
        let columns = page.chunk[1].min(page.width - left);
        if part.channels != channels || part.width < columns || part.height < rows {
            return Err(Fault::Corrupt("a JPEG of another size than its strip or tile"));
        }
        for (y, row) in part.pixels.chunks_exact(part.width * channels).take(rows).enumerate() {
            let start = ((top + y) * page.width + left) * channels;
            pixels[start..start + columns * channels].copy_from_slice(&row[..columns * channels]);
        }
    }
    Ok(pixels)
}

/// A JPEG file of tables, which end with a marker, and of a stream, which begins with one.
fn with_tables(tables: Option<&[u8]>, stream: &[u8]) -> Vec<u8> {
    match (tables, stream.strip_prefix(&[0xff, 0xd8])) {
        (Some(tables), Some(stream)) => {
            [tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(tables), stream].concat()
        }
        _ => stream.to_vec(),
    }
}
