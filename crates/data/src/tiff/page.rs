//! What a directory says about its image.

use super::ifd::{Directory, tag};
use crate::Orientation;
use crate::fault::Fault;

/// Meaning of the samples of a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// Grey; `inverted` where 0 is white.
    Grey {
        inverted: bool,
    },
    Rgb,
    /// Red, green and blue of each index.
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// JPEG's, whose decoder makes RGB of it.
    YCbCr,
}

impl Colour {
    /// Samples of a pixel, without opacity.
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Compression of strips and tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Jpeg,
}

/// Predictor of a row's samples: each is stored as the difference to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    /// Bytes of floats, sorted by their weight.
    Float,
}

/// Format of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Unsigned, of 1, 2, 4 or 8 bits.
    Bits(usize),
    /// Unsigned, of 16 bits.
    Short,
    /// Float of 32 bits.
    Float,
}

impl Format {
    pub(super) fn bits(self) -> usize {
        match self {
            Self::Bits(bits) => bits,
            Self::Short => 16,
            Self::Float => 32,
        }
    }
}

/// Opacity of a pixel among its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    Separate,
    /// The colours are multiplied with it.
    Multiplied,
}

/// An image, as its directory describes it.
#[derive(Clone, Debug)]
pub(super) struct Page<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) format: Format,
    /// Samples of a pixel as they are stored.
    pub(super) samples: usize,
    pub(super) colour: Colour,
    pub(super) alpha: Alpha,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// True where bytes begin with their lowest bit.
    pub(super) reversed_bits: bool,
    /// True where each sample has planes of its own.
    pub(super) planar: bool,
    /// `[height, width]` of a strip or a tile.
    pub(super) chunk: [usize; 2],
    /// True for tiles, which are filled up at the edges.
    pub(super) tiled: bool,
    /// Places and lengths of the chunks.
    pub(super) chunks: Vec<(usize, usize)>,
    pub(super) jpeg_tables: Option<&'a [u8]>,
    pub(super) orientation: Orientation,
}

impl<'a> Page<'a> {
    pub(super) fn read(directory: &Directory<'a>) -> Result<Self, Fault> {
        let number = |tag, missing: usize| Ok::<_, Fault>(directory.number(tag)?.unwrap_or(missing));
        let required =
            |tag| directory.number(tag)?.filter(|&side| side > 0).ok_or(Fault::Corrupt("no width or height"));
        let (width, height) = (required(tag::WIDTH)?, required(tag::HEIGHT)?);
        let compression = compression(number(tag::COMPRESSION, 1)?)?;
        let photometric = number(tag::PHOTOMETRIC, 0)?;
        let format = format(directory)?;
        let samples = number(tag::SAMPLES, if photometric == 6 { 3 } else { 1 })?;
        if !(1..=8).contains(&samples) {
            return Err(Fault::Unsupported("a TIFF image of more than 8 samples a pixel"));
        }
        let colour = colour(directory, photometric, compression, format)?;
        if samples < colour.samples() {
            return Err(Fault::Corrupt("fewer samples than its colours have"));
        }
        let tiled = directory.number(tag::TILE_WIDTH)?.is_some();
        let chunk = match tiled {
            true => [number(tag::TILE_HEIGHT, 0)?, number(tag::TILE_WIDTH, 0)?],
            false => [number(tag::ROWS_PER_STRIP, height)?.min(height), width],
        };
        if chunk.contains(&0) || chunk.iter().any(|&side| side > 1 << 20) {
            return Err(Fault::Corrupt("strips or tiles without a size"));
        }
        let mut page = Self {
            width,
            height,
            format,
            samples,
            alpha: alpha(directory, &colour, samples)?,
            colour,
            compression,
            predictor: predictor(number(tag::PREDICTOR, 1)?, compression, format)?,
            reversed_bits: number(tag::FILL_ORDER, 1)? == 2,
            planar: number(tag::PLANAR, 1)? == 2 && samples > 1,
            chunk,
            tiled,
            chunks: Vec::new(),
            jpeg_tables: directory.bytes(tag::JPEG_TABLES)?,
            orientation: Orientation::of_number(number(tag::ORIENTATION, 1).unwrap_or(1) as u64),
        };
        if page.planar && page.compression == Compression::Jpeg {
            return Err(Fault::Unsupported("a TIFF image with a JPEG for each channel"));
        }
        page.chunks = chunks(directory, &page)?;
        Ok(page)
    }

    /// Chunks along a row and down a column.
    pub(super) fn grid(&self) -> [usize; 2] {
        [self.height.div_ceil(self.chunk[0]), self.width.div_ceil(self.chunk[1])]
    }

    /// True where both are a channel each of one image.
    pub(super) fn stacks_on(&self, first: &Self) -> bool {
        let is_grey = |page: &Self| matches!(page.colour, Colour::Grey { .. }) && page.samples == 1;
        is_grey(self)
            && is_grey(first)
            && [self.width, self.height] == [first.width, first.height]
            && self.format == first.format
    }
}

fn compression(number: usize) -> Result<Compression, Fault> {
    Ok(match number {
        1 => Compression::None,
        5 => Compression::Lzw,
        8 | 32946 => Compression::Deflate,
        32773 => Compression::PackBits,
        7 => Compression::Jpeg,
        2..=4 => return Err(Fault::Unsupported("a TIFF image with a fax's compression (CCITT)")),
        6 => return Err(Fault::Unsupported("a TIFF image with JPEG's old compression")),
        50000 => return Err(Fault::Unsupported("a TIFF image compressed with Zstandard")),
        50001 => return Err(Fault::Unsupported("a TIFF image compressed with WebP")),
        34925 => return Err(Fault::Unsupported("a TIFF image compressed with LZMA")),
        _ => return Err(Fault::Unsupported("a TIFF image with an unusual compression")),
    })
}

