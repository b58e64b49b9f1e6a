//! Sorting of errors: what reading a path gives, by its cause, and which errors are those of a single image.

use std::io;
use std::path::PathBuf;

use crate::{BadImage, Error};

impl Error {
    /// Sorts an error of reading `path`.
    pub(crate) fn file(path: impl Into<PathBuf>, error: residual_files::Error) -> Self {
        match error {
            residual_files::Error::NotRegular { kind } => Self::NotRegular { path: path.into(), kind },
            error => Self::io(path, error.into()),
        }
    }

    /// Sorts an error of the operating system that came up at `path`.
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Unreadable { path, source },
        }
    }

    /// Image that is at fault, so that it can be left out; `None` where the whole set is.
    pub fn bad_image(&self) -> Option<BadImage> {
        let (Self::EmptyImage { file }
        | Self::ListedImage { file, .. }
        | Self::UnknownImage { file, .. }
        | Self::UnsupportedImage { file, .. }
        | Self::TruncatedImage { file }
        | Self::CorruptImage { file, .. }
        | Self::ImageTooLarge { file, .. }
        | Self::ImageTooWide { file, .. }
        | Self::FileTooLarge { file, .. }
        | Self::MissingImage { file }
        | Self::Source { file, .. }) = self
        else {
            return None;
        };
        let text = self.to_string();
        // The text of each begins with the file.
        let found =
            text.strip_prefix(file.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
        Some(BadImage { file: file.clone(), found: found.to_owned() })
    }
}
