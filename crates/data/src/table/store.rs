//! Images of tables.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use parquet::data_type::{ByteArray, ByteArrayType};

use super::cache::{self, Cache, Key};
use super::column::Column;
use super::read::{BadPart, read};
use crate::limits::{check_size, corrupt};
use crate::shards::{FilePool, Part, Stored};
use crate::store::read_file;
use crate::{Error, Stamp};

/// Table of a set.
#[derive(Debug)]
pub(super) struct Table {
    /// Path from the folder of the data.
    pub(super) name: String,
    /// Path as errors name it.
    pub(super) shown: String,
    /// Time of its last change, when it was opened.
    pub(super) modified: Option<i64>,
    /// Folder that the paths of images count from.
    pub(super) base: PathBuf,
    /// Number of its first image.
    pub(super) first: u32,
    pub(super) images: Option<Column>,
    pub(super) paths: Option<Column>,
}

impl Table {
    /// Column whose parts an epoch goes by.
    pub(super) fn main(&self) -> Option<&Column> {
        self.images.as_ref().or(self.paths.as_ref())
    }
}

/// Tables, and the parts of them that are held in memory.
#[derive(Debug)]
pub(super) struct TableStore {
    pub(super) tables: Vec<Table>,
    pub(super) files: FilePool,
    pub(super) parts: Vec<Part>,
    pub(super) cache: Cache,
}

/// Which of a table's columns.
#[derive(Clone, Copy)]
enum Which {
    Images,
    Paths,
}

impl TableStore {
    /// Table and row of an image.
    fn place(&self, number: u32) -> (usize, u64) {
        let table = self.tables.partition_point(|table| table.first <= number).saturating_sub(1);
        (table, u64::from(number - self.tables[table].first))
    }

    /// Value of a column in a row.
    fn value(&self, table: usize, which: Which, row: u64, number: u32) -> Result<Option<ByteArray>, Error> {
        let found = &self.tables[table];
        let column = match which {
            Which::Images => &found.images,
            Which::Paths => &found.paths,
        };
        let Some(column) = column else { return Ok(None) };
        let place = column.part_of(row);
        let part = &column.parts[place];
        let file = self.files.get(table)?;
        let key = Key { table, column: which as u8, part: place };
        let values: cache::Part = self.cache.get(key, || read::<ByteArrayType>(&file, column, part));
        let values = values.map_err(|bad| match bad {
            BadPart::Damaged(detail) => corrupt(&self.file(number), detail),
            BadPart::Unread(detail) => Error::io(self.file(number), io::Error::other(detail)),
        })?;
        Ok(values.rows.get((row - part.first) as usize).cloned().flatten())
    }
}

impl Stored for TableStore {
    fn bytes(&self, number: u32) -> Result<Cow<'_, [u8]>, Error> {
        let (table, row) = self.place(number);
        if let Some(bytes) = self.value(table, Which::Images, row, number)? {
            check_size(bytes.len() as u64, &self.file(number))?;
            return Ok(Cow::Owned(bytes.data().to_vec()));
        }
        let path = self.value(table, Which::Paths, row, number)?.filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| Error::MissingImage { file: self.file(number) })?;
        let path = std::str::from_utf8(path.data())
            .map_err(|_| corrupt(&self.file(number), "its path is no text"))?;
        let file = self.tables[table].base.join(path);
        read_file(&file, &self.file(number)).map(Cow::Owned).map_err(|error| match error {
            error @ (Error::NotFound { .. } | Error::Unreadable { .. } | Error::NotRegular { .. }) => {
                let reason = format!("{error}; help: give the folder that paths count from (--root)");
                Error::Sample { file: self.file(number), reason }
            }
            error => error,
        })
    }

    fn name(&self, number: u32) -> String {
        let (table, row) = self.place(number);
        format!("{}[{row}]", self.tables[table].name)
    }

    fn file(&self, number: u32) -> String {
        let (table, row) = self.place(number);
        format!("{}, row {row}", self.tables[table].shown)
    }

    /// Time of the table; the size is the mean of the part's images, for each one's is known only when it is read.
    fn stamp(&self, number: u32) -> Result<Stamp, Error> {
        let (table, row) = self.place(number);
        let part = self.tables[table].main().map(|column| column.parts[column.part_of(row)]);
        let size = part.map_or(0, |part| (part.end - part.start) / part.rows.max(1));
        Ok(Stamp { size, modified: self.tables[table].modified, crc: None })
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }
}
