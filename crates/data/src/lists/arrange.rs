//! Classes and splits of a list.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::files::Base;
use super::rows::{Row, Rows, read};
use crate::hold_out::HoldOut;
use crate::split_name::split_name;
use crate::{Error, Note, OpenOptions, Split};

/// Image of a list.
#[derive(Debug)]
pub(crate) struct ListedImage {
    /// Path as the list has it.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) label: usize,
    pub(crate) at: ListedAt,
}

/// Place of an image in the lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedAt {
    /// Index of the list among [`Listed::lists`].
    pub(crate) list: u32,
    /// Line, counted from 1.
    pub(crate) line: u32,
}

/// Classes in order, each split's images in the list's order, and what was noticed.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Lists that were read.
    pub(crate) lists: Vec<String>,
    pub(crate) classes: Vec<String>,
    pub(crate) splits: Vec<(Split, Vec<ListedImage>)>,
    pub(crate) notes: Vec<Note>,
    /// True where a part of each class is held out for validation.
    pub(crate) held_out: bool,
}

/// Opens a list, and the lists beside it that are its other splits: `val.csv` and `test.csv` of `train.csv`.
///
/// # Errors
/// Those of reading it: [`Error::List`], [`Error::ListColumns`], [`Error::EmptyList`]; [`Error::UnknownClass`] for
/// labels that the training images do not have.
pub(crate) fn open_list(path: &Path, options: &OpenOptions) -> Result<Listed, Error> {
    let mut parts = vec![Part::open(path, options)?];
    let mut notes = Vec::new();
    if parts[0].rows.rows.iter().all(|row| row.split.is_none()) {
        for other in siblings(path) {
            match Part::open(&other, options) {
                Ok(part) => parts.push(part),
                // A competition's test images have no labels.
                Err(Error::ListColumns { file, .. }) => {
                    notes.push(Note::UnlabelledList { file: shown(&file) })
                }
                Err(error) => return Err(error),
            }
        }
    }
    let lists = parts.iter().map(|part| shown(&part.path)).collect::<Vec<_>>();
    notes.extend((lists.len() > 1).then(|| Note::ListsBeside { lists: lists[1..].to_vec() }));
    let classes = classes(&parts, path)?;
    let mut listed = Listed { lists, classes, splits: Vec::new(), notes, held_out: false };
    let mut splits: [Vec<ListedImage>; 3] = Default::default();
    let mut repeated = 0;
    for (list, part) in parts.iter().enumerate() {
        repeated += part.add(list as u32, &listed.classes, &mut splits)?;
    }
    let [train, val, test] = splits;
    listed.held_out =
        val.is_empty() && test.is_empty() && parts[0].named.is_none_or(|split| split == Split::Train);
    let (train, val) =
        if listed.held_out { hold_out(train, listed.classes.len(), options)? } else { (train, val) };
    listed.notes.extend((repeated > 0).then_some(Note::RepeatedRows { count: repeated }));
    let all = [(Split::Train, train), (Split::Val, val), (Split::Test, test)];
    listed.splits = all.into_iter().filter(|(_, images)| !images.is_empty()).collect();
    Ok(listed)
}

/// One list.
struct Part {
    path: PathBuf,
    rows: Rows,
    base: Base,
    /// Split that its name says: of `val.csv`.
    named: Option<Split>,
}

impl Part {
    fn open(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let text = residual_files::read_text(path, options.memory_limit).map_err(|error| match error {
            residual_files::Error::TooLarge { limit, .. } => Error::OverMemory { path: shown(path), limit },
            error => Error::file(path, error),
        })?;
        let rows = read(path, &text, &options.columns)?;
        let first = rows.rows.first().ok_or_else(|| Error::EmptyList { path: path.into() })?;
        let base = Base::find(path, options.root.as_deref(), &first.path, first.line)?;
        Ok(Self { path: path.into(), named: named_split(path), base, rows })
    }

