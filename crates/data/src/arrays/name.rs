//! Meaning of an array by its name.

use crate::split_name::{split_of, words};
use crate::{Columns, Split};

/// Content of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Images,
    Labels,
    /// Names of the classes that labels count.
    ClassNames,
}

/// Name of an array, read: its split and role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArrayName {
    pub(super) split: Option<Split>,
    pub(super) role: Option<Role>,
    /// Words of the name that say neither, in order.
    pub(super) rest: Vec<String>,
}

const IMAGES: [&str; 8] = ["x", "image", "images", "img", "imgs", "data", "pixels", "photos"];
const LABELS: [&str; 6] = ["y", "label", "labels", "target", "targets", "class"];
/// Names of arrays with the names of classes.
const CLASS_NAMES: [&[&str]; 5] =
    [&["class", "names"], &["label", "names"], &["category", "names"], &["classes"], &["categories"]];

/// Reads a name such as `x_train`, `val_labels`, `trainX` or `t10k-images`.
pub(super) fn array_name(name: &[u8], columns: &Columns) -> ArrayName {
    let (split, words) = without_split(name);
    let asked = |column: &Option<String>| column.as_ref().map(|column| without_split(column.as_bytes()).1);
    let (images, labels) = (asked(&columns.path), asked(&columns.label));
    if images.as_ref() == Some(&words) {
        return ArrayName { split, role: Some(Role::Images), rest: Vec::new() };
    }
    if labels.as_ref() == Some(&words) {
        return ArrayName { split, role: Some(Role::Labels), rest: Vec::new() };
    }
    if CLASS_NAMES.iter().any(|known| words.iter().eq(known.iter())) {
        return ArrayName { split, role: Some(Role::ClassNames), rest: Vec::new() };
    }
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let role = if has(&LABELS) {
        Some(Role::Labels)
    } else if has(&IMAGES) {
        Some(Role::Images)
    } else {
        None
    };
    // What was named takes the place of what is found by its usual name.
    let role = match role {
        Some(Role::Images) if images.is_some() => None,
        Some(Role::Labels) if labels.is_some() => None,
        role => role,
    };
    let spoken = |word: &String| IMAGES.contains(&word.as_str()) || LABELS.contains(&word.as_str());
    let rest = words.iter().filter(|word| !spoken(word)).cloned().collect();
    ArrayName { split, role, rest }
}

/// The split that a name says, where it says one, and its other words. `t10k` are the ten thousand test images of
/// MNIST.
pub(super) fn without_split(name: &[u8]) -> (Option<Split>, Vec<String>) {
    let name = String::from_utf8_lossy(name).replace("t10k", "test").replace("T10K", "test");
    let mut split = None;
    let mut others = Vec::new();
    for word in words(name.as_bytes()) {
        // `xtrain`: words end at a capital letter only behind a small one.
        let glued = ["x", "y"].iter().find_map(|role| Some((*role, split_of(word.strip_prefix(role)?)?)));
        match (split_of(&word), glued) {
            (Some(found), _) if split.is_none() => split = Some(found),
            (None, Some((role, found))) if split.is_none() => {
                split = Some(found);
                others.push(role.to_owned());
            }
            _ => others.push(word),
        }
    }
    (split, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, columns: &str) -> (Option<Split>, Option<Role>, String) {
        let columns = if columns.is_empty() { Columns::default() } else { columns.parse().unwrap() };
        let found = array_name(name.as_bytes(), &columns);
        (found.split, found.role, found.rest.join(" "))
    }

    #[test]
    fn usual_names_say_split_and_role() {
        let (train, val, test) = (Some(Split::Train), Some(Split::Val), Some(Split::Test));
        for (name, split, role) in [
            ("x_train", train, Role::Images),
            ("Y_TEST", test, Role::Labels),
            ("X", None, Role::Images),
            ("trainX", train, Role::Images),
            ("Xtrain", train, Role::Images),
            ("train_images", train, Role::Images),
            ("val_labels", val, Role::Labels),
            ("t10k-images", test, Role::Images),
            ("data", None, Role::Images),
            ("targets", None, Role::Labels),
            ("class_names", None, Role::ClassNames),
            ("image_data", None, Role::Images),
            ("train_data_label", train, Role::Labels),
        ] {
            assert_eq!(of(name, ""), (split, Some(role), String::new()), "{name}");
        }
        assert_eq!(of("emnist-letters-train-images", "").2, "emnist letters");
        assert_eq!(of("filenames", ""), (None, None, "filenames".into()));
    }

    #[test]
    fn arrays_that_are_named_take_the_place_of_others() {
        let columns = "path=pictures,label=y_coarse";
        assert_eq!(of("train_pictures", columns).1, Some(Role::Images));
        assert_eq!(of("y_coarse_test", columns), (Some(Split::Test), Some(Role::Labels), String::new()));
        assert_eq!((of("x_train", columns).1, of("y_fine_train", columns).1), (None, None));
    }
}
