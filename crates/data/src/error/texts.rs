//! Texts of errors that depend on what was found: lists of splits and classes, and what to do about a missing split.

use crate::Split;
use crate::note::listed_up_to;

pub(super) fn list(splits: &[Split]) -> String {
    splits.iter().map(Split::to_string).collect::<Vec<_>>().join(", ")
}

/// Help for a missing split.
pub(super) fn help_for(wanted: Split, held_out: bool) -> &'static str {
    match (wanted, held_out) {
        (Split::Train, _) => "put the images to learn from into train/CLASS/IMAGE",
        (_, true) => {
            "hold out a part of each class (validation = 0.1), or add images: a class needs two for that"
        }
        (_, false) => {
            "put such images into val/CLASS/IMAGE beside the others; or give the folder of the classes itself as the \
             data, and a part of each class is held out"
        }
    }
}

pub(super) fn unknown_classes(unknown: &[String]) -> String {
    /// Each has to be seen to, so that all are listed, within reason.
    const MOST: usize = 1000;
    match unknown {
        [one] => format!("class `{one}` is"),
        several => format!("{} classes ({}) are", several.len(), listed_up_to(MOST, several)),
    }
}
