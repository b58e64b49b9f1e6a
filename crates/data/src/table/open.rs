//! Opening of tables: footers, columns and labels.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Type as Physical;
use parquet::data_type::{BoolType, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaData;
use residual_files::{Budget, escaped};

use super::answering::Answering;
use super::cache::Cache;
use super::column::Column;
use super::footer;
use super::page::MAX_PAGE;
use super::read::{BadPart, read};
use super::schema::{Chosen, choose};
use super::store::{Table, TableStore};
use crate::shards::{Content, Faults, FilePool, Found, LEFT_OUT, Labels, NO_LABEL, Part, ShardFile};
use crate::shared_file::SharedFile;
use crate::split_name::split_name;
use crate::store::modified;
use crate::{Error, OpenOptions, Split};

/// Bytes that a row takes in the index and in an epoch's order.
const PER_ROW: u64 = 32;
/// Bytes that a value takes as text, of a task other than single label.
const PER_ANSWER: u64 = 64;
/// Bytes that a part of a column takes beside.
const PER_PART: u64 = 128;

/// Opens Parquet tables.
///
/// # Errors
/// Those of the first table that has one: a damaged footer or page of labels, [`Error::TableColumns`],
/// [`Error::Sample`] for a row without a label or with one beyond the names; [`Error::OverMemory`].
pub(crate) fn open(found: Found, options: &OpenOptions) -> Result<Content, Error> {
    let mut opening = Opening {
        options,
        budget: Budget::new(options.memory_limit),
        faults: Faults::new(options.skip_bad),
        labels: Labels::default(),
        splits: Vec::new(),
        parts: Vec::new(),
        classes: None,
        columns: Vec::new(),
        is_one_split: found.is_one_split,
    };
    let mut tables = Vec::new();
    // The training images say which classes there are; without them, those that there are.
    let decides = match found.files.iter().any(|file| file.split == Split::Train) {
        true => |split| split == Split::Train,
        false => |_| true,
    };
    for file in &found.files {
        let names_classes = decides(file.split) && opening.classes.is_none();
        tables.push(opening.table(file, names_classes)?);
    }
    let files = FilePool::new(found.files.into_iter().map(|file| file.path).collect());
    let mut notes = found.notes;
    notes.extend(opening.faults.note());
    Ok(Content {
        origin: found.origin,
        store: Arc::new(TableStore { tables, files, parts: opening.parts, cache: Cache::default() }),
        labels: opening.labels,
        splits: opening.splits,
        classes: opening.classes,
        columns: opening.columns,
        notes,
    })
}

struct Opening<'a> {
    options: &'a OpenOptions,
    budget: Budget,
    faults: Faults,
    labels: Labels,
    splits: Vec<Split>,
    parts: Vec<Part>,
    classes: Option<Vec<String>>,
    /// Names of the columns of the labels, of a task other than single label.
    columns: Vec<String>,
    is_one_split: bool,
}

