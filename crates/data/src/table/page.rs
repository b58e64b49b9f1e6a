//! Headers of pages: what a page holds, checked before memory is taken for it.

use parquet::basic::Compression;

use super::thrift::{Malformed, STRUCT, Thrift};

/// The most bytes that a page may have, whatever the limit on memory: a thousand photographs of half a megabyte are
/// fewer.
pub(super) const MAX_PAGE: u64 = 1 << 30;
/// The most rows that a page may have: of 64 bytes each in memory.
pub(super) const MAX_ROWS: u64 = 1 << 24;

/// Kind of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Data,
    Dictionary,
    /// One that holds no values.
    Other,
}

/// Header of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) kind: PageKind,
    /// Bytes of the header itself.
    pub(super) length: u64,
    /// Bytes of the page in the file.
    pub(super) packed: u64,
    /// Bytes of the page unpacked.
    pub(super) unpacked: u64,
    /// Number of values, absent ones among them.
    pub(super) values: u64,
    /// Number of the encoding, as the format counts them.
    pub(super) encoding: i64,
    /// Bytes at the page's start that are not compressed.
    pub(super) levels: u64,
}

/// Reason for which a page is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadPage {
    /// The bytes end within its header.
    Short,
    /// It contradicts the format, or is not read.
    Wrong(String),
}

fn wrong(detail: impl Into<String>) -> BadPage {
    BadPage::Wrong(detail.into())
}

impl From<Malformed> for BadPage {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Short => Self::Short,
            Malformed::Wrong => wrong("a page's header is damaged"),
        }
    }
}

impl PageHeader {
    /// Reads the header at the start of `bytes`, and checks it for a column of this compression, whose pages have
    /// `most` bytes at the most.
    pub(super) fn read(bytes: &[u8], codec: Compression, most: u64) -> Result<Self, BadPage> {
        let mut thrift = Thrift::new(bytes);
        let (mut kind, mut unpacked, mut packed, mut inner) = (None, None, None, [None; 3]);
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match (field.number, field.kind) {
                (1, 4..=6) => kind = Some(thrift.number()?),
                (2, 4..=6) => unpacked = Some(thrift.number()?),
                (3, 4..=6) => packed = Some(thrift.number()?),
                (5, STRUCT) => inner[0] = Some(Inner::read(&mut thrift, 2)?),
                (7, STRUCT) => inner[1] = Some(Inner::read(&mut thrift, 2)?),
                (8, STRUCT) => inner[2] = Some(Inner::read(&mut thrift, 4)?),
                (_, kind) => thrift.skip(kind)?,
            }
        }
        let (kind, inner) = match kind {
            Some(0) => (PageKind::Data, inner[0]),
            Some(2) => (PageKind::Dictionary, inner[1]),
            Some(3) => (PageKind::Data, inner[2]),
            _ => (PageKind::Other, Some(Inner { values: 0, encoding: 0, levels: 0 })),
        };
        let damaged = || wrong("a page's header lacks its sizes, or they are negative");
        let size = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok()).ok_or_else(damaged);
        let Inner { values, encoding, levels } = inner.ok_or_else(damaged)?;
        let header = Self {
            kind,
            length: thrift.position() as u64,
            packed: size(packed)?,
            unpacked: size(unpacked)?,
            values: size(Some(values))?,
            encoding,
            levels: size(Some(levels))?,
        };
        header.check(codec, most)?;
        Ok(header)
    }

    fn check(&self, codec: Compression, most: u64) -> Result<(), BadPage> {
        let Self { packed, unpacked, values, .. } = *self;
        if unpacked > most || packed > most {
            let size = unpacked.max(packed);
            return Err(wrong(format!(
                "a page of {size} bytes, where {most} are the most; help: write it with fewer rows a row group"
            )));
        }
        if unpacked > most_unpacked(codec, packed) {
            return Err(wrong(format!(
                "a page of {packed} bytes that unpacks to {unpacked}, which cannot be"
            )));
        }
        // A value of a dictionary has 4 bytes at least.
        if values > MAX_ROWS || (self.kind == PageKind::Dictionary && values > unpacked / 4) {
            return Err(wrong(format!("a page of {values} values in {unpacked} bytes")));
        }
        Ok(())
    }

    /// True where the values are in an encoding in which a small page may hold any number of bytes.
    pub(super) fn is_delta(&self) -> bool {
        // DELTA_LENGTH_BYTE_ARRAY, whose list of lengths is as long as it says, and DELTA_BYTE_ARRAY.
        self.kind == PageKind::Data && matches!(self.encoding, 6 | 7)
    }

    /// True where the values are places in the dictionary.
    pub(super) fn needs_dictionary(&self) -> bool {
        self.kind == PageKind::Data && matches!(self.encoding, 2 | 8)
    }
}

