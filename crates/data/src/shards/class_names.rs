//! Names of classes beside shards whose labels are numbers.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use residual_files::{Budget, MAX_TEXT, json_memory};
use serde_json::Value;

use crate::Error;

/// Files that hold the names of classes, in order.
const FILES: [&str; 6] =
    ["classes.txt", "classes.json", "class_names.txt", "class_names.json", "labels.txt", "labels.json"];

/// Names of the classes from a file in one of the folders, and the file; `None` where there is none.
///
/// A `.txt` has a name a line, in order. A `.json` has a list of names, or an object of number and name, or of name and
/// number.
///
/// # Errors
/// Those of reading it; [`Error::Sample`] for one that is no such list.
pub(crate) fn class_names(folders: &[PathBuf]) -> Result<Option<(Vec<String>, PathBuf)>, Error> {
    let files = folders.iter().flat_map(|folder| FILES.map(|name| folder.join(name)));
    let Some(file) = files.into_iter().find(|file| file.is_file()) else { return Ok(None) };
    let text = residual_files::read_text(&file, MAX_TEXT).map_err(|error| Error::file(&file, error))?;
    let names = match file.extension().is_some_and(|ending| ending == "json") {
        true => of_json(&text),
        false => {
            Some(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
        }
    };
    let names = names.filter(|names: &Vec<String>| !names.is_empty()).ok_or_else(|| malformed(&file))?;
    Ok(Some((distinct(names), file)))
}

/// Names of which no two are the same: of ImageNet's two classes `crane`, the second becomes `crane (517)`.
pub(crate) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    let name = |(place, name): (usize, String)| {
        let name = if seen.contains(&name) { format!("{name} ({place})") } else { name };
        seen.insert(name.clone());
        name
    };
    names.into_iter().enumerate().map(name).collect()
}

fn malformed(file: &Path) -> Error {
    let reason = "not the names of classes; help: write a name a line, in the order of the labels".to_owned();
    Error::Sample { file: residual_files::escaped(file).to_string(), reason }
}

fn of_json(text: &str) -> Option<Vec<String>> {
    Budget::new(64 << 20).charge(json_memory(text.as_bytes())).ok()?;
    match serde_json::from_str(text).ok()? {
        Value::Array(names) => names.iter().map(|name| Some(name.as_str()?.to_owned())).collect(),
        Value::Object(entries) => {
            let pair = |(key, value): (&String, &Value)| match value {
                Value::String(name) => Some((key.parse::<usize>().ok()?, name.clone())),
                number => Some((usize::try_from(number.as_u64()?).ok()?, key.clone())),
            };
            let mut pairs = entries.iter().map(pair).collect::<Option<Vec<_>>>()?;
            pairs.sort();
            let counted = pairs.iter().enumerate().all(|(place, (number, _))| place == *number);
            counted.then(|| pairs.into_iter().map(|(_, name)| name).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_two_equal_names_gets_its_number() {
        let names = ["crane", "maillot", "crane"].map(str::to_owned).to_vec();
        assert_eq!(distinct(names), ["crane", "maillot", "crane (2)"]);
    }

    #[test]
    fn names_come_from_lists_and_objects_of_both_directions() {
        let names = Some(vec!["cat".to_owned(), "dog".to_owned()]);
        for text in [r#"["cat", "dog"]"#, r#"{"1": "dog", "0": "cat"}"#, r#"{"dog": 1, "cat": 0}"#] {
            assert_eq!(of_json(text), names, "{text}");
        }
        for text in ["[1]", r#"{"cat": 0, "dog": 2}"#, "3", "{", r#"{"cat": -1}"#] {
            assert_eq!(of_json(text), None, "{text}");
        }
    }
}
