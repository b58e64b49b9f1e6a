//! Images that are both trained on and judged by, found without reading all of them.

use std::collections::HashMap;

use serde::Serialize;

use crate::survey::Digest;
use crate::{Source, Split, Stamp};

/// Bytes that a comparison before a training reads at most: 256 MiB, which take a tenth of a second where they are in
/// memory.
pub const MOST_COMPARED: u64 = 256 << 20;

/// Overlap: images of one split that are in another one too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Overlap {
    /// Split that is judged by.
    pub split: Split,
    /// Split that its images are in as well.
    pub with: Split,
    /// Number of images of `split`.
    pub total: usize,
    /// Images of `split` whose bytes are in `with`.
    pub same_bytes: usize,
    /// Images of `split` with other bytes, whose pixels are in `with`.
    pub same_pixels: usize,
    /// Those of both that have another label there.
    pub other_labels: usize,
    /// The first of them, and the image that it is the same as.
    pub first: [String; 2],
    /// Images that were not compared, since reading them would have taken too long.
    pub uncompared: usize,
}

impl Overlap {
    pub(crate) fn none(split: Split, with: Split, total: usize) -> Self {
        let first = Default::default();
        Self { split, with, total, same_bytes: 0, same_pixels: 0, other_labels: 0, first, uncompared: 0 }
    }

    /// Number of images that are in both.
    pub fn images(&self) -> usize {
        self.same_bytes + self.same_pixels
    }

    /// Adds an image by its name and that of its twin.
    pub(crate) fn add(&mut self, names: [String; 2], same_bytes: bool, other_label: bool) {
        if self.images() == 0 {
            self.first = names;
        }
        *if same_bytes { &mut self.same_bytes } else { &mut self.same_pixels } += 1;
        self.other_labels += usize::from(other_label);
    }
}

/// Overlap of the images of `split`, `judged`, with those of training, by equal bytes. Only images are read whose size
/// (and checksum, which a zip archive has) is found in both, the least first, and no more than `most_bytes`. Where
/// [stamps](Source::stamp) are no sizes of single images, as those of a table's rows, all images are read in their order, if
/// they are no more than `most_bytes`. Of a [`Source`] without stamps nothing is known: `None`.
///
/// Images that cannot be read are left out: whoever trains on them will say so.
pub fn overlap(split: Split, judged: &dyn Source, train: &dyn Source, most_bytes: u64) -> Option<Overlap> {
    let (ours, mut theirs) = (stamped(judged)?, stamped(train)?);
    if !has_sizes(judged) || !has_sizes(train) {
        return Some(by_reading(split, judged, train, most_bytes));
    }
    let mut alike: Vec<Alike> = ours
        .into_iter()
        .filter_map(|(key, judged)| Some(Alike { key, judged, train: theirs.remove(&key)? }))
        .collect();
    alike.sort_unstable_by_key(|alike| (alike.bytes(), alike.key));
    let mut found = Overlap::none(split, Split::Train, judged.len());
    let (mut left, mut twins) = (most_bytes, Vec::<(usize, Vec<usize>)>::new());
    for alike in alike {
        match left.checked_sub(alike.bytes()) {
            Some(rest) => left = rest,
            None => {
                found.uncompared += alike.judged.len();
                continue;
            }
        }
        let known = by_content(train, &alike.train);
        for index in alike.judged {
            let digest = judged.bytes(index).ok().map(|bytes| Digest::of(&bytes));
            twins.extend(digest.and_then(|digest| Some((index, known.get(&digest)?.clone()))));
        }
    }
    add(&mut found, twins, judged, train);
    Some(found)
}

/// Adds judged images and those of training that each is the same as.
fn add(found: &mut Overlap, mut twins: Vec<(usize, Vec<usize>)>, judged: &dyn Source, train: &dyn Source) {
    twins.sort_unstable();
    for (index, twins) in twins {
        let names = [judged.name(index).into_owned(), train.name(twins[0]).into_owned()];
        let label = judged.label(index);
        found.add(names, true, twins.iter().any(|&twin| train.label(twin) != label));
    }
}

/// Overlap of images whose sizes are not known beforehand: all are read, or none.
fn by_reading(split: Split, judged: &dyn Source, train: &dyn Source, most_bytes: u64) -> Overlap {
    let mut found = Overlap::none(split, Split::Train, judged.len());
    found.uncompared = judged.len();
    // As they are stored; unpacked they may be more, and are counted as they are read.
    let stored = |set: &dyn Source| -> u64 {
        (0..set.len()).filter_map(|index| set.stamp(index).ok().flatten()).map(|stamp| stamp.size).sum()
    };
    if stored(judged).saturating_add(stored(train)) > most_bytes {
        return found;
    }
    let mut left = most_bytes;
    let mut digest = |set: &dyn Source, index: usize| {
        let bytes = set.bytes(index).ok();
        left = left.checked_sub(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))?;
        Some(bytes.map(|bytes| Digest::of(&bytes)))
    };
    let mut known: HashMap<Digest, Vec<usize>> = HashMap::new();
    for index in 0..train.len() {
        match digest(train, index) {
            Some(digest) => {
                digest.into_iter().for_each(|digest| known.entry(digest).or_default().push(index))
            }
            None => return found,
        }
    }
    let mut twins = Vec::new();
    for index in 0..judged.len() {
        let Some(digest) = digest(judged, index) else { break };
        found.uncompared -= 1;
        twins.extend(digest.and_then(|digest| Some((index, known.get(&digest)?.clone()))));
    }
    add(&mut found, twins, judged, train);
    found
}

/// Size and checksum of images.
type Key = (u64, Option<u32>);

/// Images of one size, and of one checksum where they have any, in both splits.
struct Alike {
    key: Key,
    judged: Vec<usize>,
    train: Vec<usize>,
}

/// Bytes that reading an image counts for at least: opening a file takes as long as reading so many.
const LEAST: u64 = 4096;

impl Alike {
    /// Bytes that comparing them reads.
    fn bytes(&self) -> u64 {
        self.key.0.max(LEAST).saturating_mul((self.judged.len() + self.train.len()) as u64)
    }
}

/// Number of images that are tried for one that can be read.
const TRIED: usize = 8;

/// True where the stamp of an image has the size of its bytes.
fn has_sizes(set: &dyn Source) -> bool {
    let mut found = (0..set.len().min(TRIED)).filter_map(|index| match set.stamp(index) {
        Ok(Some(stamp)) => set.bytes(index).ok().map(|bytes| stamp.size == bytes.len() as u64),
        Ok(None) => Some(false),
        Err(_) => None,
    });
    found.next().unwrap_or(true)
}

/// The images of each size and checksum; `None` where they are not known. Empty ones are left out.
fn stamped(set: &dyn Source) -> Option<HashMap<Key, Vec<usize>>> {
    let mut images: HashMap<Key, Vec<usize>> = HashMap::new();
    for index in 0..set.len() {
        match set.stamp(index) {
            Ok(Some(Stamp { size: 0, .. })) | Err(_) => {}
            Ok(Some(Stamp { size, crc, .. })) => images.entry((size, crc)).or_default().push(index),
            Ok(None) => return None,
        }
    }
    Some(images)
}

/// Images by what they hold.
fn by_content(set: &dyn Source, places: &[usize]) -> HashMap<Digest, Vec<usize>> {
    let mut content: HashMap<Digest, Vec<usize>> = HashMap::new();
    for &index in places {
        if let Ok(bytes) = set.bytes(index) {
            content.entry(Digest::of(&bytes)).or_default().push(index);
        }
    }
    content
}