fn format(directory: &Directory<'_>) -> Result<Format, Fault> {
    let bits = directory.numbers(tag::BITS)?.unwrap_or_else(|| vec![1]);
    let formats = directory.numbers(tag::SAMPLE_FORMAT)?.unwrap_or_else(|| vec![1]);
    let same = |list: &[usize]| list.windows(2).all(|pair| pair[0] == pair[1]);
    if !same(&bits) || !same(&formats) {
        return Err(Fault::Unsupported("a TIFF image whose channels differ in their format"));
    }
    match (bits.first(), formats.first()) {
        (Some(&bits @ (1 | 2 | 4 | 8)), Some(1)) => Ok(Format::Bits(bits)),
        (Some(16), Some(1)) => Ok(Format::Short),
        (Some(32), Some(3)) => Ok(Format::Float),
        (_, Some(2)) => Err(Fault::Unsupported("a TIFF image of signed numbers")),
        (_, Some(3)) => Err(Fault::Unsupported("a TIFF image of floats that do not have 32 bits")),
        _ => Err(Fault::Unsupported("a TIFF image with an unusual number of bits")),
    }
}

fn colour(
    directory: &Directory<'_>,
    photometric: usize,
    compression: Compression,
    format: Format,
) -> Result<Colour, Fault> {
    let whole = matches!(format, Format::Bits(8));
    match (photometric, format) {
        (0 | 1, _) => Ok(Colour::Grey { inverted: photometric == 0 }),
        (2, Format::Bits(8) | Format::Short | Format::Float) => Ok(Colour::Rgb),
        (3, Format::Bits(bits)) => palette(directory, bits).map(Colour::Palette),
        (5, Format::Bits(8) | Format::Short) if compression != Compression::Jpeg => Ok(Colour::Cmyk),
        (6, _) if compression == Compression::Jpeg && whole => Ok(Colour::YCbCr),
        (6, _) => Err(Fault::Unsupported("a TIFF image in YCbCr without JPEG")),
        (8..=10, _) => Err(Fault::Unsupported("a TIFF image in L*a*b*")),
        _ => Err(Fault::Unsupported("a TIFF image with unusual colours")),
    }
}

/// Palette: all reds, greens and blues of 16 bits, of which Pillow takes the high byte.
fn palette(directory: &Directory<'_>, bits: usize) -> Result<Vec<[u8; 3]>, Fault> {
    let map = directory.numbers(tag::COLOUR_MAP)?.ok_or(Fault::Corrupt("a palette is missing"))?;
    let count = 1 << bits;
    if map.len() < 3 * count {
        return Err(Fault::Corrupt("a palette is too short"));
    }
    Ok((0..count).map(|index| [0, 1, 2].map(|channel| (map[channel * count + index] >> 8) as u8)).collect())
}

fn alpha(directory: &Directory<'_>, colour: &Colour, samples: usize) -> Result<Alpha, Fault> {
    let extra = directory.numbers(tag::EXTRA_SAMPLES)?.unwrap_or_default();
    Ok(match (extra.first(), samples - colour.samples()) {
        (_, 0) => Alpha::None,
        (Some(1), _) => Alpha::Multiplied,
        (Some(2 | 999), _) => Alpha::Separate,
        // Four samples of RGB without a word about the fourth.
        (None, 1) if *colour == Colour::Rgb => Alpha::Separate,
        _ => Alpha::None,
    })
}

fn predictor(number: usize, compression: Compression, format: Format) -> Result<Predictor, Fault> {
    match (number, compression) {
        (1, _) | (_, Compression::None | Compression::PackBits | Compression::Jpeg) => Ok(Predictor::None),
        (2, _) if format.bits() >= 8 => Ok(Predictor::Horizontal),
        (3, _) if format == Format::Float => Ok(Predictor::Float),
        _ => Err(Fault::Unsupported("a TIFF image with an unusual predictor")),
    }
}

fn chunks(directory: &Directory<'_>, page: &Page<'_>) -> Result<Vec<(usize, usize)>, Fault> {
    let (offsets, bytes) = match page.tiled {
        true => (tag::TILE_OFFSETS, tag::TILE_BYTES),
        false => (tag::STRIP_OFFSETS, tag::STRIP_BYTES),
    };
    let missing = Fault::Corrupt("no strips and no tiles");
    let offsets = directory.numbers(offsets)?.ok_or(missing)?;
    let planes = if page.planar { page.samples } else { 1 };
    let [down, across] = page.grid();
    let count = down.saturating_mul(across).saturating_mul(planes);
    if offsets.len() < count {
        return Err(Fault::Corrupt("fewer strips or tiles than its size needs"));
    }
    let lengths = match directory.numbers(bytes)? {
        Some(lengths) if lengths.len() >= count => lengths,
        Some(_) => return Err(Fault::Corrupt("strips or tiles without a length")),
        // Old writers leave it out: all there is, which the pixels limit.
        None => vec![usize::MAX; count],
    };
    Ok(offsets.into_iter().zip(lengths).take(count).collect())
}
