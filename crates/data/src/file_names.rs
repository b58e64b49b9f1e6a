//! Classes in the names of files: `cat.0.jpg`, `dog_17.png`, as competitions pack them.

use std::collections::{BTreeMap, BTreeSet};

use residual_files::unambiguous;

use crate::hold_out::HoldOut;
use crate::layout::Arranged;
use crate::listing::Listing;
use crate::path::InnerPath;
use crate::split_name::{says_only_images, split_name};
use crate::{Error, Note, OpenOptions, Split};

/// Beginnings that cameras and programs give to all of their files; they say nothing of what is seen.
const OF_DEVICES: [&str; 18] = [
    "capture",
    "dcim",
    "dsc",
    "dscf",
    "dscn",
    "file",
    "frame",
    "gopr",
    "imag",
    "mvimg",
    "p",
    "page",
    "pic",
    "pxl",
    "sample",
    "scan",
    "screenshot",
    "wp",
];

/// Images by the names of their classes.
type Classes = BTreeMap<Vec<u8>, Vec<InnerPath>>;

/// Images of each class, by the folder that they lie in.
type Folders = BTreeMap<InnerPath, Classes>;

/// Images of each split with their labels.
type Labelled = Vec<(Split, Vec<(InnerPath, usize)>)>;

/// The arrangement by file names, where all folders with images are flat ones of no class (the top, splits, `images`), and the
/// names in one of them begin with at least two classes of several images. Folders with other names in them have no labels.
pub(crate) fn by_file_name(listing: &Listing, options: &OpenOptions) -> Result<Option<Arranged>, Error> {
    let Some((folders, unlabelled)) = labelled(listing) else { return Ok(None) };
    let mut splits: BTreeMap<Split, Classes> = BTreeMap::new();
    for (folder, classes) in folders {
        let split = split_name(folder.last()).map_or(Split::Train, |name| name.split);
        for (class, images) in classes {
            splits.entry(split).or_default().entry(class).or_default().extend(images);
        }
    }
    let Some(known) = splits.get(&Split::Train).or(splits.values().next()) else { return Ok(None) };
    let known: Vec<Vec<u8>> = known.keys().cloned().collect();
    let classes: Vec<String> = known.iter().map(|class| unambiguous(class)).collect();
    let strange = |class: &&Vec<u8>| known.binary_search(class).is_err();
    let unknown: BTreeSet<&Vec<u8>> = splits.values().flat_map(BTreeMap::keys).filter(strange).collect();
    if !unknown.is_empty() {
        let unknown = unknown.into_iter().map(|class| unambiguous(class)).collect();
        return Err(Error::UnknownClass { path: listing.origin.clone(), unknown, known: classes });
    }
    let example = splits.values().flat_map(BTreeMap::values).flatten().next().map(InnerPath::text);
    let mut notes =
        vec![Note::ClassesInFileNames { classes: known.len(), example: example.unwrap_or_default() }];
    notes.extend(unlabelled);
    let held_out = splits.len() == 1 && splits.contains_key(&Split::Train);
    let splits = if held_out { held_out_of(splits, options)? } else { of_labels(splits) };
    Ok(Some(Arranged { classes, splits, notes, held_out }))
}

/// Folders whose images all have a class in their names, and a note on the images of the others; `None` where the names are no
/// classes.
fn labelled(listing: &Listing) -> Option<(Folders, Option<Note>)> {
    let mut names: BTreeMap<InnerPath, Vec<&InnerPath>> = BTreeMap::new();
    for path in listing.images.keys() {
        names.entry(path.parent()?).or_default().push(path);
    }
    let is_flat = |folder: &InnerPath| {
        folder.depth() == 0 || split_name(folder.last()).is_some() || says_only_images(folder.last())
    };
    if names.len() > 1 && !names.keys().all(is_flat) {
        return None;
    }
    let (mut folders, mut loose) = (Folders::new(), Vec::new());
    for (folder, paths) in names {
        let classes: Option<Vec<&[u8]>> = paths.iter().map(|path| class(path.last())).collect();
        let Some(classes) = classes else {
            loose.extend(paths);
            continue;
        };
        let by_class = folders.entry(folder).or_default();
        for (class, path) in classes.into_iter().zip(paths) {
            by_class.entry(class.to_vec()).or_default().push(path.clone());
        }
    }
    let is_telling = |classes: &Classes| classes.len() > 1 && classes.values().all(|images| images.len() > 1);
    if !folders.values().any(is_telling) {
        return None;
    }
    let note = loose.first().map(|first| Note::Loose { count: loose.len(), first: first.text() });
    Some((folders, note))
}

/// Class in a file's name: what stands before its number.
fn class(name: &[u8]) -> Option<&[u8]> {
    let stem = &name[..name.iter().rposition(|&byte| byte == b'.')?];
    let digits = stem.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let before = &stem[..stem.len() - digits];
    let (&separator, class) = before.split_last()?;
    let is_word = class.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    let is_device = OF_DEVICES.iter().any(|word| class.eq_ignore_ascii_case(word.as_bytes()));
    let says_class = is_word && !is_device && !says_only_images(class) && split_name(class).is_none();
    (digits > 0 && b"._- ".contains(&separator) && says_class).then_some(class)
}

/// Training and validation images: of each class, `holdout` of them are for validation, drawn by `split_seed`.
fn held_out_of(splits: BTreeMap<Split, Classes>, options: &OpenOptions) -> Result<Labelled, Error> {
    let hold_out = HoldOut::new(options.holdout, options.split_seed)?;
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for (label, images) in splits.into_values().flatten().map(|(_, images)| images).enumerate() {
        let held_out = hold_out.of_class(label, images.len());
        for (path, held_out) in images.into_iter().zip(held_out) {
            if held_out { &mut val } else { &mut train }.push((path, label));
        }
    }
    let splits = [(Split::Train, train), (Split::Val, val)];
    Ok(splits.into_iter().filter(|(_, images)| !images.is_empty()).collect())
}

/// Images with their labels, by split.
fn of_labels(splits: BTreeMap<Split, Classes>) -> Labelled {
    let known: Vec<Vec<u8>> = splits
        .get(&Split::Train)
        .or(splits.values().next())
        .into_iter()
        .flat_map(|classes| classes.keys().cloned())
        .collect();
    let labelled = |classes: Classes| {
        let of_class = |(class, images): (Vec<u8>, Vec<InnerPath>)| {
            let label = known.binary_search(&class).unwrap_or_default();
            images.into_iter().map(move |path| (path, label))
        };
        let mut images: Vec<_> = classes.into_iter().flat_map(of_class).collect();
        images.sort();
        images
    };
    splits.into_iter().map(|(split, classes)| (split, labelled(classes))).collect()
}
