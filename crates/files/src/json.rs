//! Memory that JSON takes when it is parsed.

/// Bytes that a parsed element takes at the most, with what its growing container holds twice: three times the 32
/// of a `serde_json` value.
const ELEMENT: u64 = 96;

/// Upper estimate of the bytes that the JSON `text` takes when it is parsed, to be charged to a
/// [`Budget`](crate::Budget) before it is: `[0,0,0` takes 50 times its length. What is no JSON has an estimate too.
///
/// ```
/// assert!(residual_files::json_memory(b"[0,0,0,0,0,0,0,0]") > 500);
/// // The commas of a text are no elements.
/// assert!(residual_files::json_memory(br#"["a, b, c, d, e"]"#) < 300);
/// ```
pub fn json_memory(text: &[u8]) -> u64 {
    let (mut elements, mut in_text, mut escaped) = (1, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' | b'{' if !in_text => elements += 1,
            _ => {}
        }
    }
    2 * text.len() as u64 + elements * ELEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_count_and_text_does_not() {
        let of = |text: &str| json_memory(text.as_bytes()) - 2 * text.len() as u64;
        assert_eq!(of("1"), ELEMENT);
        assert_eq!(of("[1,2,3]"), 4 * ELEMENT);
        assert_eq!(of(r#"{"a":"[,,\",:","b":2}"#), 5 * ELEMENT);
    }
}
