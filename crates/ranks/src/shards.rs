//! Shards of a rank.

use std::ops::Range;

use crate::Communicator;

/// Shards of a rank: those that follow one another, as evenly as can be.
pub fn shards_of(of: &dyn Communicator, shards: usize) -> Range<usize> {
    share(of.rank(), of.ranks(), shards)
}

/// Part of `things` in a row that belongs to a rank.
pub(crate) fn share(rank: usize, ranks: usize, things: usize) -> Range<usize> {
    rank * things / ranks..(rank + 1) * things / ranks
}
