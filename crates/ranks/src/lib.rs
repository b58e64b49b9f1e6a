//! Ranks: processes, or threads, that train one network together.
//!
//! A [`Communicator`] is one rank's side of a group of them: it [exchanges](Communicator::exchange) bytes with the others.
//! On top of it stand [`all_gather`], [`broadcast`], [`barrier`] and [`sum_over_shards`]. There are three:
//! [`Alone`] for a process by itself, [`ThreadRank`] for threads of one process, and, with the feature `mpi`, the ranks of
//! `mpirun` or `srun`.
//!
//! Work is divided into a fixed number of shards, which the ranks share ([`shards_of`]). What the shards give is added in
//! a fixed binary tree over their numbers ([`ShardSum`]): the sum has the same bits for any number of ranks.
//!
//! ```
//! use std::time::Duration;
//! use residual_ranks::{Communicator, ShardSum, ThreadRank, shards_of, sum_over_shards};
//!
//! // Three ranks and eight shards, each of which gives its number.
//! let sums: Vec<Vec<f32>> = std::thread::scope(|scope| {
//!     let ranks = ThreadRank::group(3, Duration::from_secs(10)).into_iter().map(|rank| {
//!         scope.spawn(move || {
//!             let mut sum = ShardSum::new(8);
//!             shards_of(&rank, 8).for_each(|shard| sum.add(shard, vec![shard as f32]));
//!             sum_over_shards(&rank, sum, 1).unwrap()
//!         })
//!     });
//!     let ranks: Vec<_> = ranks.collect();
//!     ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
//! });
//! assert_eq!(sums, [[28.0], [28.0], [28.0]]);
//! ```

#![deny(missing_docs)]

mod alone;
mod collective;
mod communicator;
mod error;
mod launched;
#[cfg(feature = "mpi")]
mod mpi_ranks;
mod shard_sum;
mod shards;
mod sum_over_shards;
mod thread_rank;

pub use alone::Alone;
pub use collective::{all_gather, barrier, broadcast};
pub use communicator::Communicator;
pub use error::Error;
pub use launched::{Launched, launched};
#[cfg(feature = "mpi")]
pub use mpi_ranks::{MpiJob, MpiRank};
pub use shard_sum::ShardSum;
pub use shards::shards_of;
pub use sum_over_shards::sum_over_shards;
pub use thread_rank::ThreadRank;
