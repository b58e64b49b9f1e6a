//! Bodies of several parts (RFC 7578), taken apart where they lie.

use axum::body::Bytes;

use crate::rejection::Rejection;

/// A part: a field of a form, or a file.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Name of a file; `None` for a field of text.
    pub(super) file: Option<String>,
    pub(super) bytes: Bytes,
}

/// The most parts of a body.
const MOST: usize = 1024;

/// The longest boundary, as RFC 2046 has it.
const LONGEST_BOUNDARY: usize = 70;

/// Boundary of a body of this type; `None` for one that is not of several parts.
pub(super) fn boundary(content_type: &str) -> Option<Result<String, Rejection>> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary");
    let is_one = |text: &String| (1..=LONGEST_BOUNDARY).contains(&text.len());
    Some(
        boundary.filter(is_one).ok_or_else(|| Rejection::malformed("multipart/form-data without a boundary")),
    )
}

/// Parts of a body.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, Rejection> {
    let broken = |what: &str| Rejection::Malformed(format!("the parts of the body: {what}"));
    let delimiter = format!("--{boundary}").into_bytes();
    let inner = [b"\r\n", &delimiter[..]].concat();
    let mut at = match body.starts_with(&delimiter) {
        true => delimiter.len(),
        false => find(body, &inner, 0).ok_or_else(|| broken("no boundary"))? + inner.len(),
    };
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == MOST {
            return Err(broken("too many"));
        }
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[blanks..].starts_with(b"\r\n") {
            return Err(broken("a boundary that is not the end of its line"));
        }
        // The line's end belongs to the headers: there may be none.
        let head = at + blanks;
        let end = find(body, b"\r\n\r\n", head).ok_or_else(|| broken("headers without an end"))?;
        let begin = end + 4;
        let close =
            find(body, &inner, begin.saturating_sub(2)).ok_or_else(|| broken("a part without an end"))?;
        let (name, file) = disposition(&body[head..end]).ok_or_else(|| broken("a part without a name"))?;
        parts.push(Part { name, file, bytes: body.slice(begin.min(close)..close) });
        at = close + inner.len();
    }
}

/// Place of `wanted` in `body`, from `from` on.
fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = from;
    while let Some(next) = body.get(at..)?.iter().position(|&byte| byte == first) {
        at += next;
        if body[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Name of a part and of its file.
fn disposition(headers: &[u8]) -> Option<(String, Option<String>)> {
    let headers = String::from_utf8_lossy(headers);
    let line = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.to_owned())
    })?;
    let (kind, parameters) = line.split_once(';')?;
    let name = parameter(parameters, "name").filter(|_| kind.trim().eq_ignore_ascii_case("form-data"))?;
    Some((name, parameter(parameters, "filename")))
}

/// A parameter of a header, quoted or not.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => value.split_once(';').unwrap_or((value, "")),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            // As browsers write a quotation mark in a name.
            return Some(value.trim().replace("%22", "\""));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<Part>, String> {
        parts(&Bytes::from(text.to_owned()), "B").map_err(|error| error.to_string())
    }

    #[test]
    fn parts_are_found_where_they_lie() {
        let text = "before\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--not B\r\n\
                    --B  \r\ncontent-type: image/png\r\ncontent-disposition: form-data; filename=\"x;=%22.png\"; name=b\r\n\r\n\
                    \r\n--B--\r\nafter";
        let found = of(text).unwrap();
        let part = |name: &str, file: Option<&str>, bytes: &'static str| Part {
            name: name.to_owned(),
            file: file.map(str::to_owned),
            bytes: Bytes::from_static(bytes.as_bytes()),
        };
        assert_eq!(found, [part("a", None, "one\r\n--not B"), part("b", Some("x;=\".png"), "")]);
        assert_eq!(of("--B--"), Ok(vec![]));
    }

    #[test]
    fn what_is_broken_is_an_error() {
        for bad in [
            "",
            "--B",
            "--B\r\n",
            "--Bx\r\n\r\n",
            "--B\r\n\r\nno name\r\n--B--",
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end",
            "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n\r\n--B--",
            "--B\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--B--",
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn boundaries_are_read() {
        let of = |kind: &str| boundary(kind).map(|found| found.map_err(drop));
        assert_eq!(of("multipart/form-data; charset=x; boundary=\"a b\""), Some(Ok("a b".to_owned())));
        assert_eq!(of("Multipart/Form-Data;boundary=--x"), Some(Ok("--x".to_owned())));
        assert_eq!(of("multipart/form-data"), Some(Err(())));
        assert_eq!(of("image/jpeg"), None);
    }
}
