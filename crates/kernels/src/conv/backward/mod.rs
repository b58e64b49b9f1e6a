//! The gradients of a convolution: by its input ([`ConvBackwardData`]) and by its weights
//! ([`ConvBackwardWeights`]).
//!
//! With `y[n, o, p] = sum over i, u of w[o, i, u] x[n, i, p s - padding + u d]` (one axis shown),
//!
//! ```text
//! dx[n, i, a] = sum over o, u with a = p s - padding + u d of w[o, i, u] dy[n, o, p]
//! dw[o, i, u] = sum over n, p of dy[n, o, p] x[n, i, p s - padding + u d]
//! ```

mod bands;
mod chunks;
mod data;
mod direct;
mod outer;
mod phases;
mod planar;
mod tasks;
mod weights;

pub use data::{ConvBackwardData, DataWeights};
pub use weights::ConvBackwardWeights;

pub(super) use bands::{Bands, Target};
pub(super) use direct::by_pixels;
pub(super) use outer::{Operand, Outer, Place, Rows, run_outer};
pub(super) use phases::Phases;
pub(super) use tasks::Task;
