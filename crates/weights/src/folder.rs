//! A folder in place of a file in it: that of a run, or of a published model.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The weights of a folder, the better ones first: of a run, then as Hugging Face's libraries call them.
const IN_A_FOLDER: [&str; 6] = [
    "best.safetensors",
    "last.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The file of weights that `path` stands for: itself, or of a folder the first that is there of `best.safetensors` and
/// `last.safetensors` (of a run), `model.safetensors` and `pytorch_model.bin` (of a published model) and the indices of
/// their shards. [`read`](crate::read()) and [`map`](crate::map()) open what this gives.
///
/// # Errors
/// [`Error::NoWeightsInFolder`], naming the folder.
pub fn weights_file(path: impl AsRef<Path>) -> Result<PathBuf, Error> {
    let path = path.as_ref();
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = IN_A_FOLDER.iter().map(|name| path.join(name)).find(|file| file.exists());
    found.ok_or_else(|| Error::NoWeightsInFolder.in_file(path))
}

/// The help for a file that ends too early: of a run's `last.safetensors`, that `best.safetensors` may be whole.
pub(crate) fn help_for_truncated(path: &Path) -> String {
    let best = path.with_file_name(IN_A_FOLDER[0]);
    let is_last = path.file_name().is_some_and(|name| name == IN_A_FOLDER[1]);
    if is_last && best.is_file() {
        let best = residual_files::escaped(&best);
        return format!(
            "; help: {best} is beside it: predict with it, or begin a new training with --init {best}"
        );
    }
    "; help: download or copy it again".to_owned()
}
