//! Numbers of bytes as people read them.

use std::fmt;

/// A number of bytes to print: `512 bytes`, `1.5 GB`; in powers of 1,000.
///
/// ```
/// assert_eq!(residual_files::HumanBytes(12_800_000_000).to_string(), "12.8 GB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanBytes(pub u64);

impl fmt::Display for HumanBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{} bytes", self.0);
        }
        let mut value = self.0 as f64;
        let mut unit = "";
        for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
            // What would be printed as 1000 of a unit is 1 of the next.
            if !unit.is_empty() && value < 999.95 {
                break;
            }
            (value, unit) = (value / 1000.0, next);
        }
        write!(f, "{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::HumanBytes;

    #[test]
    fn units_change_at_a_thousand() {
        for (bytes, wanted) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (31_000_000_000, "31.0 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(HumanBytes(bytes).to_string(), wanted);
        }
    }
}