/// The most bytes that so many can be of: by the longest matches of each format.
fn most_unpacked(codec: Compression, packed: u64) -> u64 {
    let times = match codec {
        Compression::UNCOMPRESSED => 1,
        Compression::SNAPPY => 64,
        Compression::LZ4 | Compression::LZ4_RAW => 256,
        Compression::GZIP(_) => 1032,
        // Blocks of 128 KiB, of 4 bytes at least.
        _ => 1 << 15,
    };
    packed.saturating_mul(times).saturating_add(64)
}

/// Values of a page, as its header says them.
#[derive(Clone, Copy)]
struct Inner {
    values: i64,
    encoding: i64,
    levels: i64,
}

impl Inner {
    /// Reads it, where field 1 has the number of values; where field 4 has the encoding, 5 and 6 have the bytes of
    /// levels.
    fn read(thrift: &mut Thrift, encoding_field: i16) -> Result<Self, BadPage> {
        let (mut values, mut encoding, mut levels) = (None, None, 0i64);
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match (field.number, field.kind) {
                (1, 4..=6) => values = Some(thrift.number()?),
                (number, 4..=6) if number == encoding_field => encoding = Some(thrift.number()?),
                (5 | 6, 4..=6) if encoding_field == 4 => levels = levels.saturating_add(thrift.number()?),
                (_, kind) => thrift.skip(kind)?,
            }
        }
        match values.zip(encoding) {
            Some((values, encoding)) => Ok(Self { values, encoding, levels }),
            None => Err(wrong("a page's header lacks its number of values")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header of a data page: type, unpacked, packed, {values, encoding PLAIN, RLE, RLE}.
    fn header(unpacked: &[u8], packed: &[u8], values: &[u8]) -> Vec<u8> {
        let inner = [&[0x2c, 0x15][..], values, &[0x15, 0, 0x15, 6, 0x15, 6, 0, 0]].concat();
        [&[0x15, 0, 0x15][..], unpacked, &[0x15], packed, &inner].concat()
    }

    #[test]
    fn a_header_says_what_follows() {
        let bytes = header(&[40], &[40], &[6]);
        let read =
            PageHeader::read(&[&bytes[..], b"rest"].concat(), Compression::UNCOMPRESSED, MAX_PAGE).unwrap();
        let wanted = PageHeader {
            kind: PageKind::Data,
            length: bytes.len() as u64,
            packed: 20,
            unpacked: 20,
            values: 3,
            encoding: 0,
            levels: 0,
        };
        assert_eq!(read, wanted);
        for end in 0..bytes.len() {
            assert_eq!(PageHeader::read(&bytes[..end], Compression::UNCOMPRESSED, 64), Err(BadPage::Short));
        }
    }

    #[test]
    fn claims_are_refused() {
        let huge = [0xfe, 0xff, 0xff, 0xff, 0x0f];
        for (unpacked, packed, values) in [
            (&huge[..], &[40][..], &[6][..]),
            (&[40], &huge, &[6]),
            (&[40], &[40], &huge),
            (&[39], &[40], &[6]),
            (&[40], &[39], &[6]),
            (&[40], &[40], &[7]),
            (&[0xfe, 0xff, 0xff, 7], &[40], &[6]),
        ] {
            let read = PageHeader::read(&header(unpacked, packed, values), Compression::SNAPPY, MAX_PAGE);
            assert!(matches!(read, Err(BadPage::Wrong(_))), "{read:?}");
        }
    }
}
