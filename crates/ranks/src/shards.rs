//! Shards of a rank.

use std::ops::Range;

use crate::Communicator;

/// Shards of one rank, of all shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRange {
    /// Number of all shards.
    pub shards: usize,
    /// First shard of the rank.
    pub first: usize,
    /// Shard after its last one.
    pub end: usize,
}

impl ShardRange {
    /// All shards.
    pub const fn all(shards: usize) -> Self {
        Self { shards, first: 0, end: shards }
    }

    /// Number of the rank's shards.
    pub const fn count(&self) -> usize {
        self.end - self.first
    }

    /// Part of so many things in a row that a shard has; the parts are as even as can be.
    pub const fn part(&self, shard: usize, things: usize) -> Range<usize> {
        shard * things / self.shards..(shard + 1) * things / self.shards
    }
}

/// Shards of a rank: those that follow one another, as evenly as can be.
pub fn shards_of(of: &dyn Communicator, shards: usize) -> Range<usize> {
    share(of.rank(), of.ranks(), shards)
}

/// Part of `things` in a row that belongs to a rank.
pub(crate) fn share(rank: usize, ranks: usize, things: usize) -> Range<usize> {
    rank * things / ranks..(rank + 1) * things / ranks
}
