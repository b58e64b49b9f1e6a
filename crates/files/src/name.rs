//! Names of files, printed so that they cannot change what stands around them.

use std::ffi::OsStr;
use std::fmt::{self, Write};

/// A name to print: control characters, and bytes that are not UTF-8, become `\n`, `\u{1b}` or `\xe9`.
///
/// ```
/// assert_eq!(residual_files::escaped("a\x1b[31mb").to_string(), "a\\u{1b}[31mb");
/// ```
pub fn escaped(name: &(impl AsRef<OsStr> + ?Sized)) -> Escaped<'_> {
    Escaped(name.as_ref())
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a OsStr);

impl Escaped<'_> {
    /// Whether the name is printed as it is.
    pub fn is_plain(&self) -> bool {
        self.0.to_str().is_some_and(|name| name.chars().all(is_plain))
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_plain(character) {
                    f.write_char(character)?
                } else {
                    write!(f, "{}", character.escape_default())?
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal shows the character where it stands. Marks that turn the direction of writing do not.
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(escaped("café 猫.jpg").to_string(), "café 猫.jpg");
        assert_eq!(escaped("a\nb\u{202e}c").to_string(), "a\\nb\\u{202e}c");
        assert!(escaped("café 猫.jpg").is_plain() && !escaped("a\tb").is_plain());
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_are_told_apart() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(escaped(OsStr::from_bytes(b"caf\xe9")).to_string(), "caf\\xe9");
        assert_eq!(escaped(OsStr::from_bytes(b"caf\xe8")).to_string(), "caf\\xe8");
    }
}
