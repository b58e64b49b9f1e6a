//! Golden references and tolerances that the other crates are held against.
//!
//! A [`golden::Golden`] file holds what PyTorch computes in float64 for one network or block. It
//! stores no weights: [`formula`] gives them, so that any implementation can rebuild the same network,
//! run it, and hold its numbers against the file with [`hold`].

pub mod compare;
pub mod formula;
pub mod golden;
mod hold;
mod kink;
pub mod naive;
mod names;
pub mod networks;
pub mod report;
mod rounding;
mod subject;

pub use hold::{Convolutions, hold};
pub use kink::Kink;
pub use names::Names;
pub use rounding::{Moved, Rounding};
pub use subject::Subject;
