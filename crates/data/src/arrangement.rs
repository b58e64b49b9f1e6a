//! Arrangement of folders: splits or classes, by their names and by what is in them.

use std::collections::{BTreeMap, BTreeSet};

use residual_files::unambiguous;

use crate::listing::Listing;
use crate::path::InnerPath;
use crate::split_name::{SplitName, split_name};
use crate::{Error, Split};

/// Content of one of the folders side by side.
#[derive(Debug, Default)]
pub(crate) struct Child {
    /// Images in the folder itself.
    pub(crate) direct: usize,
    /// Images in folders below.
    pub(crate) deep: usize,
    /// Folders in it that have images.
    pub(crate) inner: BTreeSet<Vec<u8>>,
    /// Split that its name says, where it says one.
    pub(crate) split: Option<SplitName>,
}

impl Child {
    pub(crate) fn images(&self) -> usize {
        self.direct + self.deep
    }
}

/// Folders side by side, by name.
type Children = BTreeMap<Vec<u8>, Child>;

/// Reading of folders side by side: splits or classes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Splits, which hold classes.
    Splits(Vec<(Split, Vec<u8>)>),
    /// Classes.
    Classes,
}

/// Folders in `top`, with and without images.
pub(crate) fn children(listing: &Listing, top: &InnerPath) -> Children {
    let depth = top.depth();
    let mut found = Children::new();
    let new = |name: &[u8]| Child { split: split_name(name), ..Child::default() };
    for path in listing.folders.range(top..).take_while(|path| path.is_within(top)) {
        if let Some(name) = path.part(depth).filter(|_| path.depth() == depth + 1) {
            found.insert(name.to_vec(), new(name));
        }
    }
    for (path, _) in listing.images.range(top..).take_while(|(path, _)| path.is_within(top)) {
        let mut parts = path.parts().skip(depth);
        let (Some(name), Some(second)) = (parts.next(), parts.next()) else { continue };
        let Some(child) = found.get_mut(name) else { continue };
        match parts.next() {
            None => child.direct += 1,
            Some(_) => {
                child.deep += 1;
                if !child.inner.contains(second) {
                    child.inner.insert(second.to_vec());
                }
            }
        }
    }
    found
}

/// Reading of folders side by side as splits or as classes. Splits are folders with class folders in them, called `train`, `val`, `test` or the
/// like, or at least two that share all other words of their names.
///
/// # Errors
/// Where the names are those of splits and what is in the folders is not, or the other way round.
pub(crate) fn reading(found: &Children, origin: &str) -> Result<Reading, Error> {
    let plain: Vec<Named> = nested(found).filter(|(_, _, split)| split.decoration.is_empty()).collect();
    if !plain.is_empty() {
        return plain_splits(found, &plain, origin);
    }
    let mut groups: BTreeMap<&[String], Vec<Named>> = BTreeMap::new();
    for named in nested(found) {
        groups.entry(&named.2.decoration).or_default().push(named);
    }
    let whole: Vec<&Vec<Named>> = groups.values().filter(|group| splits_of(group).len() > 1).collect();
    match whole.as_slice() {
        [group] => return Ok(as_splits(group)),
        [] => {}
        several => return Err(unclear(origin, several.iter().flat_map(|group| group.iter()))),
    }
    let all: Vec<Named> = nested(found).collect();
    if splits_of(&all).len() > 1 && share_classes(&all) {
        return Err(unclear(origin, all.iter()));
    }
    classes(found, origin)
}

/// A folder that is called like a split.
type Named<'a> = (&'a Vec<u8>, &'a Child, &'a SplitName);

/// Folders that are called like splits and hold folders of images.
fn nested(found: &Children) -> impl Iterator<Item = Named<'_>> {
    named(found).filter(|(_, child, _)| child.deep > 0)
}

fn named(found: &Children) -> impl Iterator<Item = Named<'_>> {
    found.iter().filter_map(|(name, child)| Some((name, child, child.split.as_ref()?)))
}

fn splits_of(group: &[Named]) -> BTreeSet<Split> {
    group.iter().map(|(_, _, split)| split.split).collect()
}

fn as_splits(group: &[Named]) -> Reading {
    Reading::Splits(group.iter().map(|(name, _, split)| (split.split, (*name).clone())).collect())
}

