//! Operations of the engine, one file each: shapes, planning and running of a fused layer.
//!
//! A new operation is a file here that implements [`Operation`], and a row in `lower` that says which layer of a
//! network becomes one.

mod average_pool;
mod conv;
mod dense;
mod excite;
mod max_pool;
mod normalise;
mod operation;
mod packer;
mod zero_pad;

pub(crate) use average_pool::AveragePool;
pub(crate) use conv::{FusedConv, conv_shape};
pub(crate) use dense::Dense;
pub(crate) use excite::SqueezeExcite;
pub(crate) use max_pool::MaxPool;
pub(crate) use normalise::Normalise;
pub(crate) use operation::{Executable, Join, MapLayouts, Operation, OperationMemory, Prepared, Site};
pub(crate) use packer::WeightPacker;
pub(crate) use zero_pad::ZeroPad;
