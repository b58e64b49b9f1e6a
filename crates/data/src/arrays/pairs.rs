//! Images and labels that belong together.

use std::collections::BTreeMap;

use super::array::Array;
use super::name::{ArrayName, Role};
use super::{idx, numpy};
use crate::listing::Listing;
use crate::store::Location;
use crate::{Error, Split};

/// Format of an array's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Idx,
    Numpy,
}

/// An array by its name, not yet opened.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Set of arrays that it is of; sets are never mixed.
    pub(super) set: String,
    /// File or folder in which its other half is.
    pub(super) group: String,
    /// Name by which its images are called.
    pub(super) title: String,
    /// Name in errors.
    pub(super) file: String,
    pub(super) name: ArrayName,
    pub(super) location: Location,
    pub(super) format: Format,
}

impl Candidate {
    pub(super) fn open(&self, listing: &mut Listing) -> Result<Array, Error> {
        match self.format {
            Format::Idx => idx::open(self, listing),
            Format::Numpy => numpy::open(self, listing),
        }
    }
}

/// Images with their labels.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) split: Option<Split>,
    pub(super) images: Candidate,
    pub(super) labels: Candidate,
}

/// Pairs of one set, and the arrays that are in none.
#[derive(Debug)]
pub(super) struct Paired {
    pub(super) pairs: Vec<Pair>,
    pub(super) class_names: Option<Candidate>,
    pub(super) left_out: Vec<String>,
}

/// Puts images and labels together by their names.
///
/// # Errors
/// [`Error::NoArrays`] where there is no pair; [`Error::SeveralSets`].
pub(super) fn paired(candidates: Vec<Candidate>, listing: &mut Listing) -> Result<Paired, Error> {
    let titles: Vec<String> = candidates.iter().map(|array| array.title.clone()).collect();
    let nameless = candidates.iter().all(|array| array.name.role.is_none());
    let mut paired = match <[Candidate; 2]>::try_from(candidates) {
        Ok(two) if nameless => {
            Paired { pairs: vec![by_sizes(two, listing)?], class_names: None, left_out: Vec::new() }
        }
        Ok(two) => by_names(two.into()),
        Err(candidates) => by_names(candidates),
    };
    if paired.pairs.is_empty() {
        return Err(Error::NoArrays { path: listing.origin.clone(), found: titles });
    }
    let mut sets: Vec<String> = paired.pairs.iter().map(set_of).collect();
    sets.sort();
    sets.dedup();
    if sets.len() > 1 {
        let first = |set: &String| paired.pairs.iter().find(|pair| set_of(pair) == *set);
        let sets = sets.iter().filter_map(first).map(|pair| pair.images.title.clone()).collect();
        return Err(Error::SeveralSets { path: listing.origin.clone(), sets });
    }
    paired.pairs.sort_by(|a, b| (a.split, &a.images.title).cmp(&(b.split, &b.images.title)));
    Ok(paired)
}

fn set_of(pair: &Pair) -> String {
    let rest = if pair.images.name.rest == pair.labels.name.rest {
        pair.images.name.rest.join("-")
    } else {
        String::new()
    };
    format!("{} {rest}", pair.images.set)
}

fn by_names(candidates: Vec<Candidate>) -> Paired {
    let mut groups: BTreeMap<(String, String, Option<Split>), [Vec<Candidate>; 2]> = BTreeMap::new();
    let (mut class_names, mut left_out) = (None, Vec::new());
    for candidate in candidates {
        let place = match candidate.name.role {
            Some(Role::Images) => 0,
            Some(Role::Labels) => 1,
            Some(Role::ClassNames) if class_names.is_none() => {
                class_names = Some(candidate);
                continue;
            }
            _ => {
                left_out.push(candidate.title);
                continue;
            }
        };
        let key = (candidate.set.clone(), candidate.group.clone(), candidate.name.split);
        groups.entry(key).or_default()[place].push(candidate);
    }
    let mut pairs = Vec::new();
    for ((_, _, split), [images, mut labels]) in groups {
        let only = images.len() == 1 && labels.len() == 1;
        for image in images {
            let mut same = (0..labels.len()).filter(|&at| only || labels[at].name.rest == image.name.rest);
            match (same.next(), same.next()) {
                (Some(at), None) => pairs.push(Pair { split, images: image, labels: labels.remove(at) }),
                _ => left_out.push(image.title),
            }
        }
        left_out.extend(labels.into_iter().map(|label| label.title));
    }
    left_out.sort();
    Paired { pairs, class_names, left_out }
}

/// Two arrays without telling names, `arr_0` and `arr_1`: images have a height and a width.
fn by_sizes([one, other]: [Candidate; 2], listing: &mut Listing) -> Result<Pair, Error> {
    let dimensions = [one.open(listing)?.shape.len(), other.open(listing)?.shape.len()];
    let (images, labels) = match dimensions {
        [a, b] if a > 2 && b <= 2 => (one, other),
        [a, b] if a <= 2 && b > 2 => (other, one),
        _ => {
            let found = vec![one.title, other.title];
            return Err(Error::NoArrays { path: listing.origin.clone(), found });
        }
    };
    Ok(Pair { split: None, images, labels })
}
