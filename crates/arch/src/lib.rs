//! Residual networks as data: specifications, families, shape checks, tensor names. No tensors, no
//! framework.
//!
//! A network is written once, as a [`NetSpec`]. Training, inference, the names of tensors in files,
//! the summary table, the counts of parameters and operations, and the shape checks are all read off
//! that one value.

mod block;
pub mod blocks;
mod error;
pub mod families;
mod file;
mod head;
pub mod names;
mod preprocess;
pub mod shape;
mod shortcut;
mod site;
mod spec;
mod stem;
mod tensors;

pub use block::{BlockKind, BlockSpec, Convolution, Order};
pub use error::ArchError;
pub use head::HeadSpec;
pub use preprocess::{IMAGENET_MEAN, IMAGENET_STD, MAX_PIXELS, MAX_PREPROCESSED_PIXELS, Preprocess, Resize};
pub use shortcut::Shortcut;
pub use spec::{BlockPath, Naming, NetSpec, StageSpec};
pub use stem::{MaxPool, StemConv, StemSpec};
pub use tensors::{Role, TensorSpec, block_tensors, tensors};
