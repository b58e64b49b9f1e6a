//! Convolutions: what to compute ([`ConvShape`]), how ([`select`]), and the computation ([`Conv`]
//! and its gradients).

mod backward;
mod direct;
mod kernel;
mod lent;
mod pack;
mod plan;
mod select;
mod shape;
mod source;
mod winograd;

pub(crate) use lent::Lent;

pub use backward::{ConvBackwardData, ConvBackwardWeights, DataWeights};
pub use plan::{Conv, ConvWeights, Sums};
pub(crate) use select::select_forward;
pub use select::{Algorithm, Choice, Pass, Weights, select, select_for};
pub use shape::ConvShape;
