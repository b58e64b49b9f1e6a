//! Element by element: the join of a block's two paths, and the shortcut without parameters, which moves
//! elements and computes nothing.

mod join;
mod pad;

pub use join::{Join, ScaledResidual, gated_sums};
pub use pad::{zero_pad, zero_pad_backward};
