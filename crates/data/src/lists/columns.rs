//! Columns of a list: which holds the paths, which the labels, which the splits.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::listing::is_image_name;

/// Names of the columns of a list or a table, where they are not to be found by their usual names; or of arrays: images
/// under [`path`](Self::path).
///
/// ```
/// use residual_data::Columns;
/// let columns: Columns = "path=photo,label=breed".parse()?;
/// assert_eq!((columns.path.as_deref(), columns.split), (Some("photo"), None));
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Columns {
    /// Column of the images' paths. Default: the first called `path`, `file`, `filename`, `image` or the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Column of the labels. Default: the first called `label`, `class`, `category`, `target` or the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Columns of several targets: numbers of a regression, or a column of 0 and 1 for each class of a multi-label task.
    /// Default none; in place of `label`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Column of the splits. Default: the first called `split`, `set`, `subset` or the like; none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
}

const PATHS: [&str; 14] = [
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "image_name",
    "img",
    "img_path",
    "image_id",
    "id",
    "name",
];
const LABELS: [&str; 11] = [
    "label",
    "class",
    "category",
    "target",
    "class_name",
    "label_name",
    "classname",
    "labels",
    "class_id",
    "label_id",
    "y",
];
const SPLITS: [&str; 5] = ["split", "set", "subset", "partition", "fold_name"];

impl Columns {
    /// Takes the labels from these columns, one or several.
    pub fn set_labels(&mut self, names: &[String]) {
        (self.label, self.labels) = match names {
            [name] => (Some(name.clone()), Vec::new()),
            names => (None, names.to_vec()),
        };
    }

    /// True where every column is to be found by its usual name.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `path=NAME,label=NAME,split=NAME`, each of them or some.
impl FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut columns = Self::default();
        let wrong = || Error::InvalidOption {
            option: "columns",
            found: text.to_owned(),
            expected: "path=NAME,label=NAME,split=NAME, each or some",
        };
        for part in text.split(',') {
            let (role, name) = part.split_once('=').ok_or_else(wrong)?;
            let column = match role.trim() {
                "path" => &mut columns.path,
                "label" => &mut columns.label,
                "split" => &mut columns.split,
                _ => return Err(wrong()),
            };
            *column = Some(name.trim().to_owned());
        }
        Ok(columns)
    }
}

/// Indices of the columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: usize,
    pub(super) labels: Vec<usize>,
    pub(super) split: Option<usize>,
    /// True where the first line names the columns.
    pub(super) header: bool,
}

/// Finds the columns of a table by its first line; `None` where they cannot be told.
pub(super) fn find(first: &[&str], columns: &Columns) -> Option<Found> {
    let asked = |name: &Option<String>, known: &[&str]| match name {
        Some(name) => first.iter().position(|field| field.eq_ignore_ascii_case(name)),
        None => known.iter().find_map(|name| first.iter().position(|field| is_called(field, name))),
    };
    let several = |name: &String| first.iter().position(|field| field.eq_ignore_ascii_case(name));
    let labels: Option<Vec<usize>> = match columns.labels.as_slice() {
        [] => asked(&columns.label, &LABELS).map(|label| vec![label]),
        names => names.iter().map(several).collect(),
    };
    if let (Some(path), Some(labels)) = (asked(&columns.path, &PATHS), labels)
        && !labels.contains(&path)
    {
        let split = asked(&columns.split, &SPLITS);
        let complete = columns.split.is_none() || split.is_some();
        return complete.then_some(Found { path, labels, split, header: true });
    }
    // Without names: two columns, of which one is named as an image.
    let image = |at: usize| is_image_name(first[at].as_ref());
    match first.len() {
        2 if columns.is_default() && image(0) != image(1) => {
            let path = usize::from(image(1));
            Some(Found { path, labels: vec![1 - path], split: None, header: false })
        }
        _ => None,
    }
}

/// Key of an object of JSON for a role: the one that was asked for, or the first of the usual names that is there.
pub(crate) fn key(role: Role, columns: &Columns, has: impl Fn(&str) -> bool) -> Option<&str> {
    let (asked, known): (_, &[&'static str]) = match role {
        Role::Path => (&columns.path, &PATHS),
        Role::Label => (&columns.label, &LABELS),
        Role::Split => (&columns.split, &SPLITS),
    };
    match asked {
        Some(name) => Some(name),
        None => known.iter().copied().find(|name| has(name)),
    }
}

/// Meaning of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Path,
    Label,
    Split,
}

/// Compares a header with a name of small letters: `Image Path`, `image-path` and `image_path` are one.
fn is_called(field: &str, name: &str) -> bool {
    let plain = |c: char| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() };
    field.trim().chars().map(plain).eq(name.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(first: &[&str], columns: &str) -> Option<(usize, usize, Option<usize>, bool)> {
        let columns = if columns.is_empty() { Columns::default() } else { columns.parse().unwrap() };
        find(first, &columns).map(|found| (found.path, found.labels[0], found.split, found.header))
    }

    #[test]
    fn usual_names_are_found_in_any_order() {
        assert_eq!(found(&["label", "path"], ""), Some((1, 0, None, true)));
        assert_eq!(found(&["id", "File Name", "Class", "SPLIT"], ""), Some((1, 2, Some(3), true)));
        assert_eq!(found(&["photo", "breed"], ""), None);
        assert_eq!(found(&["photo", "breed"], "path=photo,label=Breed"), Some((0, 1, None, true)));
        assert_eq!(found(&["path", "label"], "split=fold"), None);
        assert_eq!(found(&["path"], ""), None);
    }

    #[test]
    fn two_columns_need_no_names() {
        assert_eq!(found(&["a/1.jpg", "cat"], ""), Some((0, 1, None, false)));
        assert_eq!(found(&["cat", "a/1.jpg"], ""), Some((1, 0, None, false)));
        assert_eq!(found(&["a.jpg", "b.jpg"], ""), None);
        assert_eq!(found(&["a.jpg", "b", "c"], ""), None);
    }

    #[test]
    fn other_roles_are_refused() {
        for text in ["", "path", "image=x", "path=x;label=y=z,w"] {
            assert!(text.parse::<Columns>().is_err(), "{text}");
        }
    }
}
