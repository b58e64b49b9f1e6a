//! Samples of a shard, listed by the headers of its members.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Mutex;

use residual_files::{Budget, escaped_bytes};

use super::sample::{MAX_JSON, MAX_LABEL, Meaning, Rank, Rule, split_name, text_label};
use crate::Error;
use crate::shards::{Faults, Labels};
use crate::shared_file::SharedFile;
use crate::store::modified;
use crate::tar_walk::{BLOCK, Entry, EntryKind, Skip, Walk};
use crate::tarball::{is_header, sort_error};

/// Bytes that a sample takes in the index beside its name, counted generously.
const PER_SAMPLE: u64 = 64;
/// Bytes of a shard that are read at a time: headers, and the labels between them.
const PIECE: usize = 8 << 10;
/// Members that are looked at to tell a shard from an archive of folders.
const LOOKED_AT: usize = 64;

/// Place of a sample's image in its shard, and the end of its name among all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) name_end: u32,
}

/// Samples of a shard.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) places: Vec<Place>,
    /// Names of the images, one behind the other.
    pub(super) names: Vec<u8>,
    pub(super) labels: Labels,
    pub(super) faults: Faults,
    /// Time of the shard's last change.
    pub(super) modified: Option<i64>,
}

/// What the walks of all shards have in common.
pub(super) struct Walking<'a> {
    pub(super) rule: Rule,
    pub(super) skip_bad: bool,
    pub(super) budget: &'a Mutex<Budget>,
    pub(super) origin: &'a str,
}

/// A file that passes over bytes within what it has read without reading it again.
struct Windowed(BufReader<SharedFile>);

impl Read for Windowed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Skip for Windowed {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let step = i64::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        self.0.seek_relative(step)?;
        Ok(length)
    }
}

/// Image of a sample.
struct Picture {
    rank: Rank,
    ending: Vec<u8>,
    offset: u64,
    length: u64,
}

/// Label of a sample, or what is wrong with it.
struct Said {
    meaning: Meaning,
    label: Result<String, String>,
}

/// Sample whose members are being read.
#[derive(Default)]
struct Pending {
    key: Vec<u8>,
    picture: Option<Picture>,
    said: Option<Said>,
}

/// Lists the samples of a shard; `shown` is its name in errors.
///
/// # Errors
/// [`Error::TruncatedArchive`] and [`Error::CorruptArchive`]; [`Error::Sample`] for one without an image or a label,
/// where such are not left out; [`Error::OverMemory`].
pub(super) fn list(file: &SharedFile, shown: &str, walking: &Walking) -> Result<Samples, Error> {
    let faults = Faults::new(walking.skip_bad);
    let metadata = file.metadata().map_err(|source| Error::io(shown, source))?;
    let samples = Samples {
        places: Vec::new(),
        names: Vec::new(),
        labels: Labels::default(),
        faults,
        modified: modified(&metadata),
    };
    let mut shard = Shard { samples, pending: Pending::default(), shown, walking };
    let outcome = shard.walk(file);
    // A sample that is whole before the place of damage counts.
    match outcome {
        Ok(()) => shard.flush()?,
        Err(error @ (Error::TruncatedArchive { .. } | Error::CorruptArchive { .. })) => {
            shard.samples.faults.add(error)?;
        }
        Err(error) => return Err(error),
    }
    Ok(shard.samples)
}

struct Shard<'a> {
    samples: Samples,
    pending: Pending,
    shown: &'a str,
    walking: &'a Walking<'a>,
}

