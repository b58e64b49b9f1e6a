//! Residual networks as data: specifications, families, shape checks, tensor names. No tensors, no
//! framework.
//!
//! A network is written once, as a [`NetSpec`]. What it means is worked out once: [`NetSpec::check`] gives a
//! [`Network`], the ordered list of its layers with their shapes. The summary table, the counts of parameters
//! and operations, the lists of tensors and their names in files are folds over that list.

mod anti_alias;
mod attention;
mod block;
pub mod blocks;
mod conv_kind;
mod error;
pub mod families;
mod file;
mod head;
mod label;
mod lines;
pub mod names;
mod network;
mod norm_kind;
mod preprocess;
pub mod published;
pub mod shape;
mod shortcut;
mod spec;
mod stem;
mod task;
mod tensors;

pub use anti_alias::AntiAlias;
pub use attention::Attention;
pub use block::{BlockKind, BlockSpec, Convolution, Order};
pub use conv_kind::ConvKind;
pub use error::Error;
pub use head::HeadSpec;
pub use network::{
    Activation, AveragePool, BlockPart, BlockPath, BlurPool, CheckedBlock, EfficientAttention, Field,
    HeadPart, Layer, LayerId, LayerOp, LayerPath, LayerTensor, Network, Norm, Place, Reads, ShortcutPart,
    Source, SqueezeExcite, StemPart, TensorPath, UnknownPath, UnknownPlace, ZeroPad,
};
pub use norm_kind::NormKind;
pub use preprocess::{
    Alpha, Fill, IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_PIXELS, MAX_PREPROCESSED_PIXELS, OddMargin,
    OrientationPolicy, Preprocess, Resize,
};
pub use shortcut::Shortcut;
pub use spec::{Naming, NetSpec, StageSpec};
pub use stem::{MaxPool, StemConv, StemSpec};
pub use task::{RegressionTarget, Task, TaskKind};
pub use tensors::{Role, TensorSpec, block_tensors, tensors};
