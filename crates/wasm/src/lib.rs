//! Prediction with trained residual networks in a browser or Node, as WebAssembly.
//!
//! A [`Network`] is a `Classifier` of the crate `residual-predict`, made of the bytes of a file: there are neither files
//! nor threads. What it gives crosses over as JSON text or as arrays; the npm package in `crates/page/npm` makes
//! JavaScript's values of the text, and keeps the network in a worker.

pub mod gradients;
mod network;
mod picture;
mod playground;

pub use network::{Network, instruction_set};
pub use picture::Picture;
pub use playground::{block_gradients, check_network, network_presets};
