//! Columns of a list: which holds the paths, which the labels, which the splits.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

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

pub(super) const PATHS: [&str; 14] = [
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
pub(super) const LABELS: [&str; 12] = [
    "label",
    "class",
    "category",
    "target",
    "class_name",
    "label_name",
    "classname",
    "labels",
    "tags",
    "class_id",
    "label_id",
    "y",
];
pub(super) const SPLITS: [&str; 5] = ["split", "set", "subset", "partition", "fold_name"];

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
pub(super) fn is_called(field: &str, name: &str) -> bool {
    let plain = |c: char| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() };
    field.trim().chars().map(plain).eq(name.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_roles_are_refused() {
        for text in ["", "path", "image=x", "path=x;label=y=z,w"] {
            assert!(text.parse::<Columns>().is_err(), "{text}");
        }
    }
}
