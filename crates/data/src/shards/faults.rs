//! Samples that do not say an image and its label.

use crate::{Error, Note};

/// Samples at fault while data are opened: an error, or left out and counted.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    skip: bool,
    count: usize,
    first: String,
}

impl Faults {
    /// Faults that are errors, or left out where `skip` says so.
    pub(crate) fn new(skip: bool) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Notes a sample that is left out.
    ///
    /// # Errors
    /// `error`, unless such are left out.
    pub(crate) fn add(&mut self, error: Error) -> Result<(), Error> {
        if !self.skip {
            return Err(error);
        }
        if self.count == 0 {
            self.first = error.to_string();
        }
        self.count += 1;
        Ok(())
    }

    /// Adds those of another part of the data, which comes behind.
    pub(crate) fn extend(&mut self, other: Self) {
        if self.count == 0 {
            self.first = other.first;
        }
        self.count += other.count;
    }

    pub(crate) fn note(&self) -> Option<Note> {
        let (count, first) = (self.count, self.first.clone());
        (count > 0).then_some(Note::SamplesLeftOut { count, first })
    }
}
