//! Columns of a table, cut into parts that are read as a whole.

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::schema::types::ColumnDescPtr;

use super::page::{BadPage, PageHeader, PageKind};
use crate::Error;
use crate::shared_file::SharedFile;

/// Bytes of a part: a row group of no more is read as a whole, of a larger one so many pages. Part of what makes a
/// batch (`shards::order`): runs are resumed by later builds, so that it stays as it is.
const PART: u64 = 16 << 20;
/// Rows of a part.
const PART_ROWS: u64 = 1 << 18;
/// Bytes that are read for a page's header at first; statistics may make it longer.
const HEADER: u64 = 256;
/// The longest header of a page that is read.
const MAX_HEADER: u64 = 1 << 20;

/// Column over all row groups.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) descriptor: ColumnDescPtr,
    pub(super) chunks: Vec<Chunk>,
    pub(super) parts: Vec<ColumnPart>,
}

/// Pages of a column in one row group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) codec: Compression,
    pub(super) start: u64,
    pub(super) end: u64,
    /// The most bytes that one of them may have.
    pub(super) most: u64,
}

/// Pages that are read as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnPart {
    /// Number of its row group.
    pub(super) chunk: u32,
    /// The first row, counted from the table's.
    pub(super) first: u64,
    pub(super) rows: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes of the pages unpacked, as far as the file says.
    pub(super) unpacked: u64,
}

impl Column {
    /// Column number `number`, with its parts, of pages of `most` bytes at the most.
    ///
    /// # Errors
    /// [`Error::TruncatedArchive`] and [`Error::CorruptArchive`], where pages are not where the footer says.
    pub(super) fn new(
        file: &SharedFile,
        shown: &str,
        groups: &[RowGroupMetaData],
        number: usize,
        most: u64,
    ) -> Result<Option<Self>, Error> {
        let column = Self::in_groups(file, shown, groups, number, most)?;
        let Some(Self { descriptor, chunks, parts: whole }) = column else { return Ok(None) };
        let mut parts = Vec::new();
        for part in whole {
            if part.end - part.start <= PART && part.unpacked <= 2 * PART && part.rows <= PART_ROWS {
                parts.push(part);
            } else {
                let cut = Cut { file, chunk: chunks[part.chunk as usize], number: part.chunk };
                let cut = cut.parts(part.first, part.rows);
                parts.extend(cut.map_err(|detail| corrupt(shown, part.chunk as usize, &detail))?);
            }
        }
        // A row group without rows has no part.
        parts.retain(|part| part.rows > 0);
        Ok(Some(Self { descriptor, chunks, parts }))
    }

    /// Column number `number` with one part a row group, whatever its size: of lists, whose pages do not say how many
    /// rows they hold.
    ///
    /// # Errors
    /// As for [`Column::new`].
    pub(super) fn in_groups(
        file: &SharedFile,
        shown: &str,
        groups: &[RowGroupMetaData],
        number: usize,
        most: u64,
    ) -> Result<Option<Self>, Error> {
        let Some(first) = groups.first() else { return Ok(None) };
        let descriptor = first.column(number).column_descr_ptr();
        let mut column = Self { descriptor, chunks: Vec::new(), parts: Vec::new() };
        let mut row = 0;
        for (place, group) in groups.iter().enumerate() {
            let (chunk, rows) = checked(file, shown, (place, group), number, most)?;
            let Chunk { start, end, .. } = chunk;
            let unpacked = u64::try_from(group.column(number).uncompressed_size()).unwrap_or_default();
            column.parts.push(ColumnPart { chunk: place as u32, first: row, rows, start, end, unpacked });
            column.chunks.push(chunk);
            row += rows;
        }
        Ok(Some(column))
    }

    /// Part that holds a row.
    pub(super) fn part_of(&self, row: u64) -> usize {
        self.parts.partition_point(|part| part.first <= row).saturating_sub(1)
    }
}

/// Place of a column's pages in a row group, and the group's rows.
fn checked(
    file: &SharedFile,
    shown: &str,
    (place, group): (usize, &RowGroupMetaData),
    number: usize,
    most: u64,
) -> Result<(Chunk, u64), Error> {
    let rows =
        u64::try_from(group.num_rows()).map_err(|_| corrupt(shown, place, "a negative number of rows"))?;
    let chunk = chunk(group.column(number), file.length(), most).map_err(|found| match found {
        Some(beyond) => Error::TruncatedArchive {
            path: shown.to_owned(),
            detail: format!("row group {place} ends {beyond} bytes later"),
        },
        None => corrupt(shown, place, "it lies before the start of the file"),
    })?;
    Ok((chunk, rows))
}

fn corrupt(shown: &str, place: usize, detail: &str) -> Error {
    Error::CorruptArchive { path: shown.to_owned(), detail: format!("row group {place}: {detail}") }
}

/// Place of a chunk's pages; the error is by how much it is beyond the end of the file.
fn chunk(meta: &ColumnChunkMetaData, length: u64, most: u64) -> Result<Chunk, Option<u64>> {
    let first = match meta.dictionary_page_offset() {
        // Some writers say 0 where there is none.
        Some(offset) if offset > 0 => offset.min(meta.data_page_offset()),
        _ => meta.data_page_offset(),
    };
    let number = |number: i64| u64::try_from(number).map_err(|_| None);
    let start = number(first)?;
    let end = start.checked_add(number(meta.compressed_size())?).ok_or(None)?;
    match end.checked_sub(length) {
        None | Some(0) => Ok(Chunk { codec: meta.compression(), start, end, most }),
        beyond => Err(beyond),
    }
}

/// A large chunk on its way to parts.
struct Cut<'a> {
    file: &'a SharedFile,
    chunk: Chunk,
    number: u32,
}

impl Cut<'_> {
    /// Parts of whole pages, by the pages' headers.
    fn parts(&self, first: u64, rows: u64) -> Result<Vec<ColumnPart>, String> {
        let mut parts = Vec::new();
        let empty = |at: u64, first| ColumnPart {
            chunk: self.number,
            first,
            rows: 0,
            start: at,
            end: at,
            unpacked: 0,
        };
        let mut at = self.chunk.start;
        let mut part = empty(at, first);
        while at < self.chunk.end {
            let header = self.header(at)?;
            let end = at + header.length + header.packed;
            if end > self.chunk.end {
                return Err(format!("a page ends {} bytes behind it", end - self.chunk.end));
            }
            let is_data = header.kind == PageKind::Data;
            let full = part.end - part.start + (end - at) > PART || part.rows + header.values > PART_ROWS;
            if is_data && part.rows > 0 && full {
                parts.push(part);
                part = empty(at, part.first + part.rows);
            }
            part.rows += if is_data { header.values } else { 0 };
            part.unpacked += header.unpacked;
            part.end = end;
            at = end;
        }
        parts.push(part);
        match part.first + part.rows == first + rows {
            true => Ok(parts),
            false => Err(format!("{} rows, and pages of {}", rows, part.first + part.rows - first)),
        }
    }

    fn header(&self, at: u64) -> Result<PageHeader, String> {
        let mut length = HEADER;
        loop {
            let left = self.chunk.end - at;
            let bytes = self.file.span(at, length.min(left)).map_err(|error| error.to_string())?;
            match PageHeader::read(&bytes, self.chunk.codec, self.chunk.most) {
                Err(BadPage::Short) if length < left.min(MAX_HEADER) => length *= 16,
                Err(BadPage::Short) => return Err("it ends within a page's header".into()),
                Err(BadPage::Wrong(detail)) => return Err(detail),
                Ok(header) => return Ok(header),
            }
        }
    }
}
