//! Sizes of values in a delta encoding, known before the values are decoded: a value may share a prefix with the one
//! before it, and so a small page may hold any number of bytes.
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>)

use parquet::basic::Encoding;
use parquet::column::page::Page;

/// Values of a miniblock are packed into words of at most so many bits.
const MAX_WIDTH: usize = 64;

/// Bytes that the values of a page take when they are decoded, 0 for a page in another encoding.
///
/// `levels` has the column's highest levels of repetition and of definition.
///
/// # Errors
/// A sentence where the lengths are not those of the page's values.
pub(super) fn size(page: &Page, levels: [i16; 2]) -> Result<u64, String> {
    let damaged = || "the lengths of a page's values are damaged".to_owned();
    let encoding = page.encoding();
    if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
        return Ok(0);
    }
    let bytes = values(page, levels).ok_or_else(damaged)?;
    let most = u64::from(page.num_values());
    let lengths = Lengths::read(bytes, most).ok_or_else(damaged)?;
    if encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY {
        return Ok(lengths.sum);
    }
    let suffixes = Lengths::read(&bytes[lengths.end..], most).ok_or_else(damaged)?;
    Ok(lengths.sum.saturating_add(suffixes.sum))
}

/// Bytes of a page behind its levels.
fn values(page: &Page, levels: [i16; 2]) -> Option<&[u8]> {
    match page {
        Page::DataPage { buf, rep_level_encoding, def_level_encoding, .. } => {
            let encodings = [rep_level_encoding, def_level_encoding];
            let mut bytes = &buf[..];
            for (_, encoding) in levels.into_iter().zip(encodings).filter(|&(highest, _)| highest > 0) {
                if *encoding != Encoding::RLE {
                    return None;
                }
                let (length, rest) = bytes.split_first_chunk()?;
                bytes = rest.get(u32::from_le_bytes(*length) as usize..)?;
            }
            Some(bytes)
        }
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
            buf.get(def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize..)
        }
        Page::DictionaryPage { .. } => None,
    }
}

/// Lengths in the encoding `DELTA_BINARY_PACKED`.
struct Lengths {
    sum: u64,
    /// Number of bytes that they take in the page.
    end: usize,
}

impl Lengths {
    /// The lengths at the start of `bytes`; `None` where they are damaged, negative or more than `most`.
    fn read(bytes: &[u8], most: u64) -> Option<Self> {
        let mut bits = Bits { bytes, at: 0 };
        let (block, blocks) = (bits.unsigned()?, bits.unsigned()?);
        let (count, first) = (bits.unsigned()?, bits.signed()?);
        let per = usize::try_from(block.checked_div(blocks)?).ok()?;
        let blocks = usize::try_from(blocks).ok()?;
        if count > most || per == 0 || per % 32 != 0 || blocks > bytes.len() {
            return None;
        }
        let Some(mut left) = usize::try_from(count).ok()?.checked_sub(1) else {
            return Some(Self { sum: 0, end: bits.at });
        };
        let mut last = first;
        let mut sum = u64::try_from(first).ok()?;
        while left > 0 {
            let smallest = bits.signed()?;
            let widths = bits.take(blocks)?;
            for &width in widths {
                // Widths of miniblocks behind the last value say nothing.
                if left == 0 {
                    break;
                }
                let width = usize::from(width);
                let words = bits.take(per.checked_mul(width).filter(|_| width <= MAX_WIDTH)? / 8)?;
                for at in 0..per.min(left) {
                    let delta = word(words, at * width, width).cast_signed();
                    last = last.wrapping_add(delta).wrapping_add(smallest);
                    sum = sum.checked_add(u64::try_from(last).ok()?)?;
                }
                left = left.saturating_sub(per);
            }
        }
        Some(Self { sum, end: bits.at })
    }
}

/// Word of `width` bits, 64 at the most, that starts at a bit.
fn word(bytes: &[u8], start: usize, width: usize) -> u64 {
    let taken = bytes[start / 8..].iter().take(9).enumerate();
    let joined = taken.fold(0u128, |joined, (place, &byte)| joined | (u128::from(byte) << (8 * place)));
    (joined >> (start % 8)) as u64 & u64::MAX.checked_shr(64 - width as u32).unwrap_or(0)
}

/// Reader of variable-length numbers.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of Parquet's own examples of the encoding: 1, 2, 3, 4, 5, whose deltas take no bits, and
    /// 7, 5, 3, 1, 2, 3, 4, 5, whose deltas take two.
    #[test]
    fn the_examples_of_the_format_have_their_sums() {
        let equal = [128, 1, 4, 5, 2, 2, 0, 0, 0, 0];
        let found = Lengths::read(&equal, 5).unwrap();
        assert_eq!((found.sum, found.end), (15, 10));
        let two = [[128, 1, 4, 8, 14, 3, 2, 0, 0, 0].as_slice(), &[0xc0, 0x3f], &[0; 6]].concat();
        let found = Lengths::read(&two, 8).unwrap();
        assert_eq!((found.sum, found.end), (30, 18));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let good = [128, 1, 4, 5, 2, 2, 0, 0, 0, 0];
        assert!(Lengths::read(&good, 4).is_none(), "more than the page's values");
        assert!((0..good.len()).all(|length| Lengths::read(&good[..length], 5).is_none()), "cut");
        for (place, value) in [(2, 0), (1, 0), (4, 1), (5, 3), (6, 65), (6, 255)] {
            let mut bad = good;
            bad[place] = value;
            assert!(Lengths::read(&bad, 5).is_none(), "{value} at {place}");
        }
        let none = Lengths::read(&[128, 1, 4, 0, 0], 5).unwrap();
        assert_eq!((none.sum, none.end), (0, 5));
        assert!(Lengths::read(&[0xff; 40], 5).is_none());
    }

    /// A thousand prefixes of a megabyte each, and suffixes of nothing, in a page of 60 bytes.
    #[test]
    fn a_page_says_what_its_values_grow_to() {
        let count = [0xe8, 7];
        let lengths = |first: &[u8]| {
            let blocks = [0; 5].repeat(1000usize.div_ceil(128));
            [&[128, 1, 4][..], &count, first, &blocks].concat()
        };
        let prefixes = lengths(&[0x80, 0x80, 0x80, 1]);
        let page = |encoding| Page::DataPage {
            buf: [prefixes.clone(), lengths(&[0])].concat().into(),
            num_values: 1000,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        assert_eq!(size(&page(Encoding::DELTA_BYTE_ARRAY), [0, 0]), Ok(1000 << 20));
        assert_eq!(size(&page(Encoding::DELTA_LENGTH_BYTE_ARRAY), [0, 0]), Ok(1000 << 20));
        assert_eq!(size(&page(Encoding::PLAIN), [0, 0]), Ok(0));
        // Levels that are not there.
        assert!(size(&page(Encoding::DELTA_BYTE_ARRAY), [0, 1]).is_err());
    }

    #[test]
    fn words_are_taken_from_any_bit() {
        let bytes = 0x0123_4567_89ab_cdef_u64.to_le_bytes();
        assert_eq!(word(&bytes, 0, 64), 0x0123_4567_89ab_cdef);
        assert_eq!(word(&bytes, 4, 12), 0xcde);
        assert_eq!((word(&bytes, 60, 4), word(&bytes, 64, 0)), (0, 0));
        let long = [0x80, 1, 2, 3, 4, 5, 6, 7, 0x7f];
        assert_eq!(word(&long, 7, 64), 0xfe0e_0c0a_0806_0403);
    }
}
