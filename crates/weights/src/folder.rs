//! The folder of a run in place of a file in it.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The weights of a run's folder, the better ones first.
const IN_A_RUN: [&str; 2] = ["best.safetensors", "last.safetensors"];

/// The file of weights that `path` stands for: itself, or of the folder of a run its `best.safetensors`, or where
/// that is missing its `last.safetensors`. [`read`](crate::read()) and [`map`](crate::map()) open what this gives.
///
/// # Errors
/// [`Error::NoWeightsInFolder`], naming the folder.
pub fn weights_file(path: impl AsRef<Path>) -> Result<PathBuf, Error> {
    let path = path.as_ref();
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = IN_A_RUN.iter().map(|name| path.join(name)).find(|file| file.exists());
    found.ok_or_else(|| Error::NoWeightsInFolder.in_file(path))
}

/// The help for a file that ends too early: of a run's `last.safetensors`, that `best.safetensors` may be whole.
pub(crate) fn help_for_truncated(path: &Path) -> String {
    let best = path.with_file_name(IN_A_RUN[0]);
    let is_last = path.file_name().is_some_and(|name| name == IN_A_RUN[1]);
    if is_last && best.is_file() {
        let best = residual_files::escaped(&best);
        return format!(
            "; help: {best} is beside it: predict with it, or begin a new training with --init {best}"
        );
    }
    "; help: download or copy it again".to_owned()
}
