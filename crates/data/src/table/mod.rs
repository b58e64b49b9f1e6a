//! Parquet tables of images, as Hugging Face's `datasets`, pandas and polars write them.
//!
//! The crate `parquet` decodes footers and values; what it would take memory or stack for by a claim of the file alone
//! is looked at here before: [`footer`] checks the schema, [`page`] the headers of pages, by [`thrift`], [`delta`] the
//! lengths of values. [`schema`] finds the columns, [`column`] cuts them into parts that are read as a whole, [`read`] decodes one, [`cache`] keeps
//! the last ones, [`store`] gives their images.

mod answering;
mod cache;
mod column;
mod delta;
mod footer;
mod open;
mod page;
mod read;
mod schema;
mod store;
mod thrift;
mod vectors;

pub(crate) use open::open;
pub use vectors::VectorTable;
