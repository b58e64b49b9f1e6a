//! Decoding of a part of a column.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::column::{Chunk, Column, ColumnPart};
use super::delta;
use super::page::{BadPage, MAX_ROWS, PageHeader, PageKind};
use crate::decode::panic_message;
use crate::shared_file::SharedFile;

/// Bytes that a value of a list takes as text, its levels included.
const PER_VALUE: u64 = 128;
/// Bytes that a number of a vector takes at the most: packed, as it is, as it is given, and its levels.
const PER_NUMBER: u64 = 32;

/// Values of a part, `None` where a row has none, and the bytes that they take.
#[derive(Debug)]
pub(super) struct Values<T> {
    pub(super) rows: Vec<Option<T>>,
    pub(super) bytes: u64,
}

/// Reason for which a part cannot be decoded, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadPart {
    /// The system refused.
    Unread(String),
    /// Its bytes are damaged, or of a kind that is not read.
    Damaged(String),
}

impl<T: Into<String>> From<T> for BadPart {
    fn from(detail: T) -> Self {
        Self::Damaged(detail.into())
    }
}

/// Bytes of a part's pages, their dictionary before them, and what was found of them.
struct Pages {
    bytes: Vec<u8>,
    unpacked: u64,
    /// Number of values, absent ones among them.
    values: u64,
    /// True where a page is in a delta encoding.
    has_delta: bool,
}

/// Decodes a part of a column of lists: the values of each row, without those that are absent.
///
/// # Errors
/// [`BadPart`].
pub(super) fn read_lists<T: DataType>(
    file: &SharedFile,
    column: &Column,
    part: &ColumnPart,
) -> Result<Vec<Vec<T::T>>, BadPart> {
    let chunk = &column.chunks[part.chunk as usize];
    let pages = pages(file, chunk, part, Rows::Lists)?;
    let decoded =
        catch_unwind(AssertUnwindSafe(|| decode_lists::<T>(column, chunk, pages, part.rows as usize)));
    let decoded = decoded.map_err(|panic| panic_message(&*panic))?;
    Ok(decoded.map_err(|error| error.to_string())?)
}

/// Decodes a part of a column of vectors: `length` numbers a row, none of them absent, one row behind the other.
///
/// # Errors
/// [`BadPart`].
pub(super) fn read_vectors<T: DataType>(
    file: &SharedFile,
    column: &Column,
    part: &ColumnPart,
    length: usize,
) -> Result<Vec<T::T>, BadPart> {
    let chunk = &column.chunks[part.chunk as usize];
    let pages = pages(file, chunk, part, Rows::Vectors)?;
    let wanted = part.rows.checked_mul(length as u64);
    if wanted != Some(pages.values) {
        let (rows, values) = (part.rows, pages.values);
        return Err(format!("{rows} rows of {length} numbers, and {values} values in the pages").into());
    }
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        decode_vectors::<T>(column, chunk, pages, [part.rows as usize, length])
    }));
    let decoded = decoded.map_err(|panic| panic_message(&*panic))?;
    Ok(decoded.map_err(|error| error.to_string())?)
}

fn decode_vectors<T: DataType>(
    column: &Column,
    chunk: &Chunk,
    pages: Pages,
    [rows, length]: [usize; 2],
) -> Result<Vec<T::T>, parquet::errors::ParquetError> {
    let count = pages.values as usize;
    let (mut reader, _) = reader::<T>(column, chunk, pages, count)?;
    let (mut levels, mut starts, mut values) = (Vec::new(), Vec::new(), Vec::with_capacity(count));
    reader.read_records(rows, Some(&mut levels), Some(&mut starts), &mut values)?;
    let bad = |detail: String| Err(parquet::errors::ParquetError::General(detail));
    if values.len() != rows * length || starts.len() != values.len() {
        return bad(format!(
            "{} numbers, where {rows} rows of {length} have {}",
            values.len(),
            rows * length
        ));
    }
    // A row begins where a value does not repeat the one before.
    let begins = starts.iter().enumerate().position(|(at, &start)| (start == 0) != at.is_multiple_of(length));
    match begins {
        Some(at) => bad(format!("row {} has not {length} numbers", at / length)),
        None => Ok(values),
    }
}

