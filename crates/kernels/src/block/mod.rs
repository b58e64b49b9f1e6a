//! The fused residual block, `y = act(F(x) + S(x))`, forward and backward as one unit in training
//! (He et al. 2015 and 2016).
//!
//! The branch F is two or three convolutions with their batch normalisations, the shortcut S nothing (a
//! plain block), the identity or a 1x1 projection. With `N` for normalisation and `R` for ReLU:
//!
//! ```text
//! post-activation   y = R(N(conv(R(N(conv(x))))) + S(x)),   S(x) = x or N(conv1x1(x))
//! pre-activation    y = conv(R(N(conv(h)))) + S,  h = R(N(x)),   S = x or conv1x1(h)
//! ```
//!
//! and backward `dx = (dF/dx)^T dy + (dS/dx)^T dy`, the sum made where the branch's gradient is stored.
//! Statistics come from the convolutions' epilogues, ReLU and addition go with the normalisation, and the
//! maps stay in the kernels' layout from end to end.
//!
//! What the backward pass reads lies on a [`Tape`]. With [`Policy::Keep`] every block has a tape of its
//! own; with [`Policy::Recompute`] all blocks of the same shape may share one, which the backward pass
//! fills again from the block's input (Chen et al. 2016): the memory of a network of any depth is that of
//! its blocks' inputs.

mod backward;
mod forward;
mod plan;
mod shape;

pub use backward::{BlockGradients, LinkGradients};
pub use plan::{Block, BlockParameters, LinkParameters, PackedBlock, Tape};
pub use shape::{BlockShape, Link, Order, Policy, Shortcut};