impl Shard<'_> {
    fn walk(&mut self, file: &SharedFile) -> Result<(), Error> {
        let failed = |error: io::Error| sort_error(self.shown, &error);
        let truncated = |detail: String| Error::TruncatedArchive { path: self.shown.to_owned(), detail };
        let mut walk = Walk::new(Windowed(BufReader::with_capacity(PIECE, file.clone())));
        while let Some(entry) = walk.next().map_err(failed)? {
            let end = entry.offset.saturating_add(entry.length);
            if end > file.length() {
                let name = escaped_bytes(&entry.name);
                return Err(truncated(format!("`{name}` ends {} bytes later", end - file.length())));
            }
            self.member(&mut walk, &entry)?;
        }
        match walk.ended() {
            true => Ok(()),
            false => Err(truncated("the end marker is missing".to_owned())),
        }
    }

    fn member(&mut self, walk: &mut Walk<Windowed>, entry: &Entry) -> Result<(), Error> {
        let Some((key, ending)) = split_name(&entry.name).filter(|_| entry.kind == EntryKind::File) else {
            return Ok(());
        };
        if key != self.pending.key {
            self.flush()?;
            self.pending = Pending { key: key.to_vec(), ..Pending::default() };
        }
        match self.walking.rule.meaning(ending) {
            Some(Meaning::Image(rank))
                if self.pending.picture.as_ref().is_none_or(|found| rank < found.rank) =>
            {
                let picture =
                    Picture { rank, ending: ending.to_vec(), offset: entry.offset, length: entry.length };
                self.pending.picture = Some(picture);
            }
            Some(meaning @ (Meaning::Text(_) | Meaning::Json))
                if self.pending.said.as_ref().is_none_or(|found| meaning < found.meaning) =>
            {
                let label = self.label(walk, meaning, entry)?;
                if let Some(label) = label {
                    self.pending.said = Some(Said { meaning, label });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Label that a member holds; `None` for JSON without a field of it.
    fn label(
        &self,
        walk: &mut Walk<Windowed>,
        meaning: Meaning,
        entry: &Entry,
    ) -> Result<Option<Result<String, String>>, Error> {
        let limit = if meaning == Meaning::Json { MAX_JSON } else { MAX_LABEL };
        let ending = escaped_bytes(split_name(&entry.name).map_or(&[][..], |(_, ending)| ending)).to_string();
        if entry.length > limit {
            let reason = format!("`.{ending}` has {} bytes, where a label has {limit} at most", entry.length);
            return Ok(Some(Err(reason)));
        }
        let mut bytes = vec![0; entry.length as usize];
        walk.read(&mut bytes).map_err(|error| sort_error(self.shown, &error))?;
        let label = match meaning {
            Meaning::Json => self.walking.rule.json_label(&bytes).transpose(),
            _ => Some(text_label(&bytes)),
        };
        Ok(label.map(|label| label.map_err(|reason| format!("`.{ending}` {reason}"))))
    }

    /// Adds the sample whose members were read. Members that are neither an image nor a label are none.
    fn flush(&mut self) -> Result<(), Error> {
        let Pending { key, picture, said } = std::mem::take(&mut self.pending);
        let file = || format!("{}: {}", self.shown, escaped_bytes(&key));
        let fault = |reason: &str| Error::Sample { file: file(), reason: reason.to_owned() };
        let (picture, label) = match (picture, said) {
            (None, None) => return Ok(()),
            (Some(_), None) => {
                return self.samples.faults.add(fault(
                    "no label; help: put it into a `.cls` or a `.json` beside the image, or name its field or ending \
                     (--columns label=NAME)",
                ));
            }
            (None, Some(_)) => return self.samples.faults.add(fault("a label, and no image")),
            (Some(_), Some(Said { label: Err(reason), .. })) => {
                return self.samples.faults.add(fault(&reason));
            }
            (Some(picture), Some(Said { label: Ok(label), .. })) => (picture, label),
        };
        let length = key.len() + 1 + picture.ending.len();
        let over = || Error::OverMemory { path: self.walking.origin.to_owned(), limit: self.limit() };
        let name_end = u32::try_from(self.samples.names.len() + length).map_err(|_| over())?;
        let charged = self.lock().charge(PER_SAMPLE + 2 * length as u64);
        charged.map_err(|_| over())?;
        let place = self.samples.labels.place(&label, file)?;
        self.samples.labels.of.push(place);
        self.samples.names.extend([&key[..], b".", &picture.ending].concat());
        let length = u32::try_from(picture.length).unwrap_or(u32::MAX);
        self.samples.places.push(Place { offset: picture.offset, length, name_end });
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.walking.budget.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn limit(&self) -> u64 {
        self.lock().limit()
    }
}

/// Test for a tar archive of samples: a member that holds a label beside an image of the same name, `.cls` anywhere or
/// `.json` where the image is in no folder of a class.
///
/// # Errors
/// Those of reading it.
pub(crate) fn is_shard(path: &Path) -> Result<bool, Error> {
    let mut file = SharedFile::open(path)?;
    let mut start = [0; BLOCK];
    if file.read_exact(&mut start).is_err() || !is_header(&start) {
        return Ok(false);
    }
    let mut walk = Walk::new(Windowed(BufReader::with_capacity(PIECE, SharedFile::open(path)?)));
    let mut members: Vec<(Vec<u8>, Meaning)> = Vec::new();
    let rule = Rule::default();
    for _ in 0..LOOKED_AT {
        // What is damaged is said by whoever lists it.
        let Ok(Some(entry)) = walk.next() else { break };
        let Some((key, ending)) = split_name(&entry.name).filter(|_| entry.kind == EntryKind::File) else {
            continue;
        };
        if let Some(meaning) = rule.meaning(ending) {
            members.push((key.to_vec(), meaning));
        }
    }
    let image = |key: &[u8]| {
        members.iter().any(|(other, meaning)| other == key && matches!(meaning, Meaning::Image(_)))
    };
    Ok(members.iter().any(|(key, meaning)| match meaning {
        Meaning::Text(_) => image(key),
        Meaning::Json => image(key) && !key.contains(&b'/'),
        Meaning::Image(_) => false,
    }))
}
