//! `error.json`: the error at which a run ended.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Error at which a run ended, kept in its folder until the run goes on, so that who looks at it later is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// True where the loss or a gradient was not finite.
    pub(crate) diverged: bool,
    /// The error's text.
    pub(crate) error: String,
}

/// Name of the file.
pub(crate) const ENDED: &str = "error.json";

/// Limit on the file, in bytes.
const LONGEST: u64 = 1 << 20;

impl Ended {
    /// Reads it; none where the run did not end with an error, or nothing can be made of the file.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = residual_files::read_text(folder.join(ENDED), LONGEST).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes it. Where that fails there is an error already, which is the one to report.
    pub(crate) fn write(folder: &Path, error: &Error) {
        let diverged = matches!(
            error,
            Error::Diverged { .. } | Error::GradientNotFinite { .. } | Error::NotFinite { .. }
        );
        let ended = Self { diverged, error: error.to_string() };
        let _ = residual_weights::write_atomically(folder.join(ENDED), |file| {
            file.write_all(serde_json::to_string(&ended)?.as_bytes())
        });
    }

    /// Removes it: the run goes on.
    pub(crate) fn remove(folder: &Path) {
        // One that stays is replaced or misleads; neither is worth a training.
        let _ = fs::remove_file(folder.join(ENDED));
    }
}
