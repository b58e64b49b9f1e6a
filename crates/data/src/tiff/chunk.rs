//! Strips and tiles, unpacked.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus};

use super::ifd::Tiff;
use super::page::{Compression, Page, Predictor};
use crate::fault::Fault;

/// Unpacks a chunk of `rows` rows of `row_bytes` bytes: so many bytes, and an error where there are fewer.
pub(super) fn unpack(
    tiff: &Tiff<'_>,
    page: &Page<'_>,
    number: usize,
    [rows, row_bytes]: [usize; 2],
) -> Result<Vec<u8>, Fault> {
    let size = rows * row_bytes;
    let packed = packed(tiff, page, number, size)?;
    let mut bytes = match page.compression {
        Compression::None => packed.get(..size).ok_or(Fault::Truncated)?.to_vec(),
        Compression::PackBits => pack_bits(&packed, size)?,
        Compression::Lzw => lzw(&packed, size)?,
        Compression::Deflate => {
            let mut bytes = Vec::new();
            let read = ZlibDecoder::new(&packed[..]).take(size as u64).read_to_end(&mut bytes);
            match read {
                Ok(_) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(Fault::Truncated);
                }
                Err(_) => return Err(Fault::Corrupt("a damaged strip or tile (deflate)")),
            }
        }
        Compression::Jpeg => return Err(Fault::Corrupt("a JPEG in place of samples")),
    };
    if bytes.len() < size {
        return Err(Fault::Truncated);
    }
    let samples = if page.planar { 1 } else { page.samples };
    let predicted = Predicted { samples, big_endian: tiff.is_big_endian() };
    match page.predictor {
        Predictor::None => {}
        Predictor::Horizontal => {
            bytes.chunks_exact_mut(row_bytes).for_each(|row| predicted.horizontal(row, page.format.bits()));
        }
        Predictor::Float => bytes.chunks_exact_mut(row_bytes).for_each(|row| predicted.float(row)),
    }
    Ok(bytes)
}

/// The bytes of a chunk as they are in the file.
pub(super) fn packed<'a>(
    tiff: &Tiff<'a>,
    page: &Page<'_>,
    number: usize,
    size: usize,
) -> Result<Cow<'a, [u8]>, Fault> {
    let &(start, length) = page.chunks.get(number).ok_or(Fault::Corrupt("a strip or tile is missing"))?;
    let rest = tiff.bytes().get(start..).ok_or(Fault::Truncated)?;
    let packed = match page.compression {
        // A length that is wrong does not matter, as long as the samples are there.
        Compression::None => rest.get(..size),
        _ if length == usize::MAX => Some(rest),
        _ => rest.get(..length),
    };
    let packed = packed.ok_or(Fault::Truncated)?;
    Ok(match page.reversed_bits && page.compression != Compression::Jpeg {
        true => packed.iter().map(|byte| byte.reverse_bits()).collect::<Vec<u8>>().into(),
        false => packed.into(),
    })
}

fn pack_bits(packed: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
    let (mut bytes, mut rest) = (Vec::new(), packed);
    while bytes.len() < size {
        let (&head, behind) = rest.split_first().ok_or(Fault::Truncated)?;
        rest = match head {
            128 => behind,
            0..128 => {
                let (run, behind) = behind.split_at_checked(usize::from(head) + 1).ok_or(Fault::Truncated)?;
                bytes.extend_from_slice(run);
                behind
            }
            _ => {
                let (&value, behind) = behind.split_first().ok_or(Fault::Truncated)?;
                bytes.resize(bytes.len() + 257 - usize::from(head), value);
                behind
            }
        };
    }
    bytes.truncate(size);
    Ok(bytes)
}

fn lzw(packed: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
    /// Bytes that are unpacked at a time, so that memory follows what there is.
    const PART: usize = 1 << 16;
    // What began before version 6 has its codes the other way around.
    if matches!(packed, [0, second, ..] if second & 1 == 1) {
        return Err(Fault::Unsupported("a TIFF image with LZW's old compression"));
    }
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let (mut bytes, mut rest) = (Vec::new(), packed);
    while bytes.len() < size {
        let start = bytes.len();
        bytes.resize((start + PART).min(size), 0);
        let step = decoder.decode_bytes(rest, &mut bytes[start..]);
        rest = &rest[step.consumed_in..];
        bytes.truncate(start + step.consumed_out);
        match step.status {
            Ok(LzwStatus::Ok) => {}
            Ok(LzwStatus::Done | LzwStatus::NoProgress) => break,
            Err(_) => return Err(Fault::Corrupt("a damaged strip or tile (LZW)")),
        }
    }
    Ok(bytes)
}

/// Rows of which differences were taken.
struct Predicted {
    samples: usize,
    big_endian: bool,
}

impl Predicted {
    /// Adds to each sample the one before, of whole numbers.
    fn horizontal(&self, row: &mut [u8], bits: usize) {
        let step = self.samples * bits / 8;
        match bits {
            8 => {
                for at in step..row.len() {
                    row[at] = row[at].wrapping_add(row[at - step]);
                }
            }
            16 => self.add::<2>(row, step, |bytes, big| {
                u64::from(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
            }),
            _ => self.add::<4>(row, step, |bytes, big| {
                u64::from(if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
            }),
        }
    }

    fn add<const N: usize>(&self, row: &mut [u8], step: usize, value: fn([u8; N], bool) -> u64) {
        let at_place =
            |row: &[u8], at: usize| row[at..].first_chunk().map_or(0, |&b| value(b, self.big_endian));
        for at in (step..row.len() - row.len() % N).step_by(N) {
            let sum = at_place(row, at).wrapping_add(at_place(row, at - step));
            let (little, big) = (sum.to_le_bytes(), sum.to_be_bytes());
            let bytes = if self.big_endian { &big[8 - N..] } else { &little[..N] };
            row[at..at + N].copy_from_slice(bytes);
        }
    }

    /// Floats of 32 bits: differences of bytes, all highest ones first (Adobe's technical note 3).
    fn float(&self, row: &mut [u8]) {
        for at in self.samples..row.len() {
            row[at] = row[at].wrapping_add(row[at - self.samples]);
        }
        let count = row.len() / 4;
        let sorted = row.to_vec();
        for (place, float) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let bytes = [0, 1, 2, 3].map(|weight| sorted[weight * count + place]);
            let value = u32::from_be_bytes(bytes);
            *float = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        }
    }
}
