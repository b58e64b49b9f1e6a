//! Headers and palette of a bitmap.

use crate::fault::Fault;

/// Bytes before the header of the image.
const FILE_HEADER: usize = 14;

/// Test for bytes that begin as a bitmap does. The size of the header that follows the one of the file tells it from a
/// text that begins with BM.
pub(crate) fn is_bmp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BM")
        && matches!(bytes.get(14..18), Some(&[12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// Format of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Place in the palette, of so many bits: 1, 4 or 8.
    Indexed(usize),
    /// 16 bits, 5 for blue and red, and as many or one more for green.
    Short { green_bits: u32 },
    /// Bytes of a pixel, and the places of red, green, blue and the opacity among them.
    Bytes { size: usize, red: usize, green: usize, blue: usize, opacity: Option<usize> },
}

impl Format {
    /// Bits of a pixel.
    pub(super) fn bits(self) -> usize {
        match self {
            Self::Indexed(bits) => bits,
            Self::Short { .. } => 16,
            Self::Bytes { size, .. } => 8 * size,
        }
    }
}

/// All that stands before the pixels.
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    /// True where the first row is the uppermost.
    pub(super) top_down: bool,
    pub(super) format: Format,
    /// True for run lengths.
    pub(super) runs: bool,
    pub(super) palette: [[u8; 3]; 256],
    /// Place of the first pixel.
    pub(super) offset: usize,
}

/// Little-endian numbers of the file.
#[derive(Clone, Copy)]
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn short(self, at: usize) -> Result<u16, Fault> {
        let &bytes = self.0.get(at..).and_then(<[u8]>::first_chunk).ok_or(Fault::Truncated)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn long(self, at: usize) -> Result<u32, Fault> {
        let &bytes = self.0.get(at..).and_then(<[u8]>::first_chunk).ok_or(Fault::Truncated)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let numbers = Numbers(bytes);
        let size = numbers.long(FILE_HEADER)? as usize;
        let old = size == 12;
        let at = FILE_HEADER + 4;
        let (width, height, bits, compression, colours) = if old {
            (numbers.short(at)?.into(), i32::from(numbers.short(at + 2)?), numbers.short(at + 6)?, 0, 0)
        } else {
            let height = numbers.long(at + 4)?.cast_signed();
            let (bits, compression) = (numbers.short(at + 10)?, numbers.long(at + 12)?);
            (numbers.long(at)? as usize, height, bits, compression, numbers.long(at + 28)? as usize)
        };
        if width == 0 || height == 0 {
            return Err(Fault::Corrupt("a bitmap without width or height"));
        }
        let format = format(numbers, bits, compression, size)?;
        let (entry, end) = (if old { 3 } else { 4 }, FILE_HEADER + size);
        let colours = if colours == 0 { 1 << bits.min(8) } else { colours };
        let mut header = Self {
            width,
            height: height.unsigned_abs() as usize,
            top_down: height < 0,
            format,
            runs: matches!(compression, 1 | 2),
            // Colours that are not listed are grey, as Pillow has them.
            palette: std::array::from_fn(|place| [place as u8; 3]),
            offset: numbers.long(10)? as usize,
        };
        if let Format::Indexed(_) = format {
            if colours > 1 << 16 {
                return Err(Fault::Corrupt("a palette of too many colours"));
            }
            let listed = bytes.get(end..).unwrap_or_default().chunks_exact(entry).take(colours);
            for (colour, listed) in header.palette.iter_mut().zip(listed) {
                *colour = [listed[2], listed[1], listed[0]];
            }
            if header.offset == end || header.offset == 0 {
                header.offset = end + colours * entry;
            }
        } else if header.offset == 0 {
            header.offset = end + if compression == 3 && size == 40 { 12 } else { 0 };
        }
        Ok(header)
    }
}

fn format(numbers: Numbers<'_>, bits: u16, compression: u32, size: usize) -> Result<Format, Fault> {
    const MASKS: usize = FILE_HEADER + 40;
    let plain = |size| Format::Bytes { size, red: 2, green: 1, blue: 0, opacity: None };
    match (bits, compression) {
        (1 | 4 | 8, 0) | (8, 1) | (4, 2) => Ok(Format::Indexed(bits.into())),
        (16, 0) => Ok(Format::Short { green_bits: 5 }),
        (24, 0) => Ok(plain(3)),
        (32, 0) => Ok(plain(4)),
        (16 | 24 | 32, 3) => {
            let mask = |place: usize| numbers.long(MASKS + 4 * place);
            let opacity = if size >= 56 { mask(3)? } else { 0 };
            of_masks(bits, [mask(0)?, mask(1)?, mask(2)?, opacity])
        }
        (_, 4 | 5) => Err(Fault::Unsupported("a bitmap around a JPEG or PNG image")),
        (1 | 4 | 8 | 16 | 24 | 32, _) => Err(Fault::Unsupported("a bitmap with an unusual compression")),
        _ => Err(Fault::Unsupported("a bitmap with an unusual number of bits")),
    }
}

/// Format of `[red, green, blue, opacity]` by their masks: whole bytes, or the two layouts of 16 bits.
fn of_masks(bits: u16, masks: [u32; 4]) -> Result<Format, Fault> {
    let unusual = Fault::Unsupported("a bitmap whose channels are not whole bytes");
    let place = |mask: u32| match mask {
        0xff => Some(0),
        0xff00 => Some(1),
        0xff_0000 => Some(2),
        0xff00_0000 => Some(3),
        _ => None,
    };
    match (bits, masks) {
        (16, [0xf800, 0x7e0, 0x1f, _]) => Ok(Format::Short { green_bits: 6 }),
        (16, [0x7c00, 0x3e0, 0x1f, _]) => Ok(Format::Short { green_bits: 5 }),
        (16, _) => Err(unusual),
        (32, [0, 0, 0, 0]) => Ok(Format::Bytes { size: 4, red: 2, green: 1, blue: 0, opacity: Some(3) }),
        (_, [red, green, blue, opacity]) => {
            let size = usize::from(bits / 8);
            let inside = |mask| place(mask).filter(|&place| place < size).ok_or(unusual);
            let opacity = if opacity == 0 || size < 4 { None } else { Some(inside(opacity)?) };
            Ok(Format::Bytes { size, red: inside(red)?, green: inside(green)?, blue: inside(blue)?, opacity })
        }
    }
}
