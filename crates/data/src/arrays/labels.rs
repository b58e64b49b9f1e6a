//! Arrays as labels.

use std::collections::HashMap;

use residual_arch::TaskKind;

use super::array::Array;
use crate::Error;
use crate::answers::{Given, answer};
use crate::listing::Listing;

/// Bytes that are kept of a different label, beside its text.
const PER_LABEL: u64 = 120;

/// Labels of an array.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Different labels as text, in the order in which they come, and the first row of each.
    pub(super) texts: Vec<(String, usize)>,
    /// Place of each row's label among them.
    pub(super) rows: Vec<u32>,
}

/// Reads labels `[n]` or `[n, 1]`, whole numbers or text.
///
/// # Errors
/// [`Error::Array`] with the row for a label that is none.
pub(super) fn labels(array: &Array, listing: &mut Listing) -> Result<Labels, Error> {
    if array.row_elements() != 1 {
        return Err(array.wrong(format!(
            "sizes {:?}, where labels have [{n}] or [{n}, 1]; help: give an image one label, as with argmax(axis=1) of \
             columns of 0 and 1, or train for several (--task multi-label)",
            array.shape,
            n = array.rows()
        )));
    }
    distinct(array, listing, |row, bytes| label_text(array, row, bytes))
}

/// Reads the answers of a task: `[n, classes]` of 0 and 1, `[n]` of names between `|`, or numbers `[n]` or `[n, targets]`,
/// in columns of these names.
///
/// # Errors
/// [`Error::Array`] with the row for an answer that is none.
pub(super) fn answers(
    array: &Array,
    listing: &mut Listing,
    task: TaskKind,
    columns: &[String],
) -> Result<Labels, Error> {
    if array.row_elements() != columns.len() || array.shape.len() > 2 {
        let (shape, wanted) = (&array.shape, columns.len());
        return Err(array.wrong(format!("sizes {shape:?}, where {wanted} columns of labels are expected")));
    }
    let size = array.element.size().max(1);
    distinct(array, listing, |row, bytes| {
        let field = |bytes: &[u8]| match (array.element.is_number(), array.element.whole(bytes)) {
            (true, Ok(whole)) => Ok(Given::Text(whole.to_string().into())),
            (true, Err(number)) => Ok(Given::Text(number.to_string().into())),
            (false, _) => match array.element.text(bytes) {
                Some(text) => Ok(Given::Text(text.into())),
                None => Err(array.wrong_at(row, "a label that is no text")),
            },
        };
        let fields = bytes.chunks_exact(size).map(field).collect::<Result<Vec<_>, _>>()?;
        answer(task, columns, &fields).map_err(|reason| array.wrong_at(row, reason))
    })
}

/// The different rows of an array as text, and which one each row is.
fn distinct(
    array: &Array,
    listing: &mut Listing,
    mut text: impl FnMut(usize, &[u8]) -> Result<String, Error>,
) -> Result<Labels, Error> {
    listing.charge(4 * array.rows() as u64)?;
    let mut found = Labels { texts: Vec::new(), rows: Vec::with_capacity(array.rows()) };
    let mut places: HashMap<Vec<u8>, u32> = HashMap::new();
    let (mut spent, left) = (0, listing.budget.left());
    array.each_row(&listing.store, |row, bytes| {
        if let Some(&place) = places.get(bytes) {
            found.rows.push(place);
            return Ok(());
        }
        spent += PER_LABEL + 2 * bytes.len() as u64;
        if spent > left {
            return Err(Error::OverMemory { path: array.file.clone(), limit: left });
        }
        let text = text(row, bytes)?;
        let place = found.texts.len() as u32;
        found.texts.push((text, row));
        found.rows.push(place);
        places.insert(bytes.to_vec(), place);
        Ok(())
    })?;
    listing.charge(spent)?;
    Ok(found)
}

fn label_text(array: &Array, row: usize, bytes: &[u8]) -> Result<String, Error> {
    if !array.element.is_number() {
        let text = array.element.text(bytes).ok_or_else(|| array.wrong_at(row, "a label that is no text"))?;
        return match text.trim() {
            "" => Err(array.wrong_at(row, "the label is empty")),
            text => Ok(text.to_owned()),
        };
    }
    match array.element.whole(bytes) {
        Ok(label @ 0..) => Ok(label.to_string()),
        Ok(label) => Err(array.wrong_at(
            row,
            format!("the label {label} is below 0; help: leave images without a label out, and count labels from 0"),
        )),
        Err(label) => Err(array.wrong_at(row, format!("the label {label} is no whole number"))),
    }
}