fn decode_lists<T: DataType>(
    column: &Column,
    chunk: &Chunk,
    pages: Pages,
    rows: usize,
) -> Result<Vec<Vec<T::T>>, parquet::errors::ParquetError> {
    let count = pages.values as usize;
    let (mut reader, _) = reader::<T>(column, chunk, pages, count)?;
    let (mut levels, mut starts, mut values) = (Vec::new(), Vec::new(), Vec::new());
    reader.read_records(rows, Some(&mut levels), Some(&mut starts), &mut values)?;
    let (present, mut values) = (column.descriptor.max_def_level(), values.into_iter());
    let mut lists: Vec<Vec<T::T>> = Vec::with_capacity(rows);
    for (level, start) in levels.into_iter().zip(starts) {
        if start == 0 {
            lists.push(Vec::new());
        }
        let value = if level == present { values.next() } else { None };
        if let Some(list) = lists.last_mut() {
            list.extend(value);
        }
    }
    match lists.len() == rows {
        true => Ok(lists),
        false => Err(parquet::errors::ParquetError::General(format!(
            "{rows} rows, and {} in the pages",
            lists.len()
        ))),
    }
}

/// Reader of the pages of a part, which hold so many values, and the bytes that values in a delta encoding grow to.
fn reader<T: DataType>(
    column: &Column,
    chunk: &Chunk,
    pages: Pages,
    values: usize,
) -> Result<(ColumnReaderImpl<T>, u64), parquet::errors::ParquetError> {
    let length = pages.bytes.len() as i64;
    // A chunk of its own, which the part's pages are.
    let meta = ColumnChunkMetaData::builder(column.descriptor.clone())
        .set_compression(chunk.codec)
        .set_total_compressed_size(length)
        .set_data_page_offset(0)
        .set_num_values(values as i64)
        .build()?;
    let bytes = Arc::new(Bytes::from(pages.bytes));
    let open = || SerializedPageReader::new(bytes.clone(), &meta, values, None);
    let grown = if pages.has_delta { delta_size(open()?, column, chunk)? } else { 0 };
    Ok((ColumnReaderImpl::<T>::new(column.descriptor.clone(), Box::new(open()?)), grown))
}

/// Bytes that the values of pages in a delta encoding take.
fn delta_size(
    pages: SerializedPageReader<Bytes>,
    column: &Column,
    chunk: &Chunk,
) -> Result<u64, parquet::errors::ParquetError> {
    let levels = [column.descriptor.max_rep_level(), column.descriptor.max_def_level()];
    let mut sum = 0u64;
    for page in pages {
        sum =
            sum.saturating_add(delta::size(&page?, levels).map_err(parquet::errors::ParquetError::General)?);
    }
    match sum > 2 * chunk.most {
        true => Err(parquet::errors::ParquetError::General(format!(
            "values of {sum} bytes in one part; help: write the table with smaller row groups"
        ))),
        false => Ok(sum),
    }
}

/// Rows of a part: of one value each, or of lists of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Values,
    Lists,
    Vectors,
}

/// Decodes a part of a column.
///
/// # Errors
/// [`BadPart`].
pub(super) fn read<T: DataType>(
    file: &SharedFile,
    column: &Column,
    part: &ColumnPart,
) -> Result<Values<T::T>, BadPart> {
    let chunk = &column.chunks[part.chunk as usize];
    let pages = pages(file, chunk, part, Rows::Values)?;
    let taken = pages.unpacked + part.rows * size_of::<Option<T::T>>() as u64;
    // The pages' headers are checked, and the crate checks much of what is in them; a panic on what it does not is
    // damage to us.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode::<T>(column, chunk, pages, part.rows as usize)));
    let decoded = decoded.map_err(|panic| panic_message(&*panic))?;
    let values = decoded.map_err(|error| error.to_string())?;
    Ok(Values { bytes: taken.saturating_add(values.bytes), ..values })
}

fn decode<T: DataType>(
    column: &Column,
    chunk: &Chunk,
    pages: Pages,
    rows: usize,
) -> Result<Values<T::T>, parquet::errors::ParquetError> {
    let (mut reader, grown) = reader::<T>(column, chunk, pages, rows)?;
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (read, ..) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if read != rows {
        return Err(parquet::errors::ParquetError::General(format!("{rows} rows, and {read} in the pages")));
    }
    let present = column.descriptor.max_def_level();
    if present == 0 {
        return Ok(Values { rows: values.into_iter().map(Some).collect(), bytes: grown });
    }
    let mut values = values.into_iter();
    let rows = levels.into_iter().map(|level| if level == present { values.next() } else { None });
    Ok(Values { rows: rows.collect(), bytes: grown })
}

