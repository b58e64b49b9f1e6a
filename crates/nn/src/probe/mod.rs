//! What the gradient does at a residual: `dL/dx = (dF/dx)^T dL/dy + dL/dy`, measured.
//!
//! [`split`] takes any [`Residual`](crate::Residual) apart, [`split_block`] a block of the papers, and
//! [`ResNet::probe`](crate::ResNet::probe) every block of a network; [`Shares`] are the numbers.

mod network;
mod shares;
mod split;

pub use network::NetworkProbe;
pub use shares::Shares;
pub use split::{Split, split, split_block};
