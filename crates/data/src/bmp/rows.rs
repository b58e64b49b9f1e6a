//! Rows of a bitmap to pixels.

use super::header::{Format, Header};
use super::runs;
use crate::fault::Fault;
use crate::limits::{check_dimensions, corrupt};
use crate::{Error, Image};

/// Decodes a bitmap; `file` is named in errors.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let header = Header::parse(bytes).map_err(|fault| fault.of(file))?;
    check_dimensions(header.width, header.height, file)?;
    let (pixels, opacity) = pixels(&header, bytes).map_err(|fault| fault.of(file))?;
    let image = Image::new(header.width, header.height, 3, pixels).map_err(|error| corrupt(file, error))?;
    Ok(if opacity.is_empty() { image } else { image.with_opacity(opacity) })
}

/// Pixels, and opacity where there is any.
fn pixels(header: &Header, bytes: &[u8]) -> Result<(Vec<u8>, Vec<u16>), Fault> {
    let Header { width, height, format, .. } = *header;
    let data = bytes.get(header.offset..).ok_or(Fault::Truncated)?;
    let unpacked;
    let (data, stride, format) = match (header.runs, format) {
        (true, Format::Indexed(bits)) => {
            unpacked = runs::unpack(data, [height, width], bits == 4)?;
            (&unpacked[..], width, Format::Indexed(8))
        }
        _ => (data, (width * format.bits()).div_ceil(32) * 4, format),
    };
    // The last row may lack what fills it up.
    let used = (width * format.bits()).div_ceil(8);
    if data.len() < stride * (height - 1) + used {
        return Err(Fault::Truncated);
    }
    let (mut pixels, mut opacity) = (Vec::with_capacity(width * height * 3), Vec::new());
    for y in 0..height {
        let row = if header.top_down { y } else { height - 1 - y };
        let row = &data[row * stride..row * stride + used];
        match format {
            Format::Indexed(bits) => pixels.extend((0..width).flat_map(|x| {
                let place = x * bits;
                let index = row[place / 8] >> (8 - bits - place % 8) & (0xff >> (8 - bits));
                header.palette[usize::from(index)]
            })),
            Format::Short { green_bits } => {
                pixels.extend(
                    row.as_chunks().0.iter().flat_map(|&pixel| short(u16::from_le_bytes(pixel), green_bits)),
                );
            }
            Format::Bytes { size, red, green, blue, opacity: place } => {
                pixels
                    .extend(row.chunks_exact(size).flat_map(|pixel| [pixel[red], pixel[green], pixel[blue]]));
                if let Some(place) = place {
                    opacity.extend(row.chunks_exact(size).map(|pixel| u16::from(pixel[place]) * 257));
                }
            }
        }
    }
    Ok((pixels, opacity))
}

/// Red, green and blue of 16 bits, on the scale of 8, cut.
fn short(pixel: u16, green_bits: u32) -> [u8; 3] {
    let channel = |shift: u32, bits: u32| {
        let most = (1u32 << bits) - 1;
        ((u32::from(pixel) >> shift & most) * 255 / most) as u8
    };
    [channel(5 + green_bits, 5), channel(5, green_bits), channel(0, 5)]
}
