//! Arrays in Fortran order, whose first size is that of neighbours.

use std::io::Read;

use super::array::Array;
use crate::Error;
use crate::listing::Listing;

/// Puts the elements in order of their rows, in memory.
///
/// # Errors
/// [`Error::ArchiveTooLarge`], or that of reading them.
pub(super) fn to_rows(array: &mut Array, listing: &mut Listing) -> Result<(), Error> {
    let size = array.element.size();
    let total = array.rows() * array.row_bytes();
    let limit = listing.budget.limit();
    // As they are stored, and in order.
    let charged = listing.budget.charge(2 * total as u64);
    charged.map_err(|_| Error::ArchiveTooLarge { path: array.file.clone(), limit })?;
    let mut stored = Vec::with_capacity(total);
    let reader = listing.store.reader(array.blob, array.offset, total as u64);
    let read = reader.and_then(|mut reader| reader.read_to_end(&mut stored));
    read.map_err(|source| Error::io(&array.file, source))?;
    let mut strides = Vec::with_capacity(array.shape.len());
    let mut stride = size;
    for side in &array.shape {
        strides.push(stride);
        stride *= side;
    }
    let mut ordered = Vec::with_capacity(total);
    let mut place = vec![0; array.shape.len()];
    let mut at = 0;
    while ordered.len() < total {
        let element = stored.get(at..at + size).ok_or_else(|| array.wrong("it is cut"))?;
        ordered.extend_from_slice(element);
        // The next place: the last size is that of neighbours.
        for axis in (0..place.len()).rev() {
            place[axis] += 1;
            at += strides[axis];
            if place[axis] < array.shape[axis] {
                break;
            }
            at -= place[axis] * strides[axis];
            place[axis] = 0;
        }
    }
    array.offset = 0;
    array.blob = listing.store.keep(ordered);
    Ok(())
}
