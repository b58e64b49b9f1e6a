//! Download and cache of published weights and datasets: resumed, verified, never half a file.
//!
//! A [`Remote`] says what a file is called, where it lies and how it is verified; a [`Hub`] brings it to the cache
//! folder and gives its path:
//!
//! ```no_run
//! use residual_arch::published::find;
//! use residual_hub::{Hub, Remote};
//!
//! let path = Hub::new()?.get(&Remote::weights(find("resnet50.a1_in1k")?)?, &mut |_| {})?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Two processes that want one file wait for each other. Nothing is executed, unpacked or trusted here: whoever reads
//! the file checks it as any other.

mod cache;
mod datasets;
mod digest;
mod download;
mod error;
mod http;
mod hub;
mod partial;
mod remote;

pub use cache::cache_folder;
pub use datasets::{Dataset, dataset, datasets};
pub use digest::Digest;
pub use error::Error;
pub use hub::{Event, Hub, Options};
pub use remote::Remote;
