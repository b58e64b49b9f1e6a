//! Shards: data that are cut into files of many images each, WebDataset's tar archives and Parquet tables.
//!
//! [`pattern`] expands `name-{000..010}.tar`, [`find`] finds the files and their splits, [`stored`] is what both kinds
//! give, [`order`] shuffles across and within what is in memory at a time, [`arrange`] makes classes and splits.

mod arrange;
mod class_names;
mod faults;
mod find;
mod labels;
mod order;
mod pattern;
mod pool;
mod stored;

pub(crate) use arrange::{Arranged, Content, arrange};
pub(crate) use class_names::{class_names, distinct};
pub(crate) use faults::Faults;
pub(crate) use find::{Found, ShardFile, ShardKind, find};
pub(crate) use labels::{LEFT_OUT, Labels, NO_LABEL};
pub(crate) use order::{Part, WINDOW};
pub(crate) use pattern::expand;
pub(crate) use pool::FilePool;
pub(crate) use stored::{Samples, Stored};
