//! Images that were left out.

use std::fmt;

/// Image that was left out. Displays as `FILE: FOUND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadImage {
    /// Its file.
    pub file: String,
    /// Fault of the image.
    pub found: String,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.found)
    }
}
