//! Convolutions: what to compute ([`ConvShape`]), how ([`select`]), and the computation ([`Conv`]).

mod direct;
mod kernel;
mod plan;
mod select;
mod shape;
mod source;
mod winograd;

pub use plan::{Conv, ConvWeights, Sums};
pub use select::{Algorithm, Choice, select};
pub use shape::ConvShape;
