//! Images that are no files of their own: members of shards, rows of tables.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use super::order::{Part, in_windows};
use crate::source::shuffled;
use crate::{Error, Stamp};

/// Store of images by number, in the order of the data.
pub(crate) trait Stored: Debug + Send + Sync {
    /// Bytes of an image file.
    fn bytes(&self, number: u32) -> Result<Cow<'_, [u8]>, Error>;

    /// Name by which a resumed training knows the image again.
    fn name(&self, number: u32) -> String;

    /// Place of the image as errors name it.
    fn file(&self, number: u32) -> String;

    /// Stamp of the image, without reading it.
    fn stamp(&self, number: u32) -> Result<Stamp, Error>;

    /// Parts that are read as a whole; none where each image is read by itself.
    fn parts(&self) -> &[Part] {
        &[]
    }
}

/// Images of a split among those of a store.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    store: Arc<dyn Stored>,
    numbers: Arc<[u32]>,
    labels: Arc<[u32]>,
}

impl Samples {
    /// Images of these numbers, ascending, with a label each.
    pub(crate) fn new(store: Arc<dyn Stored>, numbers: Vec<u32>, labels: Vec<u32>) -> Self {
        Self { store, numbers: numbers.into(), labels: labels.into() }
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(crate) fn label(&self, index: usize) -> usize {
        self.labels[index] as usize
    }

    pub(crate) fn name(&self, index: usize) -> String {
        self.store.name(self.numbers[index])
    }

    pub(crate) fn file(&self, index: usize) -> String {
        self.store.file(self.numbers[index])
    }

    pub(crate) fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>, Error> {
        self.store.bytes(self.numbers[index])
    }

    pub(crate) fn stamp(&self, index: usize) -> Result<Stamp, Error> {
        self.store.stamp(self.numbers[index])
    }

    /// Images with other labels: `labels` holds the new one of each old one.
    pub(crate) fn relabelled(&self, labels: &[usize]) -> Self {
        let labels = self.labels.iter().map(|&label| labels[label as usize] as u32).collect();
        Self { store: self.store.clone(), numbers: self.numbers.clone(), labels }
    }

    /// Order of a shuffled epoch: see [`Source::order`](crate::Source::order).
    pub(crate) fn order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        match self.store.parts() {
            [] => shuffled(self.len(), seed, epoch),
            parts => in_windows(&self.numbers, parts, [seed, epoch]),
        }
    }
}
