//! Classes of data whose labels are texts or numbers: lists and arrays.

use std::collections::HashSet;

use crate::{Error, Split};

/// A label as one part of the data uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelUse<'a> {
    pub(crate) label: &'a str,
    pub(crate) split: Split,
    /// First image with it, however its part counts.
    pub(crate) first: u64,
    /// Part that it is in, such as one of several lists.
    pub(crate) part: usize,
}

/// Classes of the training images, or of all where there are none to train on. Whole numbers are sorted as such, other
/// labels byte by byte.
///
/// # Errors
/// [`Error::UnknownClass`] with all labels of other splits that no training image has; `place` names the first.
pub(crate) fn classes(
    uses: &[LabelUse<'_>],
    place: impl Fn(&LabelUse<'_>) -> String,
) -> Result<Vec<String>, Error> {
    let is_train = |found: &&LabelUse<'_>| found.split == Split::Train;
    let all = !uses.iter().any(|found| is_train(&found));
    let known: HashSet<&str> =
        uses.iter().filter(|found| all || is_train(found)).map(|found| found.label).collect();
    let mut unknown = uses.iter().filter(|found| !known.contains(found.label));
    let first = unknown.clone().min_by_key(|found| (found.part, found.first));
    let classes = sorted(known.iter().copied());
    match first {
        None => Ok(classes),
        Some(first) => {
            let unknown: HashSet<&str> = unknown.by_ref().map(|found| found.label).collect();
            Err(Error::UnknownClass {
                path: place(first),
                unknown: sorted(unknown.iter().copied()),
                known: classes,
            })
        }
    }
}

fn sorted<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut labels: Vec<&str> = labels.collect();
    sort_labels(&mut labels);
    labels.into_iter().map(str::to_owned).collect()
}

/// Sorts labels, each once: whole numbers as such, others byte by byte. `07` and `7` are two labels.
pub(crate) fn sort_labels<T: AsRef<str> + Ord>(labels: &mut Vec<T>) {
    let number = |label: &str| label.parse::<i64>().ok().filter(|number| number.to_string() == label);
    match labels.iter().all(|label| number(label.as_ref()).is_some()) {
        true => labels.sort_by_cached_key(|label| number(label.as_ref())),
        false => labels.sort(),
    }
    labels.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[(&str, Split)]) -> Result<Vec<String>, Error> {
        let used = |(first, &(label, split)): (usize, &(&'static str, Split))| LabelUse {
            label,
            split,
            first: first as u64,
            part: 0,
        };
        let labels: Vec<(&'static str, Split)> =
            labels.iter().map(|&(label, split)| (&*label.to_owned().leak(), split)).collect();
        let uses: Vec<_> = labels.iter().enumerate().map(used).collect();
        classes(&uses, |found| format!("row {}", found.first))
    }

    #[test]
    fn training_images_say_which_classes_there_are() {
        let (train, val, test) = (Split::Train, Split::Val, Split::Test);
        let found = of(&[("10", train), ("9", train), ("9", val)]).unwrap();
        assert_eq!(found, ["9", "10"], "numbers are sorted as numbers");
        assert_eq!(of(&[("b", val), ("a", test)]).unwrap(), ["a", "b"]);
        assert_eq!(of(&[("10", train), ("9", train), ("09", train)]).unwrap(), ["09", "10", "9"]);
        let error = of(&[("a", train), ("y", val), ("x", test), ("y", test)]).unwrap_err().to_string();
        assert!(error.starts_with("row 1: 2 classes (x, y) are not among the known classes (a)"), "{error}");
    }
}
