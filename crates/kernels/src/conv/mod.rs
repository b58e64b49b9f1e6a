//! Convolutions: what to compute ([`ConvShape`]), how ([`select`]), and the computation ([`Conv`]
//! and its gradients).

mod backward;
mod cost;
mod direct;
mod kernel;
mod lent;
mod method;
mod pack;
mod plan;
mod pointwise;
mod prepared;
mod select;
mod shape;
mod source;
mod sums;
mod table;
mod winograd;

pub(crate) use lent::Lent;

pub use backward::{ConvBackwardData, ConvBackwardWeights, DataWeights};
pub use cost::Weights;
pub use plan::{Conv, ConvWeights};
pub use select::{Choice, Pass, select, select_for};
pub(crate) use select::{forward_work, select_forward};
pub use shape::ConvShape;
pub use sums::Sums;
pub use table::Algorithm;
