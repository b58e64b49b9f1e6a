//! Shards of a batch.

use std::ops::Range;

/// Shards of every batch that a [`Loader`](crate::Loader) reads, of all shards that batches are divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRange {
    /// Number of all shards of a batch.
    pub shards: usize,
    /// First one that is read.
    pub first: usize,
    /// One after the last that is read.
    pub end: usize,
}

impl ShardRange {
    /// True where no shard is read, or one that batches do not have.
    pub(crate) const fn is_none(&self) -> bool {
        self.first >= self.end || self.end > self.shards
    }

    /// Number of shards that are read.
    pub(crate) const fn count(&self) -> usize {
        self.end.saturating_sub(self.first)
    }

    /// The `number`-th thing that is read in an epoch: the number of its batch, and its shard.
    pub(crate) const fn place(&self, number: usize) -> (usize, usize) {
        (number / self.count(), self.first + number % self.count())
    }

    /// Images of a shard, of those of a batch: as even as can be.
    pub(crate) const fn part(&self, shard: usize, batch: &Range<usize>) -> Range<usize> {
        let images = batch.end - batch.start;
        batch.start + shard * images / self.shards..batch.start + (shard + 1) * images / self.shards
    }
}
