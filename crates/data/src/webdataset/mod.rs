//! Shards of WebDataset: tar archives in which members that share a name are a sample, `0001.jpg` and `0001.cls`.
//!
//! [`sample`] says which member is what, [`walk`] lists the samples of a shard, [`store`] reads their images in place.

mod open;
mod sample;
mod store;
mod walk;

pub(crate) use open::open;
pub(crate) use walk::is_shard;
