//! From paths to classes and splits.

use std::collections::{BTreeMap, BTreeSet};

use crate::listing::{Listing, Parts};
use crate::random::{Random, Use};
use crate::{Error, OpenOptions, Split};

/// A class's images, by path.
type Class = Vec<Parts>;

/// Classes in order, and each split's images with their labels, sorted by path.
pub(crate) type Arranged = (Vec<String>, Vec<(Split, Vec<(Parts, usize)>)>);

/// The split that a folder of this name holds.
fn split_named(name: &str) -> Option<Split> {
    let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is(&["train"]) {
        Some(Split::Train)
    } else if is(&["val", "valid", "validation"]) {
        Some(Split::Val)
    } else if is(&["test"]) {
        Some(Split::Test)
    } else {
        None
    }
}

/// Finds the classes and splits of a listing of image files.
pub(crate) fn arrange(listing: &Listing, options: &OpenOptions) -> Result<Arranged, Error> {
    let top = common_top(listing);
    let below = |parts: &Parts| parts.starts_with(&top) && parts.len() > top.len();
    let images: Vec<&Parts> = listing.images.keys().filter(|parts| below(parts)).collect();
    let folders: Vec<&[String]> =
        listing.folders.iter().filter(|parts| below(parts)).map(|parts| &parts[top.len()..]).collect();
    let has_splits = images.iter().any(|parts| {
        let inside = &parts[top.len()..];
        inside.len() >= 3 && split_named(&inside[0]).is_some()
    });
    let arranged = match has_splits {
        true => by_split(listing, &images, &folders, top.len())?,
        false => by_class(listing, &images, &folders, top.len(), options)?,
    };
    if arranged.0.is_empty() {
        return Err(no_classes(listing));
    }
    Ok(arranged)
}

/// The folders that everything is in and that are neither a split nor the only class.
fn common_top(listing: &Listing) -> Parts {
    let mut top = Parts::new();
    loop {
        let depth = top.len();
        let names: BTreeSet<&String> = listing
            .images
            .keys()
            .map(|parts| parts.get(depth))
            .chain(listing.folders.iter().filter(|parts| parts.len() > depth).map(|parts| parts.get(depth)))
            .flatten()
            .collect();
        let deep = listing.images.keys().any(|parts| parts.len() >= depth + 3);
        match names.first() {
            Some(name) if names.len() == 1 && deep && split_named(name).is_none() => {
                top.push((*name).clone());
            }
            _ => return top,
        }
    }
}

fn no_classes(listing: &Listing) -> Error {
    let found = match (listing.images.len(), listing.folders.len()) {
        (0, 0) => "no JPEG or PNG files and no folders".into(),
        (0, folders) => format!("no JPEG or PNG files in {folders} folders"),
        (images, _) => format!("{images} images, none of them in a class folder"),
    };
    Error::NoClasses { path: listing.origin.clone(), found }
}

/// Images and folders one level down, sorted into named classes; an empty one is an error.
fn classes<'a>(
    listing: &Listing,
    images: impl Iterator<Item = (&'a Parts, usize)>,
    folders: impl Iterator<Item = &'a [String]>,
) -> Result<BTreeMap<String, Class>, Error> {
    let mut classes: BTreeMap<String, Class> = BTreeMap::new();
    for (parts, depth) in images {
        classes.entry(parts[depth].clone()).or_default().push(parts.clone());
    }
    if classes.is_empty() {
        return Ok(classes);
    }
    for folder in folders {
        let name = folder.last().map_or("", String::as_str);
        if !classes.contains_key(name) {
            return Err(Error::EmptyClass { path: listing.origin.clone(), class: folder.join("/") });
        }
    }
    Ok(classes)
}

/// `SPLIT/CLASS/IMAGE`. Folders beside the splits are left out, and images outside a class too.
fn by_split(
    listing: &Listing,
    images: &[&Parts],
    folders: &[&[String]],
    top: usize,
) -> Result<Arranged, Error> {
    let mut found: Vec<(Split, BTreeMap<String, Class>)> = Vec::new();
    for split in Split::ALL {
        let own = |name: &String| split_named(name) == Some(split);
        let images = images.iter().filter(|parts| parts.len() >= top + 3 && own(&parts[top]));
        let folders = folders.iter().filter(|inside| inside.len() == 2 && own(&inside[0]));
        let classes = classes(listing, images.map(|parts| (*parts, top + 1)), folders.copied())?;
        if !classes.is_empty() {
            found.push((split, classes));
        }
    }
    // The training images say which classes there are; without them, all that is there counts.
    let known: BTreeSet<String> = match found.first() {
        Some((Split::Train, classes)) => classes.keys().cloned().collect(),
        _ => found.iter().flat_map(|(_, classes)| classes.keys().cloned()).collect(),
    };
    let known: Vec<String> = known.into_iter().collect();
    let mut splits = Vec::new();
    for (split, classes) in found {
        let mut entries = Vec::new();
        for (class, images) in classes {
            let label = known.binary_search(&class).map_err(|_| Error::UnknownClass {
                path: listing.origin.clone(),
                class: format!("{split}/{class}"),
                known: known.clone(),
            })?;
            entries.extend(images.into_iter().map(|parts| (parts, label)));
        }
        splits.push((split, entries));
    }
    Ok((known, splits))
}

/// `CLASS/IMAGE`: of each class, `holdout` of the images are for validation, drawn by `split_seed`.
fn by_class(
    listing: &Listing,
    images: &[&Parts],
    folders: &[&[String]],
    top: usize,
    options: &OpenOptions,
) -> Result<Arranged, Error> {
    let images = images.iter().filter(|parts| parts.len() >= top + 2);
    let folders = folders.iter().filter(|inside| inside.len() == 1);
    let classes = classes(listing, images.map(|parts| (*parts, top)), folders.copied())?;
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for (label, images) in classes.values().enumerate() {
        let held_out = held_out(images.len(), label, options);
        for (parts, held_out) in images.iter().zip(held_out) {
            let split = if held_out { &mut val } else { &mut train };
            split.push((parts.clone(), label));
        }
    }
    let splits = [(Split::Train, train), (Split::Val, val)];
    let splits = splits.into_iter().filter(|(_, entries)| !entries.is_empty()).collect();
    Ok((classes.into_keys().collect(), splits))
}

/// Which of a class's images are held out: the nearest whole number to `holdout`, but at least one,
/// and one left to train on, as far as two images allow.
fn held_out(count: usize, label: usize, options: &OpenOptions) -> Vec<bool> {
    let wanted = (count as f64 * options.holdout).round() as usize;
    let least = usize::from(options.holdout > 0.0 && count >= 2);
    let wanted = wanted.clamp(least, count.saturating_sub(1).max(least));
    let mut order: Vec<usize> = (0..count).collect();
    Random::new(options.split_seed, 0, label as u64, Use::Split).shuffle(&mut order);
    let mut held_out = vec![false; count];
    order[..wanted].iter().for_each(|&i| held_out[i] = true);
    held_out
}
