//! Pictures inside a page.

use std::fmt::Write as _;

/// Picture of a page: the bytes of a PNG file, and what stands under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Bytes of a PNG file.
    pub png: Vec<u8>,
    /// Text for those who do not see it.
    pub description: String,
    /// Lines under it.
    pub lines: Vec<String>,
}

impl Picture {
    /// Address that holds the bytes themselves.
    pub(crate) fn address(&self) -> String {
        let mut address = String::from("data:image/png;base64,");
        for group in self.png.chunks(3) {
            let bits =
                group.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
            let letters = (0..4).map(|place| LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char);
            let letters = letters.take(group.len() + 1).collect::<String>();
            // Writing to a string does not fail.
            let _ = write!(address, "{letters:=<4}");
        }
        address
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn bytes_are_base64() {
        let of = |bytes: &[u8]| {
            Picture { png: bytes.to_vec(), description: String::new(), lines: vec![] }.address()
        };
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(of(bytes.as_bytes()), format!("data:image/png;base64,{text}"));
        }
        assert!(of(&[0xff; 3]).ends_with(",////"));
    }
}
