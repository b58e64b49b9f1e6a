//! Lists of class names that lie beside bare weights.

use std::path::Path;

use serde_json::Value;

use super::description::names_by_number;
use crate::error::Error;
use crate::json;

/// Names of such files.
const FILES: [&str; 11] = [
    "classes.txt",
    "class_names.txt",
    "labels.txt",
    "imagenet_classes.txt",
    "classes.json",
    "class_names.json",
    "labels.json",
    "id2label.json",
    "class_to_idx.json",
    "index_to_name.json",
    "imagenet_class_index.json",
];

/// The most bytes of a list of lines.
const MAX_BYTES: u64 = 8 << 20;

/// List of class names.
#[derive(Debug)]
pub(crate) struct ClassList {
    /// Name of its file.
    pub(crate) file: &'static str,
    /// The names, in the order of the network's outputs; an error for a file that is no such list.
    pub(crate) names: Result<Vec<String>, String>,
}

impl ClassList {
    /// The list in the folder of a file of weights: the first of so many names, or else the first that is there.
    pub(crate) fn beside(weights: &Path, outputs: usize) -> Option<Self> {
        let there = FILES.into_iter().filter(|name| weights.with_file_name(name).is_file());
        let mut lists = there.map(|file| Self::read(file, &weights.with_file_name(file)));
        let first = lists.next()?;
        let fits = |list: &Self| list.names.as_ref().is_ok_and(|names| names.len() == outputs);
        if fits(&first) { Some(first) } else { lists.find(fits).or(Some(first)) }
    }

    fn read(file: &'static str, path: &Path) -> Self {
        let names = if file.ends_with(".json") { in_json(path) } else { in_lines(path) };
        Self { file, names: names.map_err(|error| error.to_string()) }
    }
}

fn wrong(expected: &str) -> Error {
    Error::Config { reason: format!("no list of class names: expected {expected}") }
}

/// A name a line, or its number and the name.
fn in_lines(path: &Path) -> Result<Vec<String>, Error> {
    let text = residual_files::read_text(path, MAX_BYTES).map_err(Error::file("read"))?;
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().map(str::trim).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let lines = &lines[..end];
    if lines.is_empty() || lines.iter().any(|line| line.is_empty()) {
        return Err(wrong("a name on every line"));
    }
    let numbered = lines.iter().enumerate().map(|(number, line)| behind_number(line, number));
    let names = numbered.collect::<Option<Vec<&str>>>();
    Ok(names.unwrap_or_else(|| lines.to_vec()).into_iter().map(str::to_owned).collect())
}

/// Name behind the line's own number: `3 cat`, `3: cat`, `3,cat`.
fn behind_number(line: &str, number: usize) -> Option<&str> {
    let rest = line.strip_prefix(&number.to_string())?;
    let name = rest.trim_start_matches([':', ',', ' ', '\t']);
    (name.len() < rest.len() && !name.is_empty()).then_some(name)
}

/// `["cat"]`, `{"0": "cat"}`, `{"0": ["n02121808", "cat"]}` or `{"cat": 0}`.
fn in_json(path: &Path) -> Result<Vec<String>, Error> {
    let parsed = json::read(path)?;
    let texts = |values: &Vec<Value>| {
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let names = parsed.as_array().map_or_else(
        || names_by_number(Some(&parsed)).or_else(|| numbered_lists(&parsed)).or_else(|| by_name(&parsed)),
        texts,
    );
    let expected = r#"["cat", ...], {"0": "cat", ...} or {"cat": 0, ...}"#;
    names.filter(|names| !names.is_empty()).ok_or_else(|| wrong(expected))
}

/// The last text in each list of `{"0": ["n02121808", "cat"]}`.
fn numbered_lists(parsed: &Value) -> Option<Vec<String>> {
    let lists = parsed.as_object()?;
    let name = |class: usize| lists.get(&class.to_string())?.as_array()?.last()?.as_str().map(str::to_owned);
    (0..lists.len()).map(name).collect()
}

/// The names of `{"cat": 0}` in the order of their numbers, which are 0, 1, 2, ...
fn by_name(parsed: &Value) -> Option<Vec<String>> {
    let numbers = parsed.as_object()?;
    let mut names: Vec<Option<&String>> = vec![None; numbers.len()];
    for (name, number) in numbers {
        let place = names.get_mut(json::natural(Some(number))?)?;
        if place.replace(name).is_some() {
            return None;
        }
    }
    names.into_iter().map(|name| name.cloned()).collect()
}
