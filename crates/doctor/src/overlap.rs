//! The same image twice: in training and evaluation, or in two classes. Equal means equal bytes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use residual_data::{Dataset, ImageSet, Split};

use crate::{Error, Finding, Kind, Severity};

/// From one image in a hundred on, the overlap moves the accuracy by as much as one point.
const FAULT_FRACTION: f64 = 0.01;

/// Checks for images in several splits. Images that cannot be read are left to [`crate::pixels`].
pub(crate) fn check(data: &Dataset) -> Result<Vec<Finding>, Error> {
    let Ok(train) = data.split(Split::Train) else { return Ok(vec![]) };
    let known = hashes(&train);
    let mut findings: Vec<Finding> = two_labels(&train, &known).into_iter().collect();
    for split in data.splits().into_iter().filter(|split| *split != Split::Train) {
        findings.extend(shared(split, &data.split(split)?, &train, &known));
    }
    Ok(findings)
}

type Places = HashMap<u64, Vec<usize>>;

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The images of a set by hash.
fn hashes(set: &ImageSet) -> Places {
    let mut places = Places::new();
    for index in 0..set.len() {
        if let Ok(bytes) = set.bytes(index) {
            places.entry(hash(&bytes)).or_default().push(index);
        }
    }
    places
}

/// True where two images are the same; a hash alone does not say so.
fn same(a: &ImageSet, i: usize, b: &ImageSet, j: usize) -> bool {
    matches!((a.bytes(i), b.bytes(j)), (Ok(a), Ok(b)) if a == b)
}

fn two_labels(train: &ImageSet, known: &Places) -> Option<Finding> {
    let mut pairs: Vec<(usize, usize)> = known
        .values()
        .filter_map(|places| {
            let (&first, rest) = places.split_first()?;
            let other = |&&other: &&usize| train.label(other) != train.label(first);
            let other = *rest.iter().find(other)?;
            same(train, first, train, other).then_some((first, other))
        })
        .collect();
    pairs.sort_unstable();
    let &(first, other) = pairs.first()?;
    let finding = Kind::TwoLabels.at(train.name(first));
    let finding = finding.found(format!("the same as {}; {} such images", train.name(other), pairs.len()));
    Some(finding.expected("one class an image").help("remove it from the class where it does not belong"))
}

fn shared(split: Split, set: &ImageSet, train: &ImageSet, known: &Places) -> Option<Finding> {
    let twin = |index: usize| {
        let bytes = set.bytes(index).ok()?;
        known.get(&hash(&bytes))?.iter().copied().find(|&other| same(set, index, train, other))
    };
    let twins: Vec<_> = (0..set.len()).filter_map(|index| Some((index, twin(index)?))).collect();
    let &(first, other) = twins.first()?;
    let fraction = twins.len() as f64 / set.len() as f64;
    let severity = if fraction >= FAULT_FRACTION { Severity::Fault } else { Severity::Warning };
    let found = format!("the same as {}; {} of {} {split} images", train.name(other), twins.len(), set.len());
    let finding = Kind::Overlap.at(set.name(first)).severity(severity).found(found);
    Some(finding.expected("images that were not trained on").help("remove them from the training images"))
}
