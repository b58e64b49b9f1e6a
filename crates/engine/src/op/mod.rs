//! Operations of the engine, one file each: shapes, planning and running of a fused layer.
//!
//! A new operation is a file here that implements [`Operation`], and a row in `lower` that says which layer of a
//! network becomes one.

mod attention;
mod average_pool;
mod blur_pool;
mod conv;
mod conversion;
mod dense;
mod efficient_attention;
mod group_norm;
mod int8_conv;
mod int8_pool;
mod max_pool;
mod normalise;
mod operation;
mod packer;
mod squeeze_excite;
mod zero_pad;

pub(crate) use attention::{ChannelAttention, Gate};
pub(crate) use average_pool::AveragePool;
pub(crate) use blur_pool::BlurPool;
pub(crate) use conv::{FusedConv, conv_shape};
pub(crate) use conversion::{Conversion, affine};
pub(crate) use dense::Dense;
pub(crate) use efficient_attention::EfficientAttention;
pub(crate) use group_norm::{GroupAffine, GroupNorm};
pub(crate) use int8_conv::Int8Conv;
pub(crate) use int8_pool::Int8MaxPool;
pub(crate) use max_pool::MaxPool;
pub(crate) use normalise::Normalise;
pub(crate) use operation::{
    Executable, Join, MapLayouts, Operation, OperationMemory, Prepared, Site, single,
};
pub(crate) use packer::WeightPacker;
pub(crate) use squeeze_excite::SqueezeExcite;
pub(crate) use zero_pad::ZeroPad;
