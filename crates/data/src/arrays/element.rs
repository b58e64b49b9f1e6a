//! Elements of arrays.

/// Kind of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// Whole numbers of 1, 2, 4 or 8 bytes.
    Whole { bytes: usize, signed: bool, big_endian: bool },
    /// Floats of 4 or 8 bytes.
    Float { bytes: usize, big_endian: bool },
    /// Characters of 4 bytes, filled up with zeros.
    Text { characters: usize, big_endian: bool },
    /// Text in bytes, filled up with zeros.
    Bytes { length: usize },
}

impl Element {
    /// Bytes, one an element.
    pub(super) const U8: Self = Self::Whole { bytes: 1, signed: false, big_endian: false };

    /// Number of bytes of an element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Whole { bytes, .. } | Self::Float { bytes, .. } => bytes,
            Self::Text { characters, .. } => 4 * characters,
            Self::Bytes { length } => length,
        }
    }

    /// True for numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Whole { .. } | Self::Float { .. })
    }

    /// The kind that a description of NumPy names, such as `|u1` or `<U10`; `None` for any that is not read.
    pub(super) fn of_numpy(description: &str) -> Option<Self> {
        let (order, rest) = description.split_at_checked(1)?;
        let big_endian = match order {
            "<" | "|" => false,
            ">" => true,
            _ => return None,
        };
        let (kind, size) = rest.split_at_checked(1)?;
        let size: usize = size.parse().ok()?;
        match (kind, size) {
            ("u", 1 | 2 | 4 | 8) => Some(Self::Whole { bytes: size, signed: false, big_endian }),
            ("i", 1 | 2 | 4 | 8) => Some(Self::Whole { bytes: size, signed: true, big_endian }),
            ("b", 1) => Some(Self::U8),
            ("f", 4 | 8) => Some(Self::Float { bytes: size, big_endian }),
            ("U", 1..=MOST_CHARACTERS) => Some(Self::Text { characters: size, big_endian }),
            ("S", 1..=MOST_CHARACTERS) => Some(Self::Bytes { length: size }),
            _ => None,
        }
    }

    /// The kind that a code of an IDX file names (its third byte).
    pub(super) fn of_idx(code: u8) -> Option<Self> {
        let whole = |bytes, signed| Some(Self::Whole { bytes, signed, big_endian: true });
        match code {
            8 => Some(Self::U8),
            9 => whole(1, true),
            11 => whole(2, true),
            12 => whole(4, true),
            13 => Some(Self::Float { bytes: 4, big_endian: true }),
            14 => Some(Self::Float { bytes: 8, big_endian: true }),
            _ => None,
        }
    }

    /// Whole number of an element, or the number that is none. `element` has [`size`](Self::size) bytes, of a number.
    pub(super) fn whole(self, element: &[u8]) -> Result<i64, f64> {
        let (Self::Whole { big_endian, .. } | Self::Float { big_endian, .. } | Self::Text { big_endian, .. }) =
            self
        else {
            return Err(f64::NAN);
        };
        let mut bytes = [0; 8];
        let size = element.len().min(8);
        bytes[..size].copy_from_slice(&element[..size]);
        if big_endian {
            bytes[..size].reverse();
        }
        let unsigned = u64::from_le_bytes(bytes);
        match self {
            Self::Whole { signed: true, .. } => {
                let unused = 64 - 8 * size as u32;
                Ok((unsigned << unused).cast_signed() >> unused)
            }
            Self::Float { bytes: 4, .. } => exact(f64::from(f32::from_bits(unsigned as u32))),
            Self::Float { .. } => exact(f64::from_bits(unsigned)),
            _ => i64::try_from(unsigned).map_err(|_| unsigned as f64),
        }
    }

    /// Text of an element; `None` where it is no text.
    pub(super) fn text(self, element: &[u8]) -> Option<String> {
        match self {
            Self::Text { big_endian, .. } => {
                let (characters, _) = element.as_chunks::<4>();
                let code = |&bytes: &[u8; 4]| {
                    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
                };
                let end =
                    characters.iter().rposition(|character| code(character) != 0).map_or(0, |at| at + 1);
                characters[..end].iter().map(|character| char::from_u32(code(character))).collect()
            }
            _ => {
                let end = element.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
                std::str::from_utf8(&element[..end]).ok().map(str::to_owned)
            }
        }
    }
}

/// The most characters of a label.
const MOST_CHARACTERS: usize = 1024;

/// A float that is a whole number, and not so large that whole numbers are left out.
fn exact(value: f64) -> Result<i64, f64> {
    match value.fract() == 0.0 && value.abs() < (1u64 << 53) as f64 {
        true => Ok(value as i64),
        false => Err(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_kind_are_read() {
        let whole = |description: &str, bytes: &[u8]| Element::of_numpy(description).unwrap().whole(bytes);
        assert_eq!(whole("|u1", &[200]), Ok(200));
        assert_eq!(whole("|i1", &[200]), Ok(-56));
        assert_eq!(whole("<i2", &[0xfe, 0xff]), Ok(-2));
        assert_eq!(whole(">i4", &[0, 0, 1, 2]), Ok(258));
        assert_eq!(whole("<i8", &[0xff; 8]), Ok(-1));
        assert_eq!(whole("<u8", &[0xff; 8]), Err(u64::MAX as f64));
        assert_eq!(whole("<f4", &3f32.to_le_bytes()), Ok(3));
        assert_eq!(whole(">f8", &0.5f64.to_be_bytes()), Err(0.5));
        assert!(whole("<f8", &f64::NAN.to_le_bytes()).unwrap_err().is_nan());
        assert_eq!(whole("<f8", &1e300f64.to_le_bytes()), Err(1e300));
    }

    #[test]
    fn text_ends_where_zeros_fill_it_up() {
        let text = |description: &str, bytes: &[u8]| Element::of_numpy(description).unwrap().text(bytes);
        assert_eq!(text("<U2", &[99, 0, 0, 0, 0, 0, 0, 0]).as_deref(), Some("c"));
        assert_eq!(text(">U1", &[0, 0, 0, 99]).as_deref(), Some("c"));
        assert_eq!(text("|S3", b"ab\0").as_deref(), Some("ab"));
        assert_eq!(text("<U1", &[0xff; 4]), None);
        for other in ["|O", "<c8", "<f2", "|V3", "", "<U0", "<U99999999999", "=u1"] {
            assert_eq!(Element::of_numpy(other), None, "{other}");
        }
    }
}
