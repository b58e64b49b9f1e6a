//! Names of folders that stand for splits.

use crate::Split;

/// The split that a name stands for, and the words around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitName {
    pub(crate) split: Split,
    /// Words of the name that say nothing of a split, in order: `seg` of `seg_train`, `2017` of `train2017`. Those
    /// that mean only "images" are left out.
    pub(crate) decoration: Vec<String>,
}

/// Words that add nothing to a split's name.
const EMPTY: [&str; 13] = [
    "set", "sets", "image", "images", "img", "imgs", "data", "dataset", "split", "photo", "photos",
    "picture", "pictures",
];

pub(crate) fn split_of(word: &str) -> Option<Split> {
    match word {
        "train" | "training" | "trn" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" | "eval" | "evaluation" => Some(Split::Val),
        "test" | "testing" | "tst" => Some(Split::Test),
        _ => None,
    }
}

/// Reads a name, whatever its case: `train`, `Training set`, `val2017`, `seg_test`. `None` where none of its words,
/// or more than one, is a split's.
pub(crate) fn split_name(name: &[u8]) -> Option<SplitName> {
    let mut split = None;
    let mut decoration = Vec::new();
    for word in words(name) {
        let glued = EMPTY.iter().filter_map(|end| word.strip_suffix(end)).find_map(split_of);
        match split_of(&word).or(glued) {
            Some(_) if split.is_some() => return None,
            Some(found) => split = Some(found),
            None if EMPTY.contains(&word.as_str()) => {}
            None => decoration.push(word),
        }
    }
    split.map(|split| SplitName { split, decoration })
}

/// Test for a name that says no more than that images are in there: `images`, `photo data`.
pub(crate) fn says_only_images(name: &[u8]) -> bool {
    let words = words(name);
    !words.is_empty() && words.iter().all(|word| EMPTY.contains(&word.as_str()))
}

/// The words of a name in small letters: they end at what is neither letter nor digit, between letters and digits,
/// and before a capital letter behind a small one.
pub(crate) fn words(name: &[u8]) -> Vec<String> {
    let name = String::from_utf8_lossy(name);
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for character in name.chars() {
        let joins = before.is_alphanumeric()
            && before.is_numeric() == character.is_numeric()
            && !(before.is_lowercase() && character.is_uppercase());
        if character.is_alphanumeric() {
            match words.last_mut() {
                Some(word) if joins => word.extend(character.to_lowercase()),
                _ => words.push(character.to_lowercase().collect()),
            }
        }
        before = character;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_spellings_are_splits() {
        let plain = |split| Some(SplitName { split, decoration: Vec::new() });
        for name in [
            "train",
            "TRAIN",
            "Training",
            "trn",
            "train_set",
            "train-images",
            "Training set",
            "trainSet",
            "trainset",
        ] {
            assert_eq!(split_name(name.as_bytes()), plain(Split::Train), "{name}");
        }
        for name in ["val", "Valid", "validation", "dev", "eval", "images.val", "valset"] {
            assert_eq!(split_name(name.as_bytes()), plain(Split::Val), "{name}");
        }
        for name in ["test", "testing", "TST", "test images", "images_test"] {
            assert_eq!(split_name(name.as_bytes()), plain(Split::Test), "{name}");
        }
    }

    #[test]
    fn names_that_say_nothing() {
        assert!(["images", "Data set", "photos"].iter().all(|name| says_only_images(name.as_bytes())));
        assert!(["", "cats", "image cats", "train"].iter().all(|name| !says_only_images(name.as_bytes())));
    }

    #[test]
    fn other_words_are_kept() {
        let decoration = |name: &str| split_name(name.as_bytes()).unwrap().decoration;
        assert_eq!(decoration("seg_train"), ["seg"]);
        assert_eq!(decoration("train2017"), ["2017"]);
        assert_eq!(decoration("CatsTest.v2"), ["cats", "v", "2"]);
        for name in [
            "",
            "trainer",
            "contest",
            "latest",
            "retrained",
            "train_val",
            "cat",
            "valley",
            "device",
            "trains",
        ] {
            assert_eq!(split_name(name.as_bytes()), None, "{name}");
        }
    }
}
