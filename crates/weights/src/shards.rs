//! Tensors that are divided into several files, with an index of them.
//!
//! `{"metadata": {...}, "weight_map": {"conv1.weight": "model-00001-of-00002.safetensors", ...}}`

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::error::Error;
use crate::json;
use crate::state_dict::StateDict;

/// Ending of an index's name.
const INDEX: &str = ".index.json";

/// The most files of an index.
const MAX_FILES: usize = 1024;

/// True for the name of an index.
pub(crate) fn is_index(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(INDEX))
}

/// The tensors that an index lists, each file opened by `open`.
///
/// # Errors
/// [`Error::Config`] for a broken index; those of `open`; [`Error::BadTensor`] for a tensor that is not where the index
/// says.
pub(crate) fn read(
    index: &Path,
    open: impl Fn(&Path) -> Result<StateDict, Error>,
) -> Result<StateDict, Error> {
    let parsed = json::read(index)?;
    let map = parsed.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::Config { reason: "it has no `weight_map`".to_owned() })?;
    let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, file) in map {
        let file = file.as_str().filter(|file| is_plain(file)).ok_or_else(|| {
            let reason = format!("`{name}` is not in a file of the same folder");
            Error::Config { reason }
        })?;
        by_file.entry(file).or_default().push(name);
    }
    if by_file.len() > MAX_FILES {
        return Err(Error::TooLarge { what: "the number of files of an index", limit: MAX_FILES });
    }
    let mut all = StateDict::new();
    let files = by_file.len();
    for (file, names) in by_file {
        let mut shard = open(&index.with_file_name(file))?;
        all.origin.clone_from(&shard.origin);
        for name in names {
            let tensor = shard.remove(name).ok_or_else(|| Error::BadTensor {
                name: name.to_owned(),
                reason: format!("it is not in {file}, where the index has it"),
            })?;
            all.insert(name, tensor)?;
        }
    }
    all.origin.files = files;
    Ok(all)
}

/// True for a name without a folder, and of no index.
fn is_plain(file: &str) -> bool {
    let path = Path::new(file);
    path.file_name().is_some_and(|name| name == file) && !file.contains(['/', '\\']) && !is_index(path)
}
