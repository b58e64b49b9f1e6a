//! What the gradient does at a residual: `dL/dx = (dF/dx)^T dL/dy + dL/dy`, measured.
//!
//! [`split`] takes any [`Residual`](crate::Residual) apart, [`split_block`] a block of the papers, and
//! [`ResNet::probe`](crate::ResNet::probe) every block of a network; [`Shares`] are the numbers.
//! [`ResNet::first_not_finite`](crate::ResNet::first_not_finite) finds the layer at which a forward pass diverges,
//! and [`ResNet::kinks`](crate::ResNet::kinks) the values whose gradient rounding decides.

mod finite;
mod kinks;
mod network;
mod shares;
mod split;
mod walk;

pub use kinks::Kink;
pub use network::NetworkProbe;
pub use shares::Shares;
pub use split::{Split, split, split_block};
