//! Footers of tables.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use residual_files::Budget;

use super::thrift::{LIST, Malformed, STRUCT, Thrift};
use crate::Error;
use crate::decode::panic_message;
use crate::shared_file::SharedFile;

/// Times the footer's bytes that its contents take in memory: a column of a row group has 60 bytes at least, and takes
/// 700.
const TIMES: u64 = 40;
/// Columns in columns deeper than this are in no table.
const DEPTH: usize = 64;

/// Reads the footer of a table; `shown` is named in errors.
///
/// # Errors
/// [`Error::TruncatedArchive`] where it is cut, [`Error::CorruptArchive`], [`Error::OverMemory`].
pub(super) fn read(file: &SharedFile, shown: &str, budget: &Budget) -> Result<ParquetMetaData, Error> {
    let cut = |detail: &str| Error::TruncatedArchive { path: shown.to_owned(), detail: detail.to_owned() };
    let corrupt = |detail: &str| Error::CorruptArchive { path: shown.to_owned(), detail: detail.to_owned() };
    let span = |offset, length| file.span(offset, length).map_err(|source| Error::io(shown, source));
    // A magic number at either end, and the footer's length before the last.
    let last = file.length().checked_sub(8).filter(|&last| last >= 4);
    let last = last.ok_or_else(|| cut("it is too short for a Parquet file"))?;
    let tail = span(last, 8)?;
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    match &tail[4..] {
        b"PAR1" => {}
        b"PARE" => {
            return Err(corrupt("its footer is encrypted, which is not read; help: write it without a key"));
        }
        _ => return Err(cut("a Parquet file ends with a footer, and this one does not")),
    }
    let start =
        last.checked_sub(u64::from(length)).ok_or_else(|| corrupt("its footer is longer than the file"))?;
    if u64::from(length) * TIMES > budget.left() {
        return Err(Error::OverMemory { path: shown.to_owned(), limit: budget.limit() });
    }
    let bytes = span(start, u64::from(length))?;
    check_schema(&bytes).map_err(|_| corrupt("its footer is damaged"))?;
    // The crate checks what it reads; a panic on what it does not is damage to us.
    let decoded = catch_unwind(AssertUnwindSafe(|| ParquetMetaDataReader::decode_metadata(&bytes)));
    let decoded = decoded.map_err(|panic| corrupt(&panic_message(&*panic)))?;
    decoded.map_err(|error| corrupt(&error.to_string()))
}

/// Checks that the columns are a tree of no more than there are, and of no great depth: the crate `parquet` takes
/// memory for as many as are claimed, and a call for each level.
fn check_schema(footer: &[u8]) -> Result<(), Malformed> {
    let mut thrift = Thrift::new(footer);
    let mut last = 0;
    while let Some(field) = thrift.field(&mut last)? {
        match (field.number, field.kind) {
            (2, LIST) => {
                let (count, kind) = thrift.list()?;
                if kind != STRUCT {
                    return Err(Malformed::Wrong);
                }
                check_tree(&mut thrift, count)?;
            }
            (_, kind) => thrift.skip(kind)?,
        }
    }
    Ok(())
}

/// Checks the elements of a schema, of which each has its children behind it.
fn check_tree(thrift: &mut Thrift, count: usize) -> Result<(), Malformed> {
    // Children that are still to come, of each element on the way.
    let mut open: Vec<usize> = Vec::new();
    for element in 0..count {
        if element > 0 {
            let left = open.last_mut().ok_or(Malformed::Wrong)?;
            *left -= 1;
        }
        let children = children(thrift)?;
        if children > count {
            return Err(Malformed::Wrong);
        }
        open.push(children);
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > DEPTH {
            return Err(Malformed::Wrong);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(Malformed::Wrong) }
}

/// Number of children of a schema's element.
fn children(thrift: &mut Thrift) -> Result<usize, Malformed> {
    let (mut last, mut children) = (0, 0);
    while let Some(field) = thrift.field(&mut last)? {
        match (field.number, field.kind) {
            (5, 4..=6) => children = usize::try_from(thrift.number()?).map_err(|_| Malformed::Wrong)?,
            (_, kind) => thrift.skip(kind)?,
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of nothing but elements with so many children each.
    fn footer(children: &[i32]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc, children.len() as u8];
        for &children in children {
            let mut zigzag = children as u32 * 2;
            bytes.push(0x55);
            while zigzag > 127 {
                bytes.push(zigzag as u8 | 128);
                zigzag >>= 7;
            }
            bytes.extend([zigzag as u8, 0]);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn only_trees_pass() {
        for good in [&[2, 0, 0][..], &[2, 2, 0, 0, 0], &[0], &[1, 1, 1, 0]] {
            assert_eq!(check_schema(&footer(good)), Ok(()), "{good:?}");
        }
        let deep: Vec<i32> = [vec![1; 100], vec![0]].concat();
        for bad in [&[2, 0][..], &[1, 0, 0], &[1 << 30, 0], &deep] {
            assert_eq!(check_schema(&footer(bad)), Err(Malformed::Wrong), "{bad:?}");
        }
    }
}
