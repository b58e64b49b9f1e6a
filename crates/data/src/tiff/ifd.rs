//! Image file directories (TIFF 6.0, section 2; BigTIFF): tags and their values, as TIFF and EXIF have them.

use crate::fault::Fault;

/// Tags that are read.
pub(crate) mod tag {
    pub(crate) const WIDTH: u16 = 256;
    pub(crate) const HEIGHT: u16 = 257;
    pub(crate) const BITS: u16 = 258;
    pub(crate) const COMPRESSION: u16 = 259;
    pub(crate) const PHOTOMETRIC: u16 = 262;
    pub(crate) const FILL_ORDER: u16 = 266;
    pub(crate) const STRIP_OFFSETS: u16 = 273;
    pub(crate) const ORIENTATION: u16 = 274;
    pub(crate) const SAMPLES: u16 = 277;
    pub(crate) const ROWS_PER_STRIP: u16 = 278;
    pub(crate) const STRIP_BYTES: u16 = 279;
    pub(crate) const PLANAR: u16 = 284;
    pub(crate) const PREDICTOR: u16 = 317;
    pub(crate) const COLOUR_MAP: u16 = 320;
    pub(crate) const TILE_WIDTH: u16 = 322;
    pub(crate) const TILE_HEIGHT: u16 = 323;
    pub(crate) const TILE_OFFSETS: u16 = 324;
    pub(crate) const TILE_BYTES: u16 = 325;
    pub(crate) const EXTRA_SAMPLES: u16 = 338;
    pub(crate) const SAMPLE_FORMAT: u16 = 339;
    pub(crate) const JPEG_TABLES: u16 = 347;
}

/// Entries of a directory; those that are written have a few dozen.
const MAX_ENTRIES: usize = 4096;

/// Bytes with an order, and offsets of 4 or 8 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    big_tiff: bool,
    /// Place of the first directory.
    first: usize,
}

impl<'a> Tiff<'a> {
    /// Header of a TIFF file, or of EXIF; `None` for other bytes.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        let (big_endian, version) = match bytes.first_chunk()? {
            [b'I', b'I', version, 0] => (false, *version),
            [b'M', b'M', 0, version] => (true, *version),
            _ => return None,
        };
        let mut tiff = Self { bytes, big_endian, big_tiff: version == 43, first: 0 };
        tiff.first = match version {
            42 => tiff.number(4, 4)?,
            43 => tiff.number(8, 8)?,
            _ => return None,
        };
        Some(tiff)
    }

    /// True where numbers begin with their highest byte.
    pub(crate) fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// An unsigned number of up to 8 bytes.
    fn number(&self, at: usize, size: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let add = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        let number =
            if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
        usize::try_from(number).ok()
    }

    /// The first directory.
    pub(crate) fn first(&self) -> Result<Directory<'a>, Fault> {
        self.directory(self.first)
    }

    /// The directory at a place.
    fn directory(&self, at: usize) -> Result<Directory<'a>, Fault> {
        let (count_size, entry_size, offset_size) = if self.big_tiff { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, count_size).ok_or(Fault::Truncated)?;
        if count > MAX_ENTRIES {
            return Err(Fault::Corrupt("a directory of thousands of entries"));
        }
        let start = at.checked_add(count_size).ok_or(Fault::Truncated)?;
        let end = start.checked_add(count * entry_size).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(Fault::Truncated)?;
        // What follows a last directory is often cut.
        let next = self.number(end, offset_size).filter(|&next| next != 0);
        Ok(Directory { tiff: *self, start, count, next })
    }
}

/// Directory: the tags of an image.
pub(crate) struct Directory<'a> {
    tiff: Tiff<'a>,
    start: usize,
    count: usize,
    next: Option<usize>,
}

impl<'a> Directory<'a> {
    /// The directory of the next page. Whoever follows them counts, since they may go around in a circle.
    pub(crate) fn next(&self) -> Option<Result<Directory<'a>, Fault>> {
        self.next.map(|at| self.tiff.directory(at))
    }

    /// Type, size of a value, and bytes of all values.
    fn entry(&self, tag: u16) -> Result<Option<Entry<'a>>, Fault> {
        let (entry_size, offset_size) = if self.tiff.big_tiff { (20, 8) } else { (12, 4) };
        for at in (0..self.count).map(|place| self.start + place * entry_size) {
            if self.tiff.number(at, 2) != Some(tag.into()) {
                continue;
            }
            let kind = self.tiff.number(at + 2, 2).ok_or(Fault::Truncated)?;
            let count = self.tiff.number(at + 4, offset_size).ok_or(Fault::Truncated)?;
            let size = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16 | 17 | 18 => 8,
                _ => return Err(Fault::Corrupt("a tag of an unknown type")),
            };
            let length = count.checked_mul(size).ok_or(Fault::Truncated)?;
            let inside = at + 4 + offset_size;
            let start = match length <= offset_size {
                true => inside,
                false => self.tiff.number(inside, offset_size).ok_or(Fault::Truncated)?,
            };
            let end = start.checked_add(length).filter(|&end| end <= self.tiff.bytes.len());
            let end = end.ok_or(Fault::Truncated)?;
            return Ok(Some(Entry { tiff: self.tiff, kind, size, start, end }));
        }
        Ok(None)
    }

    /// Whole numbers of a tag; `None` where the tag is missing.
    pub(crate) fn numbers(&self, tag: u16) -> Result<Option<Vec<usize>>, Fault> {
        let Some(entry) = self.entry(tag)? else { return Ok(None) };
        if !matches!(entry.kind, 1 | 3 | 4 | 7 | 13 | 16) {
            return Err(Fault::Corrupt("a tag that is no whole number"));
        }
        let places = (entry.start..entry.end).step_by(entry.size);
        let numbers = places.map(|at| entry.tiff.number(at, entry.size).ok_or(Fault::Truncated));
        numbers.collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// The first whole number of a tag.
    pub(crate) fn number(&self, tag: u16) -> Result<Option<usize>, Fault> {
        let Some(entry) = self.entry(tag)? else { return Ok(None) };
        match entry.kind {
            1 | 3 | 4 | 13 | 16 if entry.end > entry.start => Ok(entry.tiff.number(entry.start, entry.size)),
            _ => Err(Fault::Corrupt("a tag that is no whole number")),
        }
    }

    /// Bytes of a tag.
    pub(crate) fn bytes(&self, tag: u16) -> Result<Option<&'a [u8]>, Fault> {
        Ok(self.entry(tag)?.map(|entry| &entry.tiff.bytes[entry.start..entry.end]))
    }
}

struct Entry<'a> {
    tiff: Tiff<'a>,
    kind: usize,
    size: usize,
    start: usize,
    end: usize,
}