    /// Adds the images to their splits; gives the number of lines that say again what another said.
    fn add(&self, list: u32, classes: &[String], splits: &mut [Vec<ListedImage>; 3]) -> Result<usize, Error> {
        let places: HashMap<&str, usize> =
            classes.iter().enumerate().map(|(at, class)| (class.as_str(), at)).collect();
        let labels: Vec<usize> = self.rows.labels.iter().map(|label| places[label.as_str()]).collect();
        let mut seen: HashMap<&str, &Row> = HashMap::with_capacity(self.rows.rows.len());
        let mut repeated = 0;
        for row in &self.rows.rows {
            match seen.entry(&row.path) {
                Entry::Vacant(vacant) => _ = vacant.insert(row),
                Entry::Occupied(first) => {
                    let first = first.get();
                    if (first.label, first.split) != (row.label, row.split) {
                        return Err(self.contradicts(first, row));
                    }
                    repeated += 1;
                    continue;
                }
            }
            let split = row.split.or(self.named).unwrap_or(Split::Train);
            splits[split as usize].push(ListedImage {
                name: row.path.clone(),
                file: self.base.file(&row.path),
                label: labels[row.label as usize],
                at: ListedAt { list, line: row.line },
            });
        }
        Ok(repeated)
    }

    fn contradicts(&self, first: &Row, row: &Row) -> Error {
        let what = if first.label == row.label { "split" } else { "label" };
        let name = residual_files::escaped(&row.path);
        let reason =
            format!("{name} has another {what} in line {}; help: leave one of the lines out", first.line);
        Error::List { file: self.path.clone(), line: row.line.into(), reason }
    }
}

/// Classes of the training images, or of all where there are none to train on. Whole numbers are sorted as such, other
/// labels byte by byte.
fn classes(parts: &[Part], path: &Path) -> Result<Vec<String>, Error> {
    let of_split = |train: bool| {
        let mut labels: Vec<&String> = Vec::new();
        for part in parts {
            let mut used = vec![false; part.rows.labels.len()];
            for row in &part.rows.rows {
                let is_train = row.split.or(part.named).unwrap_or(Split::Train) == Split::Train;
                used[row.label as usize] |= is_train == train;
            }
            labels
                .extend(part.rows.labels.iter().zip(used).filter(|(_, used)| *used).map(|(label, _)| label));
        }
        labels
    };
    let (mut known, others) = (of_split(true), of_split(false));
    if known.is_empty() {
        known.clone_from(&others);
    }
    sort_labels(&mut known);
    let known: Vec<String> = known.into_iter().cloned().collect();
    let mut unknown: Vec<String> =
        others.into_iter().filter(|label| !known.contains(label)).cloned().collect();
    unknown.sort();
    unknown.dedup();
    match unknown.is_empty() {
        true => Ok(known),
        false => Err(Error::UnknownClass { path: shown(path), unknown, known }),
    }
}

/// Sorts labels, each once: whole numbers as such, others byte by byte.
pub(crate) fn sort_labels<T: AsRef<str> + Ord>(labels: &mut Vec<T>) {
    let number = |label: &str| label.parse::<i64>().ok().filter(|number| number.to_string() == label);
    match labels.iter().all(|label| number(label.as_ref()).is_some()) {
        true => labels.sort_by_key(|label| number(label.as_ref())),
        false => labels.sort(),
    }
    labels.dedup();
}

/// Takes a seeded share of each class out of the training images.
fn hold_out(
    images: Vec<ListedImage>,
    classes: usize,
    options: &OpenOptions,
) -> Result<(Vec<ListedImage>, Vec<ListedImage>), Error> {
    let hold_out = HoldOut::new(options.holdout, options.split_seed)?;
    let mut counts = vec![0; classes];
    images.iter().for_each(|image| counts[image.label] += 1);
    let mut flags: Vec<_> = counts
        .iter()
        .enumerate()
        .map(|(label, &count)| hold_out.of_class(label, count).into_iter())
        .collect();
    let (val, train) = images.into_iter().partition(|image| flags[image.label].next().unwrap_or(false));
    Ok((train, val))
}

/// Split that a list's name says.
fn named_split(path: &Path) -> Option<Split> {
    split_name(path.file_stem()?.as_encoded_bytes()).map(|name| name.split)
}

/// Files beside one of training images that are its other splits, in order of their names: `val.csv` and `test.csv` of
/// `train.csv`.
pub(crate) fn siblings(path: &Path) -> Vec<PathBuf> {
    let name = |path: &Path| split_name(path.file_stem()?.as_encoded_bytes());
    let Some(own) = name(path).filter(|own| own.split == Split::Train) else { return Vec::new() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_split = |other: &PathBuf| {
        let same_kind =
            other.extension().zip(path.extension()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
        same_kind
            && name(other)
                .is_some_and(|found| found.split != Split::Train && found.decoration == own.decoration)
    };
    let mut found: Vec<PathBuf> = entries.filter(|other| other.is_file() && is_split(other)).collect();
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    residual_files::escaped(path).to_string()
}
