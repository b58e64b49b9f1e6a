//! Tables of vectors: a column of lists of numbers, and columns of text beside it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use parquet::basic::Type as Physical;
use parquet::data_type::{ByteArrayType, DoubleType, FloatType};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescPtr;
use residual_files::{Budget, escaped};

use super::column::{Column, ColumnPart};
use super::footer;
use super::page::MAX_PAGE;
use super::read::{BadPart, read, read_vectors};
use crate::Error;
use crate::shared_file::SharedFile;

/// The most rows of a table.
const MOST_ROWS: u64 = u32::MAX as u64;

/// Parquet table of vectors, such as embeddings, read a row group at a time and never trusted: sizes are checked before
/// memory is taken for them.
///
/// The vectors are a column of lists of `float` or `double`, none of them and none of their numbers absent; texts are
/// columns of strings.
#[derive(Debug)]
pub struct VectorTable {
    file: SharedFile,
    shown: String,
    metadata: BTreeMap<String, String>,
    rows: u64,
    groups: Vec<Range<u64>>,
    vectors: Option<Column>,
    texts: Vec<Option<Column>>,
}

impl VectorTable {
    /// Opens a table: column `vectors` of lists of numbers, and of `texts` those that are there. `limit` is the memory
    /// that the file's footer, and a row group when it is read, may take, in bytes.
    ///
    /// # Errors
    /// Those of a file that cannot be read, or is no Parquet file; [`Error::Vectors`] for one without such a column.
    pub fn open(path: &Path, vectors: &str, texts: &[&str], limit: u64) -> Result<Self, Error> {
        let shown = escaped(path).to_string();
        let file = SharedFile::open(path)?;
        let meta = footer::read(&file, &shown, &Budget::new(limit))?;
        let refused = |reason: String| Error::Vectors { file: shown.clone(), reason };
        let columns = meta.file_metadata().schema_descr().columns();
        let number = vector_column(columns, vectors).map_err(refused)?;
        let numbers = texts.iter().map(|name| text_column(columns, name).map_err(refused));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let groups = groups(&meta).ok_or_else(|| Error::CorruptArchive {
            path: shown.clone(),
            detail: "an impossible number of rows".into(),
        })?;
        let most = MAX_PAGE.min(limit / 4);
        let column = |number: usize| Column::in_groups(&file, &shown, meta.row_groups(), number, most);
        let vectors = column(number)?;
        let texts = numbers.into_iter().map(|number| Ok(number.map(column).transpose()?.flatten()));
        let texts = texts.collect::<Result<Vec<_>, Error>>()?;
        let rows = groups.last().map_or(0, |group| group.end);
        Ok(Self { metadata: metadata(&meta), file, shown, rows, groups, vectors, texts })
    }

    /// Path of the table, as errors name it.
    pub fn name(&self) -> &str {
        &self.shown
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows of each row group.
    pub fn groups(&self) -> &[Range<u64>] {
        &self.groups
    }

    /// Text that the table's metadata keep under a key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Vectors of a row group, `[rows][length]`.
    ///
    /// # Errors
    /// [`Error::Vectors`] where a row has not `length` numbers, or the pages are damaged; [`Error::Unreadable`].
    ///
    /// # Panics
    /// For a row group that there is not, as [`texts`](Self::texts).
    pub fn vectors(&self, group: usize, length: usize) -> Result<Vec<f32>, Error> {
        let Some((column, part)) = self.part(self.vectors.as_ref(), group) else { return Ok(Vec::new()) };
        let found = match column.descriptor.physical_type() {
            Physical::DOUBLE => read_vectors::<DoubleType>(&self.file, column, part, length)
                .map(|values| values.into_iter().map(|value| value as f32).collect()),
            _ => read_vectors::<FloatType>(&self.file, column, part, length),
        };
        found.map_err(|bad| self.failed("vectors", part, bad))
    }

    /// Texts of a row group, of the column numbered `column` among those that were asked for: `None` where a row, or
    /// the table, has none.
    ///
    /// # Errors
    /// As for [`vectors`](Self::vectors); for bytes that are no text.
    pub fn texts(&self, column: usize, group: usize) -> Result<Vec<Option<String>>, Error> {
        let rows = &self.groups[group];
        let Some((column, part)) = self.part(self.texts[column].as_ref(), group) else {
            return Ok(vec![None; (rows.end - rows.start) as usize]);
        };
        let values = read::<ByteArrayType>(&self.file, column, part);
        let values = values.map_err(|bad| self.failed("texts", part, bad))?;
        let text = |value: Option<parquet::data_type::ByteArray>| {
            value.map(|value| String::from_utf8(value.data().to_vec())).transpose()
        };
        let texts = values.rows.into_iter().map(text).collect::<Result<Vec<_>, _>>();
        texts.map_err(|_| self.failed("texts", part, BadPart::Damaged("they are not UTF-8".into())))
    }

    /// Part of a column in a row group that has rows.
    fn part<'a>(&self, column: Option<&'a Column>, group: usize) -> Option<(&'a Column, &'a ColumnPart)> {
        let column = column?;
        Some((column, column.parts.get(group).filter(|part| part.rows > 0)?))
    }

    fn failed(&self, what: &str, part: &ColumnPart, bad: BadPart) -> Error {
        let file = format!("{}, row group {}", self.shown, part.chunk);
        match bad {
            BadPart::Damaged(detail) => {
                Error::Vectors { file, reason: format!("its {what} are corrupt: {detail}") }
            }
            BadPart::Unread(detail) => Error::io(file, io::Error::other(detail)),
        }
    }
}

/// Number of the column of lists of numbers that is called `name`.
fn vector_column(columns: &[ColumnDescPtr], name: &str) -> Result<usize, String> {
    let is_one = |column: &ColumnDescPtr| {
        let is_number = matches!(column.physical_type(), Physical::FLOAT | Physical::DOUBLE);
        named(column, name) && is_number && column.max_rep_level() == 1
    };
    columns.iter().position(is_one).ok_or_else(|| {
        let mut found: Vec<&str> =
            columns.iter().filter_map(|column| column.path().parts().first()).map(String::as_str).collect();
        found.dedup();
        format!("no column `{name}` of lists of numbers; it has {}", found.join(", "))
    })
}

/// Number of the column of texts that is called `name`, where there is one.
fn text_column(columns: &[ColumnDescPtr], name: &str) -> Result<Option<usize>, String> {
    let Some(number) = columns.iter().position(|column| named(column, name)) else { return Ok(None) };
    let column = &columns[number];
    let is_text = column.physical_type() == Physical::BYTE_ARRAY && column.max_rep_level() == 0;
    match is_text && column.path().parts().len() == 1 {
        true => Ok(Some(number)),
        false => Err(format!("its column `{name}` is none of texts")),
    }
}

fn named(column: &ColumnDescPtr, name: &str) -> bool {
    column.path().parts().first().is_some_and(|part| part == name)
}

/// Rows of each row group, where their numbers can be.
fn groups(meta: &ParquetMetaData) -> Option<Vec<Range<u64>>> {
    let mut end = 0u64;
    let group = |rows: i64| {
        let start = end;
        end = start.checked_add(u64::try_from(rows).ok()?).filter(|&end| end <= MOST_ROWS)?;
        Some(start..end)
    };
    meta.row_groups().iter().map(|group| group.num_rows()).map(group).collect()
}

fn metadata(meta: &ParquetMetaData) -> BTreeMap<String, String> {
    let pairs = meta.file_metadata().key_value_metadata().into_iter().flatten();
    pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect()
}
