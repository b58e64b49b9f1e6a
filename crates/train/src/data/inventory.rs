//! Inventory of the images of a run as they were when it began.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use residual_data::{Source, Split, Stamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::run::progress::Fnv;

/// Images that have no more bytes than this, all together, are read and hashed: what the first epoch reads then is
/// in memory already. 256 MB take 0.1 s.
const HASHED: u64 = 256 << 20;

/// Image as it was, a line of `images.jsonl`: a JSON array of split, name, label, bytes, time of change in
/// nanoseconds since 1970, and hash of the content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line(Split, String, usize, u64, Option<i64>, Option<u64>);

/// Inventory of the images of a run as they were when it began, in the order of the data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inventory(Vec<Line>);

/// Comparison of the images of a resumed run with those that it began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Images of the same size and another time, which were not hashed when the run began.
    pub(crate) undecided: usize,
}

impl Inventory {
    /// Inventory of all images of these splits. One that cannot be read has no size and no hash: whoever trains on it
    /// will say so.
    pub(crate) fn of(sets: &[(Split, &dyn Source)]) -> Self {
        let places = || sets.iter().flat_map(|&(split, set)| (0..set.len()).map(move |i| (split, set, i)));
        let stamps: Vec<_> = places()
            .map(|(_, set, index)| set.stamp(index).unwrap_or_else(|_| Some(Stamp::default())))
            .collect();
        let is_small = stamps.iter().flatten().map(|stamp| stamp.size).sum::<u64>() <= HASHED;
        let lines = places().zip(stamps).map(|((split, set, index), stamp)| {
            let hash = match stamp {
                Some(Stamp { crc: Some(crc), .. }) => Some(u64::from(crc)),
                // What has no time is in memory.
                Some(stamp) if is_small || stamp.modified.is_none() => digest(set, index),
                Some(_) | None => None,
            };
            let Stamp { size, modified, .. } = stamp.unwrap_or_default();
            Line(split, set.name(index).into_owned(), set.label(index), size, modified, hash)
        });
        Self(lines.collect())
    }

    /// Writes `images.jsonl`.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        Ok(residual_weights::write_atomically(path, |file| {
            self.0.iter().try_for_each(|line| {
                serde_json::to_writer(&mut *file, line)?;
                file.write_all(b"\n")
            })
        })?)
    }

    /// Reads `images.jsonl`; `None` where there is none, or one that is damaged: it tells more than the checkpoint
    /// does, and is needed for nothing else.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let file: File = residual_files::open(path).ok()?;
        let lines = BufReader::new(file).lines();
        let lines = lines.map(|line| serde_json::from_str(&line.ok()?).ok());
        lines.collect::<Option<_>>().map(Self)
    }

    /// Hash of the names, labels and sizes: binds the list to the checkpoint.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Fnv::new();
        for Line(_, name, label, size, ..) in &self.0 {
            hash.write(name.as_bytes());
            hash.write(&(*label as u64).to_le_bytes());
            hash.write(&size.to_le_bytes());
        }
        hash.finish()
    }

    /// Holds the images against those of the list. Of the same name and size and another time, an image is the same
    /// where its hash is. Those that the training could not read (`bad` holds what was said of them) may have been
    /// mended since.
    pub(crate) fn compare(&self, sets: &[(Split, &dyn Source)], bad: &[String]) -> Result<Compared, Error> {
        let places =
            sets.iter().flat_map(|&(split, set)| (0..set.len()).map(move |index| (split, set, index)));
        let mut then = self.0.iter();
        let mut compared = Compared::default();
        for (split, set, index) in places {
            let (name, label) = (set.name(index), set.label(index));
            let line = then.next().filter(|line| (line.0, line.1.as_str(), line.2) == (split, &*name, label));
            let Some(line) = line else { return Err(self.other_names(sets)) };
            if bad.iter().any(|reason| reason.contains(&*name)) {
                continue;
            }
            // The source does not tell.
            let Some(stamp) = set.stamp(index)? else { continue };
            let changed = |how: String| Error::ImageChanged { file: set.file(index), how };
            if stamp.size != line.3 {
                return Err(changed(format!(
                    "has {} bytes, and had {} when this run began",
                    stamp.size, line.3
                )));
            }
            let same = match (line.5, stamp.crc) {
                (Some(then), Some(now)) => Some(then == u64::from(now)),
                _ if stamp.modified.is_some() && stamp.modified == line.4 => Some(true),
                (Some(then), None) => Some(digest(set, index) == Some(then)),
                (None, _) => None,
            };
            match same {
                Some(true) => {}
                Some(false) => return Err(changed("has other content than when this run began".to_owned())),
                None => compared.undecided += 1,
            }
        }
        match then.next() {
            None => Ok(compared),
            Some(_) => Err(self.other_names(sets)),
        }
    }

    /// The first image that is in one of the two and not in the other.
    fn other_names(&self, sets: &[(Split, &dyn Source)]) -> Error {
        type Key<'a> = (Split, Cow<'a, str>, usize);
        let then: BTreeSet<Key<'_>> =
            self.0.iter().map(|line| (line.0, line.1.as_str().into(), line.2)).collect();
        let now: BTreeSet<Key<'_>> = sets
            .iter()
            .flat_map(|&(split, set)| {
                (0..set.len()).map(move |index| (split, set.name(index), set.label(index)))
            })
            .collect();
        let counts = |split: Split| {
            let of = |keys: &BTreeSet<Key<'_>>| keys.iter().filter(|key| key.0 == split).count();
            format!("the data have {} {split} images, and had {} when this run began", of(&now), of(&then))
        };
        let (file, how) = match (then.difference(&now).next(), now.difference(&then).next()) {
            (Some(gone), _) => (&*gone.1, format!("is missing: {}", counts(gone.0))),
            (None, Some(new)) => (&*new.1, format!("is new: {}", counts(new.0))),
            (None, None) => ("the list of images", "is in another order than when this run began".to_owned()),
        };
        Error::ImageChanged { file: file.to_owned(), how }
    }
}

/// Hash of an image's bytes; `None` where they cannot be read.
fn digest(set: &dyn Source, index: usize) -> Option<u64> {
    let bytes = set.bytes(index).ok()?;
    let mut hash = Fnv::new();
    hash.write_words(&bytes);
    Some(hash.value())
}
