//! Search of images by their embeddings: an index of vectors as a Parquet table, the most similar rows to a query, and
//! near duplicates.
//!
//! Similarity is the cosine of the angle between two vectors, `cos(a, b) = a·b / (|a| |b|)`, from -1 to 1; that of a
//! vector of zeros with any other is 0.
//!
//! - [`IndexWriter`] writes an index, row group by row group; [`Index`] opens one, and reads it as little trusted as any
//!   other file;
//! - [`Index::search`] and [`Vectors::search`] compare queries with every row ([exact](Vectors));
//! - [`Clusters`] are the approximate index beside a large one: rows by the centre that they are closest to;
//! - [`near_pairs`] finds all pairs of vectors above a similarity, [`Hash64`] pairs of images by their looks, and
//!   [`Groups`] puts pairs together.

#![deny(missing_docs)]

mod arrow;
mod clusters;
mod error;
mod exact;
mod facts;
mod groups;
mod hash;
mod index;
mod pairs;
mod top;
mod unit;
mod writer;

pub use clusters::{Clusters, ClustersOptions};
pub use error::Error;
pub use exact::{BLOCK, Vectors};
pub use facts::{Facts, WeightsFile};
pub use groups::Groups;
pub use hash::{Hash64, near_hashes};
pub use index::{Index, Row};
pub use pairs::{Pair, near_pairs, near_pairs_approximately};
pub use top::{Hit, Top};
pub use writer::IndexWriter;