impl Opening<'_> {
    fn charge(&mut self, shown: &str, bytes: u64) -> Result<(), Error> {
        let limit = self.budget.limit();
        self.budget.charge(bytes).map_err(|_| Error::OverMemory { path: shown.to_owned(), limit })
    }

    fn table(&mut self, entry: &ShardFile, names_classes: bool) -> Result<Table, Error> {
        let shown = escaped(&entry.path).to_string();
        let file = SharedFile::open(&entry.path)?;
        let meta = footer::read(&file, &shown, &self.budget)?;
        let chosen = choose(meta.file_metadata(), &shown, self.options)?;
        // A column may be called `split` for another reason where the files are splits.
        let asks_for_split = self.options.columns.split.is_some();
        let split = chosen.split.filter(|_| asks_for_split || self.is_one_split);
        let first = self.splits.len() as u32;
        self.charge_rows(&meta, &shown)?;
        let most = MAX_PAGE.min(self.options.memory_limit / 4);
        let column = |number: usize| Column::new(&file, &shown, meta.row_groups(), number, most);
        let images = chosen.image.map(column).transpose()?.flatten();
        let paths = chosen.path.map(column).transpose()?.flatten();
        let labels =
            chosen.labels.iter().map(|(number, _)| column(*number)).collect::<Result<Vec<_>, _>>()?;
        // Without rows there are none.
        let labels: Vec<Column> = labels.into_iter().flatten().collect();
        let split = split.map(column).transpose()?.flatten();
        let reader = Reader { file: &file, shown: &shown };
        if names_classes {
            self.classes.clone_from(&chosen.names);
        }
        match (labels.as_slice(), self.options.task.is_single_label()) {
            ([label], true) => self.read_labels(&reader, label, &chosen)?,
            ([], _) => {}
            (labels, _) => {
                self.charge(&shown, rows_of(&meta).unwrap_or(0) * labels.len() as u64 * PER_ANSWER)?;
                self.columns = chosen.labels.iter().map(|(_, name)| name.clone()).collect();
                let rows = Answering { reader: &reader, columns: &self.columns, options: self.options }
                    .rows(labels, chosen.names.as_deref())?;
                self.add_answers(&reader, rows)?;
            }
        }
        self.splits.resize(self.labels.of.len(), entry.split);
        if let Some(split) = &split {
            self.read_splits(&reader, split, first as usize)?;
        }
        let base = match &self.options.root {
            Some(root) => root.clone(),
            None => entry.path.parent().unwrap_or(Path::new("")).to_owned(),
        };
        let modified = modified(&file.metadata().map_err(|source| Error::io(&entry.path, source))?);
        let table = Table { name: entry.name.clone(), shown, modified, base, first, images, paths };
        self.add_parts(&table)?;
        Ok(table)
    }

    /// Charges the rows of a table before anything of them is read.
    fn charge_rows(&mut self, meta: &ParquetMetaData, shown: &str) -> Result<(), Error> {
        let rows = rows_of(meta);
        let corrupt = || Error::CorruptArchive {
            path: shown.to_owned(),
            detail: "an impossible number of rows".into(),
        };
        let rows = rows.filter(|rows| *rows < u64::from(NO_LABEL)).ok_or_else(corrupt)?;
        self.charge(shown, rows * PER_ROW)?;
        match self.splits.len() as u64 + rows < u64::from(NO_LABEL) {
            true => Ok(()),
            false => Err(Error::OverMemory { path: shown.to_owned(), limit: self.budget.limit() }),
        }
    }

    fn add_parts(&mut self, table: &Table) -> Result<(), Error> {
        let both = [&table.images, &table.paths];
        let count: usize =
            both.iter().filter_map(|column| column.as_ref()).map(|column| column.parts.len()).sum();
        self.charge(&table.shown, count as u64 * PER_PART)?;
        let parts = table.main().into_iter().flat_map(|column| &column.parts);
        self.parts
            .extend(parts.map(|part| Part { first: table.first + part.first as u32, bytes: part.unpacked }));
        Ok(())
    }

    fn read_labels(&mut self, reader: &Reader, column: &Column, chosen: &Chosen) -> Result<(), Error> {
        match column.descriptor.physical_type() {
            Physical::INT32 => {
                self.labels_of::<Int32Type>(reader, column, |value| Raw::Number(i64::from(*value)), chosen)
            }
            Physical::INT64 => {
                self.labels_of::<Int64Type>(reader, column, |value| Raw::Number(*value), chosen)
            }
            Physical::BOOLEAN => {
                self.labels_of::<BoolType>(reader, column, |value| Raw::Number(i64::from(*value)), chosen)
            }
            _ => self.labels_of::<ByteArrayType>(reader, column, |value| Raw::Text(value.data()), chosen),
        }
    }

    fn labels_of<T: DataType>(
        &mut self,
        reader: &Reader,
        column: &Column,
        raw: impl Fn(&T::T) -> Raw,
        chosen: &Chosen,
    ) -> Result<(), Error> {
        for part in &column.parts {
            let values =
                read::<T>(reader.file, column, part).map_err(|bad| reader.failed(part.first, bad))?;
            for (row, value) in (part.first..).zip(&values.rows) {
                let label = match value.as_ref().map(&raw) {
                    // Of a split without labels Hugging Face says -1.
                    Some(Raw::Number(-1)) if chosen.names.is_some() => Ok(None),
                    Some(raw) => raw.text(chosen.names.as_deref()).map(Some),
                    None => Err(
                        "no label; help: leave the row out, or choose another column (--columns label=NAME)"
                            .into(),
                    ),
                };
                let label = match label {
                    Ok(Some(text)) => self.labels.place(&text, || reader.row(row))?,
                    Ok(None) => NO_LABEL,
                    Err(reason) => {
                        self.faults.add(Error::Sample { file: reader.row(row), reason })?;
                        LEFT_OUT
                    }
                };
                self.labels.of.push(label);
            }
        }
        Ok(())
    }

    /// Adds the answers of rows, or the reasons why they have none.
    fn add_answers(&mut self, reader: &Reader, rows: Vec<Result<String, String>>) -> Result<(), Error> {
        for (row, answer) in (0..).zip(rows) {
            let label = match answer {
                Ok(text) => self.labels.place(&text, || reader.row(row))?,
                Err(reason) => {
                    self.faults.add(Error::Sample { file: reader.row(row), reason })?;
                    LEFT_OUT
                }
            };
            self.labels.of.push(label);
        }
        Ok(())
    }

    /// Splits that a column says, from the image numbered `first` on.
    fn read_splits(&mut self, reader: &Reader, column: &Column, first: usize) -> Result<(), Error> {
        for part in &column.parts {
            let values = read::<ByteArrayType>(reader.file, column, part);
            let values = values.map_err(|bad| reader.failed(part.first, bad))?;
            for (row, value) in (part.first..).zip(&values.rows) {
                let named = value.as_ref().and_then(|value| split_name(value.data()));
                match named {
                    Some(named) => self.splits[first + row as usize] = named.split,
                    None => {
                        let reason = "a split that is neither train, val nor test".to_owned();
                        self.faults.add(Error::Sample { file: reader.row(row), reason })?;
                        self.labels.of[first + row as usize] = LEFT_OUT;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Number of rows, where it is one.
fn rows_of(meta: &ParquetMetaData) -> Option<u64> {
    let mut groups = meta.row_groups().iter();
    groups.try_fold(0u64, |sum, group| sum.checked_add(u64::try_from(group.num_rows()).ok()?))
}

/// A table that is being read.
pub(super) struct Reader<'a> {
    pub(super) file: &'a SharedFile,
    pub(super) shown: &'a str,
}

impl Reader<'_> {
    fn row(&self, row: u64) -> String {
        format!("{}, row {row}", self.shown)
    }

    /// Error of labels from a row on.
    pub(super) fn failed(&self, row: u64, bad: BadPart) -> Error {
        match bad {
            BadPart::Damaged(detail) => {
                Error::Sample { file: self.row(row), reason: format!("the labels are corrupt: {detail}") }
            }
            BadPart::Unread(detail) => Error::io(self.row(row), io::Error::other(detail)),
        }
    }
}

/// Label as a table has it.
pub(super) enum Raw<'a> {
    Number(i64),
    Text(&'a [u8]),
}

impl Raw<'_> {
    /// Name of the class, or the label itself where there are no names.
    pub(super) fn text(&self, names: Option<&[String]>) -> Result<String, String> {
        match (self, names) {
            (Self::Text(bytes), _) => match std::str::from_utf8(bytes) {
                Ok("") => Err("no label".to_owned()),
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err("a label that is no text".to_owned()),
            },
            (Self::Number(number), Some(names)) => {
                let name = usize::try_from(*number).ok().and_then(|number| names.get(number));
                name.cloned()
                    .ok_or_else(|| format!("the label {number} is beyond the {} classes", names.len()))
            }
            (Self::Number(number), None) => Ok(number.to_string()),
        }
    }
}
