//! Classes and splits of a list.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use super::files::Base;
use super::rows::{Row, Rows, read};
use super::text::read_text;
use crate::classes::{LabelUse, classes, sort_labels};
use crate::hold_out::{HoldOut, divided};
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
    /// Classes, or of other tasks the texts of all answers.
    pub(crate) classes: Vec<String>,
    /// Names of the columns of the labels.
    pub(crate) columns: Vec<String>,
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
        let columns = parts[0].columns(options);
        for other in siblings(path) {
            match Part::open(&other, &OpenOptions { columns: columns.clone(), ..options.clone() }) {
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
    let is_single = options.task.is_single_label();
    let classes = if is_single { classes_of(&parts)? } else { texts_of(&parts) };
    let columns = columns_of(&parts);
    let mut listed = Listed { lists, classes, columns, splits: Vec::new(), notes, held_out: false };
    let mut splits: [Vec<ListedImage>; 3] = Default::default();
    let mut repeated = 0;
    for (list, part) in parts.iter().enumerate() {
        repeated += part.add(list as u32, &listed.classes, &mut splits)?;
    }
    let [train, val, test] = splits;
    let hold_out = HoldOut::new(options.holdout, options.split_seed)?;
    listed.held_out =
        val.is_empty() && test.is_empty() && parts[0].named.is_none_or(|split| split == Split::Train);
    // Sets of classes and numbers are too many to hold out a share of each.
    let class = |image: &ListedImage| if is_single { image.label } else { 0 };
    let (train, val) = if listed.held_out { divided(train, hold_out, class) } else { (train, val) };
    listed.notes.extend((repeated > 0).then_some(Note::RepeatedRows { count: repeated }));
    let all = [(Split::Train, train), (Split::Val, val), (Split::Test, test)];
    listed.splits = all.into_iter().filter(|(_, images)| !images.is_empty()).collect();
    Ok(listed)
}

/// Files of a list with their labels, whatever splits it says.
///
/// # Errors
/// As for [`open_list`].
pub(crate) fn labels_of(path: &Path, options: &OpenOptions) -> Result<Vec<(PathBuf, String)>, Error> {
    let Part { rows, base, .. } = Part::open(path, options)?;
    let labelled =
        rows.rows.iter().map(|row| (base.file(&row.path), rows.labels[row.label as usize].clone()));
    Ok(labelled.collect())
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
        let text = read_text(path, options.memory_limit)?;
        let rows = read(path, &text, options)?;
        let first = rows.rows.first().ok_or_else(|| Error::EmptyList { path: path.into() })?;
        let base = Base::find(path, options.root.as_deref(), &first.path, first.line)?;
        Ok(Self { path: path.into(), named: named_split(path), base, rows })
    }

    /// Columns of the lists beside: where its own labels are under a name that says nothing, theirs have that name too.
    fn columns(&self, options: &OpenOptions) -> Columns {
        let mut columns = options.columns.clone();
        if self.rows.guessed {
            columns.set_labels(&self.rows.columns);
        }
        columns
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

/// Classes of all lists.
fn classes_of(parts: &[Part]) -> Result<Vec<String>, Error> {
    let mut uses = Vec::new();
    for (part, Part { rows, named, .. }) in parts.iter().enumerate() {
        let mut seen = vec![[false; 3]; rows.labels.len()];
        for row in &rows.rows {
            let split = row.split.or(*named).unwrap_or(Split::Train);
            let seen = &mut seen[row.label as usize][split as usize];
            if !std::mem::replace(seen, true) {
                let label = &rows.labels[row.label as usize];
                uses.push(LabelUse { label, split, first: row.line.into(), part });
            }
        }
    }
    classes(&uses, |first| format!("{}, line {}", shown(&parts[first.part].path), first.first))
}

/// Texts of all answers, each once.
fn texts_of(parts: &[Part]) -> Vec<String> {
    let mut texts: Vec<String> = parts.iter().flat_map(|part| part.rows.labels.clone()).collect();
    sort_labels(&mut texts);
    texts
}

/// Names of the columns of the labels; `label` where they have none.
fn columns_of(parts: &[Part]) -> Vec<String> {
    match parts[0].rows.columns.as_slice() {
        [] => vec!["label".to_owned()],
        columns => columns.to_vec(),
    }
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