fn unclear<'a>(origin: &str, folders: impl Iterator<Item = &'a Named<'a>>) -> Error {
    let folders = folders.map(|(name, _, _)| unambiguous(name)).collect();
    Error::UnclearSplits { path: origin.to_owned(), folders }
}

/// Test for a class folder whose name is found in two of the folders.
fn share_classes(group: &[Named]) -> bool {
    let mut seen = BTreeSet::new();
    group.iter().flat_map(|(_, child, _)| &child.inner).any(|name| !seen.insert(name))
}

/// Arrangement where some folders are called just `train` or the like.
fn plain_splits(found: &Children, plain: &[Named], origin: &str) -> Result<Reading, Error> {
    let splits = splits_of(plain);
    // `test_v2` beside `train` may be its test images, or not.
    let decorated: Vec<Named> = nested(found).filter(|(_, _, split)| !split.decoration.is_empty()).collect();
    let missing = decorated.iter().any(|(_, _, split)| !splits.contains(&split.split));
    let all = [plain, &decorated].concat();
    if missing && share_classes(&all) {
        return Err(unclear(origin, all.iter()));
    }
    if splits.len() > 1 {
        return Ok(as_splits(plain));
    }
    // One folder called `train` may be a split, and the others strays; or it is a class of vehicles.
    let others = || found.iter().filter(|(_, child)| child.split.is_none() && child.images() > 0);
    if plain.iter().any(|(_, child, _)| child.direct > 0) && others().next().is_some() {
        return classes(found, origin);
    }
    let own: usize = plain.iter().map(|(_, child, _)| child.images()).sum();
    if others().map(|(_, child)| child.images()).sum::<usize>() > own {
        let folders = plain.iter().map(|(name, _, _)| *name).chain(others().map(|(name, _)| name));
        let folders = folders.map(|name| unambiguous(name)).collect();
        return Err(Error::UnclearSplits { path: origin.to_owned(), folders });
    }
    Ok(as_splits(plain))
}

/// Arrangement where the folders are classes, unless they look like something else.
fn classes(found: &Children, origin: &str) -> Result<Reading, Error> {
    let full: Vec<(&Vec<u8>, &Child)> = found.iter().filter(|(_, child)| child.images() > 0).collect();
    let path = || origin.to_owned();
    let flat: Vec<Named> = named(found).filter(|(_, child, _)| child.direct > 0 && child.deep == 0).collect();
    // `test1` beside `train` is a split, whatever its number.
    let words = |split: &SplitName| -> Vec<String> {
        let is_number = |word: &&String| word.parse::<u64>().is_ok();
        split.decoration.iter().filter(|word| !is_number(word)).cloned().collect()
    };
    let same = flat.iter().all(|(_, _, split)| words(split) == words(flat[0].2));
    if same && splits_of(&flat).len() > 1 && 2 * flat.len() >= full.len() {
        let folders = flat.iter().map(|(name, _, _)| unambiguous(name)).collect();
        return Err(Error::FlatSplits { path: path(), folders });
    }
    let inner = || full.iter().flat_map(|(_, child)| &child.inner).filter_map(|name| split_name(name));
    let only_splits = full.iter().all(|(_, child)| {
        child.direct == 0
            && child.inner.iter().all(|name| split_name(name).is_some_and(|name| name.decoration.is_empty()))
    });
    if only_splits && full.len() > 1 && inner().map(|name| name.split).collect::<BTreeSet<_>>().len() > 1 {
        let (class, split) = (unambiguous(full[0].0), full[0].1.inner.first().map(|name| unambiguous(name)));
        return Err(Error::SplitsInClasses { path: path(), class, split: split.unwrap_or_default() });
    }
    let (folders, rest): (Vec<_>, Vec<_>) =
        full.iter().partition(|(_, child)| child.direct == 0 && child.inner.len() > 1);
    if let [(folder, child)] = folders.as_slice()
        && !rest.is_empty()
        && rest.iter().all(|(_, child)| child.images() == 1)
    {
        let stray = rest.iter().map(|(name, _)| unambiguous(name)).collect();
        return Err(Error::StrayFolders {
            path: path(),
            folder: unambiguous(folder),
            inside: child.inner.len(),
            stray,
        });
    }
    Ok(Reading::Classes)
}
