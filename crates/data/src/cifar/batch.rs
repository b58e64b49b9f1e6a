//! Batches: files of records, or pickles.

use residual_pickle::{Pickled, budget, interpret};

use super::RAW;
use crate::Error;
use crate::listing::Listing;
use crate::numpy::byte_array;
use crate::records::Record;
use crate::store::Location;

/// Form of the batches of a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Name of the set, for errors.
    pub(super) set: &'static str,
    /// Key of the labels in a pickle.
    pub(super) key: &'static str,
    /// Bytes of labels in front of an image, and which of them is the label.
    pub(super) labels: usize,
    pub(super) label: usize,
    pub(super) classes: usize,
}

/// A batch.
pub(super) struct Batch<'a> {
    /// Name that its images are called by.
    pub(super) name: &'a str,
    /// Name in errors.
    pub(super) file: String,
    pub(super) binary: bool,
    pub(super) location: &'a Location,
}

impl Form {
    /// Reads the labels of a batch, and finds its images.
    pub(super) fn read(&self, listing: &mut Listing, batch: &Batch<'_>) -> Result<Vec<Record>, Error> {
        let file = &batch.file;
        let wrong = |detail: String| Error::Cifar { path: file.clone(), set: self.set, detail };
        let pinned = listing.store.pin(batch.location, file, &mut listing.budget)?;
        let bytes = listing.store.read(&pinned.location(), file)?;
        let (labels, images) = match batch.binary {
            true => self.binary(&bytes).map_err(wrong)?,
            false => {
                let pickled = interpret(&bytes, &mut budget()).map_err(|error| wrong(error.to_string()))?;
                self.python(&pickled).map_err(wrong)?
            }
        };
        let mut records = Vec::with_capacity(labels.len());
        for (i, (label, offset)) in labels.into_iter().zip(images).enumerate() {
            let valid = usize::try_from(label).ok().filter(|&label| label < self.classes);
            let beyond = || wrong(format!("image {i} has the label {label}, beyond {}", self.classes - 1));
            let (offset, length) = (pinned.offset + offset as u64, RAW.bytes() as u64);
            records.push(Record {
                name: format!("{}[{i}]", batch.name),
                label: valid.ok_or_else(beyond)?,
                location: Location::Span { blob: pinned.blob, offset, length },
            });
        }
        Ok(records)
    }

    /// Labels, and the first byte of each image, of a file of records.
    fn binary(&self, bytes: &[u8]) -> Result<(Vec<i64>, Vec<usize>), String> {
        let record = RAW.bytes() + self.labels;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            return Err(format!(
                "{} bytes are not a whole number of records of {record}; truncated?",
                bytes.len()
            ));
        }
        let labels = bytes.iter().skip(self.label).step_by(record).map(|&label| i64::from(label)).collect();
        Ok((labels, (0..bytes.len() / record).map(|i| i * record + self.labels).collect()))
    }

    /// Labels, and the first byte of each image, of a pickle.
    fn python(&self, pickled: &Pickled<'_>) -> Result<(Vec<i64>, Vec<usize>), String> {
        let (heap, key, size) = (&pickled.heap, self.key, RAW.bytes());
        let labels = pickled
            .entry(key)
            .and_then(|id| heap.sequence(id))
            .ok_or_else(|| format!("there is no list `{key}`"))?;
        let data = pickled.entry("data").and_then(|id| byte_array(pickled, id));
        let (shape, range) = data.ok_or("there is no numpy array `data` of uint8")?;
        // Checked first: there are no more labels than images.
        if shape != [labels.len(), size] {
            return Err(format!("`data` is not [number of labels, {size}]"));
        }
        let labels: Option<Vec<i64>> = labels.iter().map(|&id| heap.int(id)).collect();
        let labels = labels.ok_or_else(|| format!("`{key}` holds something other than numbers"))?;
        let starts = (0..labels.len()).map(|i| range.start + i * size).collect();
        Ok((labels, starts))
    }
}
