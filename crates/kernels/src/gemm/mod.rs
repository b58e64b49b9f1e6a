//! The one micro-kernel that all convolutions and matrix products run on, and what surrounds it.
//!
//! A convolution in the blocked layout is a matrix product without rearranging its input: a strip of
//! neighbouring output pixels is the rows of `A`, and each (input channel block, kernel tap) is 16
//! columns of it, found at an offset that all rows share. Hence [`Strip`] takes a list of offsets. The
//! weights are the packed right-hand side ([`Panels`]), and what follows the product (scale, shift,
//! residual, ReLU, statistics) is done to the accumulators before they are stored ([`Finish`]).

mod epilogue;
mod panels;
mod strip;

pub use epilogue::Epilogue;
pub(crate) use epilogue::{Finish, Place};
pub(crate) use panels::{Panel, Panels};
pub(crate) use strip::{Strip, run_strip};
