//! What Arrow keeps beside a table's columns: that all lists have one length, of which Parquet has no notion.

/// Key of Arrow's schema in the metadata of a table.
pub(crate) const KEY: &str = "ARROW:schema";

/// Message of Arrow's format with the schema `path: string not null, split: string, label: string, embedding:
/// fixed_size_list<element: float not null>[512] not null`, in hexadecimal digits, as pyarrow 26 serialises it:
/// `pa.schema([...]).serialize()`.
const MESSAGE: &str = "\
ffffffff480100001000000000000a000c000600050008000a000000000104000c000000080008000000040008000000\
0400000004000000ec000000b0000000740000000400000034ffffff0000001014000000240000000400000001000000\
2000000009000000656d62656464696e670006000800040006000000000200006cffffff000000031000000020000000\
040000000000000007000000656c656d656e740000000600080006000600000000000100d8ffffff0000010510000000\
180000000400000000000000050000006c6162656c00000090ffffff100014000800060007000c000000100010000000\
00000105100000001800000004000000000000000500000073706c6974000000c8ffffff100014000800000007000c00\
000010001000000000000005100000001c00000004000000000000000400000070617468000000000400040004000000";

/// Place of the lists' length in the message.
const LENGTH: usize = 124;

/// Arrow's schema of an index whose vectors have `length` numbers, as base64.
pub(crate) fn schema(length: usize) -> String {
    let digits = MESSAGE.as_bytes().as_chunks().0;
    let mut message: Vec<u8> = digits.iter().map(|&[high, low]| 16 * digit(high) + digit(low)).collect();
    message[LENGTH..LENGTH + 4].copy_from_slice(&(length as u32).to_le_bytes());
    base64(&message)
}

fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        _ => letter - b'a' + 10,
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0, |bits, &byte| (bits << 8) | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = ALPHABET[((bits >> (18 - 6 * place)) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn the_message_has_the_length_that_is_asked_for() {
        assert_eq!(MESSAGE.len(), 2 * 336);
        assert_ne!(schema(512), schema(2048));
        assert_eq!(schema(512).len(), 448);
    }
}
