//! Images of shards, read in place.

use std::borrow::Cow;

use residual_files::escaped_bytes;

use super::walk::Place;
use crate::limits::check_size;
use crate::shards::{FilePool, Stored};
use crate::{Error, Stamp};

/// Shard of a set.
#[derive(Debug)]
pub(super) struct Shard {
    /// Path from the folder of the data.
    pub(super) name: String,
    /// Path as errors name it.
    pub(super) shown: String,
    /// Time of its last change, when it was opened.
    pub(super) modified: Option<i64>,
    /// Number behind that of its last sample.
    pub(super) end: u32,
    /// Names of its samples' images, one behind the other.
    pub(super) names: Vec<u8>,
}

/// Index of the samples of all shards: 16 bytes each, and the image's name.
#[derive(Debug)]
pub(super) struct ShardStore {
    pub(super) shards: Vec<Shard>,
    pub(super) files: FilePool,
    pub(super) places: Vec<Place>,
}

impl ShardStore {
    fn shard(&self, number: u32) -> usize {
        self.shards.partition_point(|shard| shard.end <= number)
    }

    /// Name of the image in its shard.
    fn member(&self, shard: usize, number: u32) -> String {
        let first = if shard == 0 { 0 } else { self.shards[shard - 1].end };
        let start = if number == first { 0 } else { self.places[number as usize - 1].name_end };
        let end = self.places[number as usize].name_end;
        escaped_bytes(&self.shards[shard].names[start as usize..end as usize]).to_string()
    }
}

impl Stored for ShardStore {
    fn bytes(&self, number: u32) -> Result<Cow<'_, [u8]>, Error> {
        let place = self.places[number as usize];
        let length = u64::from(place.length);
        check_size(length, &self.file(number))?;
        let file = self.files.get(self.shard(number))?;
        let bytes = file.span(place.offset, length);
        bytes.map(Cow::Owned).map_err(|source| Error::io(self.file(number), source))
    }

    fn name(&self, number: u32) -> String {
        let shard = self.shard(number);
        format!("{}/{}", self.shards[shard].name, self.member(shard, number))
    }

    fn file(&self, number: u32) -> String {
        let shard = self.shard(number);
        format!("{}: {}", self.shards[shard].shown, self.member(shard, number))
    }

    fn stamp(&self, number: u32) -> Result<Stamp, Error> {
        let size = u64::from(self.places[number as usize].length);
        Ok(Stamp { size, modified: self.shards[self.shard(number)].modified, crc: None })
    }
}
