//! A memory budget for untrusted input, counted as it is read.

use std::io::{self, Read};

use crate::Error;

/// Bytes that reading one untrusted input may still take. What an input claims of its own size costs nothing;
/// what is kept of it, and what is made of it, is charged before it is allocated.
///
/// ```
/// let mut budget = residual_files::Budget::new(100);
/// budget.charge(60)?;
/// assert!(budget.charge(60).is_err());
/// # Ok::<(), residual_files::Error>(())
/// ```
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, left: limit }
    }

    /// Takes `bytes` off the budget.
    ///
    /// # Errors
    /// [`Error::OverBudget`] where fewer are left; nothing is taken then.
    pub fn charge(&mut self, bytes: u64) -> Result<(), Error> {
        self.left = self.left.checked_sub(bytes).ok_or(Error::OverBudget { limit: self.limit })?;
        Ok(())
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The whole budget, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

/// A reader of which every byte is charged to a budget: reading ends in an error where that is spent.
#[derive(Debug)]
pub struct Charged<'a, R> {
    reader: R,
    budget: &'a mut Budget,
}

impl<'a, R> Charged<'a, R> {
    /// Charges what is read of `reader` to `budget`.
    pub fn new(reader: R, budget: &'a mut Budget) -> Self {
        Self { reader, budget }
    }
}

impl<R: Read> Read for Charged<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.budget.charge(read as u64)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_with_the_budget() {
        let mut budget = Budget::new(10);
        let mut bytes = Vec::new();
        Charged::new(&[7u8; 10][..], &mut budget).read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes.len(), budget.left()), (10, 0));
        let error = Charged::new(io::repeat(7), &mut budget).read_to_end(&mut bytes).unwrap_err();
        assert_eq!(error.to_string(), "needs more than 10 bytes of memory");
    }
}
