//! Arrays in files, whatever their format.

use std::io::{BufReader, Read};

use super::element::Element;
use crate::Error;
use crate::store::Store;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;

/// Place and meaning of the elements of an array, which are stored row by row.
#[derive(Clone, Debug)]
pub(super) struct Array {
    /// Name of the array, as images are named by it: `x_train`.
    pub(super) name: String,
    /// Name in errors: `mnist.npz: x_train`.
    pub(super) file: String,
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    /// Blob of the store, and the place of the first element.
    pub(super) blob: usize,
    pub(super) offset: u64,
}

impl Array {
    /// Number of rows: of images or labels.
    pub(super) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Number of elements of a row.
    pub(super) fn row_elements(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Number of bytes of a row.
    pub(super) fn row_bytes(&self) -> usize {
        self.row_elements() * self.element.size()
    }

    /// Error of the array as a whole.
    pub(super) fn wrong(&self, detail: impl Into<String>) -> Error {
        Error::Array { file: self.file.clone(), detail: detail.into() }
    }

    /// Error of one of its rows.
    pub(super) fn wrong_at(&self, row: usize, detail: impl Into<String>) -> Error {
        Error::Array { file: format!("{}[{row}]", self.file), detail: detail.into() }
    }

    /// Checks that the elements fill `length` bytes, as many as there are.
    pub(super) fn check_length(&self, length: u64) -> Result<(), Error> {
        // Sides of 0 do not hide others that are too long.
        let sides = self.shape.iter().map(|&side| side.max(1) as u64);
        let bytes = sides.chain([self.element.size() as u64]).try_fold(1u64, u64::checked_mul);
        let bytes = bytes.filter(|&bytes| usize::try_from(bytes).is_ok());
        let needed = bytes.map(|bytes| if self.shape.contains(&0) { 0 } else { bytes });
        match needed {
            Some(needed) if needed == length => Ok(()),
            Some(needed) if needed < length => {
                Err(self.wrong(format!("{length} bytes of values, where its sizes {:?} need {needed}", self.shape)))
            }
            Some(needed) => Err(self.wrong(format!(
                "truncated: {length} bytes of values, where its sizes {:?} need {needed}; help: copy or make it again",
                self.shape
            ))),
            None => Err(self.wrong(format!("impossible sizes {:?}", self.shape))),
        }
    }

    /// Calls `body` with the number of each row and its bytes, row by row.
    pub(super) fn each_row(
        &self,
        store: &Store,
        mut body: impl FnMut(usize, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (row, rows) = (self.row_bytes(), self.rows());
        let failed = |source| Error::io(&self.file, source);
        let reader = store.reader(self.blob, self.offset, row as u64 * rows as u64).map_err(failed)?;
        let mut reader = BufReader::with_capacity(PIECE, reader);
        // The length was held against the sizes: a row is no longer than the array is.
        let mut bytes = vec![0; row];
        for number in 0..rows {
            reader.read_exact(&mut bytes).map_err(failed)?;
            body(number, &bytes)?;
        }
        Ok(())
    }
}