/// Reads the pages of a part, and checks their headers.
fn pages(file: &SharedFile, chunk: &Chunk, part: &ColumnPart, rows: Rows) -> Result<Pages, BadPart> {
    if part.rows > MAX_ROWS || part.end - part.start > chunk.most + (32 << 20) {
        let rows = part.rows;
        return Err(format!("{rows} rows in one part; help: write the table with smaller row groups").into());
    }
    let span = |start: u64, end: u64| {
        file.span(start, end - start).map_err(|error| BadPart::Unread(error.to_string()))
    };
    let bytes = span(part.start, part.end)?;
    let found = check(&bytes, chunk)?;
    let most = match rows {
        Rows::Values => u64::MAX,
        Rows::Lists => (chunk.most / PER_VALUE).min(MAX_ROWS),
        Rows::Vectors => chunk.most / PER_NUMBER,
    };
    if found.rows > most {
        let found = found.rows;
        return Err(
            format!("{found} values in one part; help: write the table with smaller row groups").into()
        );
    }
    if rows == Rows::Values && found.rows != part.rows {
        return Err(format!("{} rows, and pages of {}", part.rows, found.rows).into());
    }
    if !found.lacks_dictionary {
        return Ok(Pages { bytes, unpacked: found.unpacked, values: found.rows, has_delta: found.has_delta });
    }
    // It is the first page of the row group.
    let header = span(chunk.start, chunk.end.min(chunk.start + 4096))?;
    let first =
        PageHeader::read(&header, chunk.codec, chunk.most).map_err(|_| "its dictionary is damaged")?;
    let end = chunk.start + first.length + first.packed;
    if first.kind != PageKind::Dictionary || end > part.start {
        return Err("its values are places in a dictionary, and there is none".into());
    }
    let dictionary = span(chunk.start, end)?;
    let unpacked = check(&dictionary, chunk)?.unpacked + found.unpacked;
    let bytes = [dictionary, bytes].concat();
    Ok(Pages { bytes, unpacked, values: found.rows, has_delta: found.has_delta })
}

/// Sums over the headers of pages.
struct Checked {
    rows: u64,
    unpacked: u64,
    /// True where values are places in a dictionary that is not among the pages.
    lacks_dictionary: bool,
    has_delta: bool,
}

fn check(bytes: &[u8], chunk: &Chunk) -> Result<Checked, String> {
    let mut checked = Checked { rows: 0, unpacked: 0, lacks_dictionary: false, has_delta: false };
    let (mut at, mut has_dictionary) = (0, false);
    while at < bytes.len() {
        let header = PageHeader::read(&bytes[at..], chunk.codec, chunk.most).map_err(|bad| match bad {
            BadPage::Short => "it ends within a page's header".to_owned(),
            BadPage::Wrong(detail) => detail,
        })?;
        let start = at + header.length as usize;
        let page = bytes.get(start..start + header.packed as usize).ok_or("it ends within a page")?;
        if matches!(chunk.codec, Compression::GZIP(_)) {
            check_gzip(page.get(header.levels as usize..).unwrap_or_default(), header.unpacked)?;
        }
        has_dictionary |= header.kind == PageKind::Dictionary;
        checked.lacks_dictionary |= header.needs_dictionary() && !has_dictionary;
        checked.has_delta |= header.is_delta();
        checked.rows += if header.kind == PageKind::Data { header.values } else { 0 };
        checked.unpacked += header.unpacked;
        at = start + page.len();
    }
    match checked.unpacked > 2 * chunk.most {
        true => Err(format!("pages of {} bytes; help: write it with smaller row groups", checked.unpacked)),
        false => Ok(checked),
    }
}

/// Checks that a page of gzip unpacks to no more than it says: the crate `parquet` takes all that comes.
fn check_gzip(packed: &[u8], unpacked: u64) -> Result<(), String> {
    let mut unpacking = io::Read::take(MultiGzDecoder::new(packed), unpacked + 1);
    // What is damaged is found when it is decoded.
    match io::copy(&mut unpacking, &mut io::sink()) {
        Ok(length) if length > unpacked => {
            Err(format!("a page unpacks to more than the {unpacked} bytes it says"))
        }
        _ => Ok(()),
    }
}
