//! Memory for decoded images, as a user writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Limit on the memory for decoded images: `auto`, `off`, or a size such as `2GB`.
///
/// ```
/// use residual_data::CacheLimit;
/// assert_eq!("512MB".parse::<CacheLimit>()?, CacheLimit::Bytes(512_000_000));
/// assert_eq!(CacheLimit::Bytes(3 << 30).to_string(), "3GiB");
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CacheLimit {
    /// All images, where they fit in a quarter of the memory that is free; else none.
    #[default]
    Auto,
    /// No image: each is decoded every time.
    Off,
    /// Size in bytes: as many images as fit.
    Bytes(u64),
}

/// Units of sizes, the largest first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
];

impl CacheLimit {
    /// True for [`Auto`](Self::Auto).
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl FromStr for CacheLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::InvalidOption {
            option: "cache",
            found: text.to_owned(),
            expected: "auto, off, or a size such as 512MB or 2GiB",
        };
        match text {
            "auto" => return Ok(Self::Auto),
            "off" => return Ok(Self::Off),
            _ => {}
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[digits.len()..];
        let scale = match unit {
            "" => 1,
            _ => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(refused)?.1,
        };
        let number: f64 = digits.trim_end().parse().map_err(|_| refused())?;
        let bytes = number * scale as f64;
        // Beyond 2^53 there is no memory, and no byte is exact.
        if !(0.0..9e15).contains(&bytes) {
            return Err(refused());
        }
        Ok(if bytes < 1.0 { Self::Off } else { Self::Bytes(bytes as u64) })
    }
}

impl fmt::Display for CacheLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Bytes(bytes) => match UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit)) {
                Some((name, unit)) => write!(f, "{}{name}", bytes / unit),
                None => write!(f, "{bytes}"),
            },
        }
    }
}

impl TryFrom<String> for CacheLimit {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<CacheLimit> for String {
    fn from(limit: CacheLimit) -> Self {
        limit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<CacheLimit>().unwrap();
        assert_eq!(
            (read("auto"), read("off"), read("0")),
            (CacheLimit::Auto, CacheLimit::Off, CacheLimit::Off)
        );
        for (text, bytes) in
            [("1500", 1500), ("1.5 GB", 1_500_000_000), ("2gib", 2 << 30), ("3KiB", 3072), ("1kb", 1000)]
        {
            assert_eq!(read(text), CacheLimit::Bytes(bytes), "{text}");
        }
        for wrong in ["", "much", "-1GB", "GB", "1e300GB", "nan", "inf", "2 pounds", "1GB extra"] {
            let error = wrong.parse::<CacheLimit>().unwrap_err().to_string();
            assert!(error.contains("auto, off, or a size"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bytes in [1, 999, 1000, 1024, 5_000_000, 7 << 30, 123_456_789] {
            let limit = CacheLimit::Bytes(bytes);
            assert_eq!(limit.to_string().parse::<CacheLimit>().unwrap(), limit);
        }
    }
}
