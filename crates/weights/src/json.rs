//! JSON files that lie beside weights.

use std::path::Path;

use residual_files::{Budget, json_memory};
use serde_json::Value;

use crate::error::Error;

/// The most bytes of such a file. The index of the largest residual network has 200 kB.
const MAX_BYTES: u64 = 32 << 20;

/// Bytes of memory that its values may take.
const MEMORY: u64 = 256 << 20;

/// Reads a JSON file, within a limit of its size and of its values' memory.
///
/// # Errors
/// [`Error::Io`]; [`Error::Config`] for what is no JSON; [`Error::TooLarge`].
pub(crate) fn read(path: &Path) -> Result<Value, Error> {
    let text = residual_files::read_text(path, MAX_BYTES).map_err(Error::file("read"))?;
    let too_large = |_| Error::TooLarge { what: "the memory for the JSON", limit: MEMORY as usize };
    Budget::new(MEMORY).charge(json_memory(text.as_bytes())).map_err(too_large)?;
    serde_json::from_str(&text).map_err(|error| Error::Config { reason: format!("not JSON: {error}") })
}

/// A natural number.
pub(crate) fn natural(value: Option<&Value>) -> Option<usize> {
    value?.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// An array of natural numbers.
pub(crate) fn naturals(value: Option<&Value>) -> Option<Vec<usize>> {
    value?.as_array()?.iter().map(|number| natural(Some(number))).collect()
}

/// An array of finite numbers.
pub(crate) fn floats(value: Option<&Value>) -> Option<Vec<f32>> {
    let finite =
        |number: &Value| number.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    value?.as_array()?.iter().map(finite).collect()
}
