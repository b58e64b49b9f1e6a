//! Names of files, printed so that they cannot change what stands around them.

use std::ffi::OsStr;
use std::fmt::{self, Write};

/// Name to print: control characters, and bytes that are not UTF-8, become `\n`, `\u{1b}` or `\xe9`.
///
/// ```
/// assert_eq!(residual_files::escaped("a\x1b[31mb").to_string(), "a\\u{1b}[31mb");
/// ```
pub fn escaped(name: &(impl AsRef<OsStr> + ?Sized)) -> Escaped<'_> {
    escaped_bytes(name.as_ref().as_encoded_bytes())
}

/// Name in an archive to print, of its bytes: see [`escaped`].
pub fn escaped_bytes(name: &[u8]) -> Escaped<'_> {
    Escaped { name, backslashes: false }
}

/// Text for a name that stands for it: no two names have the same. Almost every name is its own text; one with
/// something to escape, or that reads like an escaped one, is escaped together with its backslashes.
///
/// ```
/// use residual_files::unambiguous;
/// assert_eq!(unambiguous("café".as_bytes()), "café");
/// assert_eq!(unambiguous(b"caf\xe9"), r"caf\xe9");
/// assert_eq!(unambiguous(br"caf\xe9"), r"caf\\xe9");
/// ```
pub fn unambiguous(name: &[u8]) -> String {
    let is_itself = escaped_bytes(name).is_plain();
    let reads_escaped = name
        .windows(2)
        .any(|pair| pair[0] == b'\\' && matches!(pair[1], b'\\' | b'n' | b'r' | b't' | b'u' | b'x'));
    Escaped { name, backslashes: !is_itself || reads_escaped }.to_string()
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    name: &'a [u8],
    /// True where backslashes are escaped too.
    backslashes: bool,
}

impl Escaped<'_> {
    /// True where the name is printed as it is.
    pub fn is_plain(&self) -> bool {
        std::str::from_utf8(self.name).is_ok_and(|name| name.chars().all(is_plain))
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.name.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_plain(character) && !(self.backslashes && character == '\\') {
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

/// Test for a character that a terminal shows the character where it stands. Marks that turn the direction of writing
/// do not.
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

    #[test]
    fn no_two_names_have_one_text() {
        let alphabet = [&b"\\"[..], b"x", b"u", b"n", b"\n", b"e9", b"\xe9", b"{a}", b"\xc3\xa9", b"b"];
        let mut names = vec![Vec::new()];
        let mut texts = std::collections::HashMap::new();
        for _ in 0..4 {
            names = names
                .iter()
                .flat_map(|name: &Vec<u8>| alphabet.iter().map(move |part| [name, *part].concat()))
                .collect();
            for name in &names {
                let other = texts.insert(unambiguous(name), name.clone());
                assert!(other.is_none_or(|other| other == *name), "{name:?}");
            }
        }
        assert_eq!(unambiguous(br"a\b"), r"a\b");
    }
}
