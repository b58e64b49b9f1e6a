//! The fused residual block, `y = act(F(x) + S(x))`, forward and backward as one unit in training
//! (He et al. 2015 and 2016), and forward alone in evaluation.
//!
//! The branch F is two or three convolutions with their batch normalisations, then squeeze-and-excitation if
//! any; the shortcut S nothing (a plain block), the identity, a 1x1 projection with or without a pooling
//! before it, or zero padding. With `N` for normalisation and `R` for ReLU:
//!
//! ```text
//! post-activation   y = R(f N(conv(R(N(conv(x))))) + S(x)),   S(x) = x or N(conv1x1(x))
//! pre-activation    y = f conv(R(N(conv(h)))) + S,  h = R(N(x)),   S = x or conv1x1(h)
//! squeeze           f[n, c] = depth[n] sigmoid(W2 relu(W1 mean(F) + b1) + b2)
//! ```
//!
//! where `f` is there with squeeze-and-excitation (Hu et al. 2018) or stochastic depth (Huang et al. 2016), and
//! backward `dx = (dF/dx)^T dy + (dS/dx)^T dy`, the sum made where the branch's gradient is stored.
//! Statistics come from the convolutions' epilogues, ReLU and addition go with the normalisation, and the
//! maps stay in the kernels' layout from end to end.
//!
//! What the backward pass reads lies on a [`Tape`]: what each convolution gives, and the statistics. What a
//! convolution reads is computed again from that, one pass over memory. With [`Memory::Keep`] every block has
//! a tape of its own; with [`Memory::Low`] all blocks of the same shape may share one, which the backward
//! pass fills again from the block's input (Chen et al. 2016): the memory of a network of any depth is that of
//! its blocks' inputs.

mod backward;
mod branch;
mod conv_layer;
mod convolve;
mod evaluate;
mod forward;
mod frozen;
mod gate;
mod group_backward;
mod groups;
mod join;
mod norm;
mod parameters;
mod pass;
mod plan;
mod projection;
mod resources;
mod shape;
mod shortcut;
mod tape;

pub use evaluate::Running;
pub use parameters::{
    BlockGradients, BlockParameters, LinkGradients, LinkParameters, SqueezeGradients, SqueezeParameters,
};
pub use pass::{Gradients, Input, InputGradient, KeptOutputs, Outputs};
pub use plan::Block;
pub use resources::Resources;
pub use shape::{BlockShape, Bottleneck, Link, Memory, Order, Shortcut};
pub use tape::Tape;
