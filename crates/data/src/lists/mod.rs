//! Lists of images with their labels: CSV, TSV, JSON Lines, and paths and labels with a space between.
//!
//! [`text`] reads the file, [`find`] finds which column is which, [`rows`] reads the lines, [`files`] finds the folder
//! that the paths count from, [`arrange`] makes classes and splits.

mod arrange;
mod columns;
mod files;
mod find;
mod kind;
mod lines;
mod rows;
mod text;

pub(crate) use arrange::{ListedAt, ListedImage, labels_of, open_list, siblings as split_siblings};
pub use columns::Columns;
pub(crate) use columns::{Role, key as column_key};
pub(crate) use kind::is_list;
