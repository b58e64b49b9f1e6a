//! Text of a list, in UTF-8 or, as spreadsheets export it, in UTF-16.

use std::path::Path;

use crate::Error;

/// Reads the text of a list, without its byte-order mark.
///
/// # Errors
/// [`Error::OverMemory`] for one longer than `limit`, [`Error::Unreadable`] for one that is no text.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, Error> {
    let failed = |error| match error {
        residual_files::Error::TooLarge { limit, .. } => {
            Error::OverMemory { path: residual_files::escaped(path).to_string(), limit }
        }
        error => Error::file(path, error),
    };
    let not_text = match residual_files::read_text(path, limit) {
        Err(error @ residual_files::Error::NotText { .. }) => error,
        read => return read.map_err(failed),
    };
    // Decoded, it takes up to 1.5 times as much again.
    let bytes = residual_files::read(path, limit / 3).map_err(failed)?;
    let unit: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => return Err(failed(not_text)),
    };
    let (units, rest) = bytes[2..].as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(units.iter().map(|&pair| unit(pair))).collect();
    let reason = match text {
        Ok(text) if rest.is_empty() => return Ok(text),
        _ => "not text: damaged UTF-16; help: save the list as UTF-8",
    };
    Err(Error::List { file: path.into(), line: 1, reason: reason.to_owned() })
}
