//! Evaluation images whose classes a list beside them says, where the training images have class folders: Tiny
//! ImageNet's `val/images` with `val/val_annotations.txt`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::listing::Listing;
use crate::lists::{is_list, labels_of};
use crate::path::InnerPath;
use crate::split_name::{split_name, words};
use crate::store::Location;
use crate::unlike::LIST_WORDS;
use crate::{OpenOptions, Split};

/// Images of one list.
pub(crate) struct Labelled {
    /// Path of the list.
    pub(crate) list: String,
    /// Images, with the places of their classes.
    pub(crate) images: Vec<(usize, InnerPath)>,
}

/// Images of a split that have no class folders, with the classes that a list in their folder or in the one above
/// says; `None` where there is no such list, or it says a class that is not among `classes`.
pub(crate) fn label(
    listing: &Listing,
    split: Split,
    images: &[InnerPath],
    classes: &[String],
    options: &OpenOptions,
) -> Option<Labelled> {
    let on_disk = |path: &InnerPath| match listing.images.get(path) {
        Some(Location::File(file)) => Some(file.as_path()),
        _ => None,
    };
    let folder = on_disk(images.first()?)?.parent()?;
    let places: HashMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
    let lists =
        [Some(folder), folder.parent()].into_iter().flatten().flat_map(|place| lists_in(place, split));
    lists.into_iter().find_map(|list| {
        let mut labels = HashMap::new();
        for (file, label) in labels_of(&list, options).ok()? {
            labels.insert(file, *places.get(label.as_str())?);
        }
        let labelled = images.iter().filter_map(|path| Some((*labels.get(on_disk(path)?)?, path.clone())));
        let images: Vec<_> = labelled.collect();
        let list = residual_files::escaped(&list).to_string();
        (!images.is_empty()).then_some(Labelled { list, images })
    })
}

/// Lists in a folder that may say the labels of a split, by name.
fn lists_in(folder: &Path, split: Split) -> Vec<PathBuf> {
    let says = |path: &PathBuf| {
        let Some(stem) = path.file_stem() else { return false };
        let stem = stem.as_encoded_bytes();
        let named = words(stem).into_iter().find_map(|word| split_name(word.as_bytes()));
        let is_of_split = named.as_ref().is_some_and(|name| name.split == split);
        let text = String::from_utf8_lossy(stem).to_lowercase();
        is_of_split || (named.is_none() && LIST_WORDS.iter().any(|word| text.contains(word)))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| is_list(path) && path.is_file() && says(path)).collect();
    found.sort();
    found
}
