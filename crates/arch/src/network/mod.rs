//! A checked network: the ordered list of its layers.
//!
//! | file | holds |
//! | --- | --- |
//! | `path` | [`LayerPath`], the canonical path of a layer, and [`Place`], a part of a network |
//! | `tensor` | [`TensorPath`] and [`LayerTensor`], the tensors of a layer |
//! | `op` | [`LayerOp`], what a layer computes |
//! | `layer` | [`Layer`] and what it reads |
//! | `expand` | the meaning of a specification: the layers that stem, block and head stand for |
//! | `check` | the shapes that flow through them, and every error that they can have |
//! | `alike` | networks that compute the same |
//! | `checked` | [`Network`] and [`CheckedBlock`], which cannot be wrong |
//!
//! No other code interprets a [`BlockSpec`](crate::BlockSpec), a [`StemSpec`](crate::StemSpec) or a
//! [`HeadSpec`](crate::HeadSpec) beyond this one.

mod alike;
mod check;
mod checked;
mod expand;
mod layer;
mod op;
mod path;
mod place;
mod tensor;

pub use checked::{CheckedBlock, Network};
pub(crate) use expand::{Draft, Section, block, sections};
pub use layer::{Layer, LayerId, Reads, Source};
pub use op::{Activation, AveragePool, BlurPool, EfficientAttention, LayerOp, Norm, SqueezeExcite, ZeroPad};
pub use path::{BlockPart, BlockPath, HeadPart, LayerPath, ShortcutPart, StemPart, UnknownPath};
pub use place::{Place, UnknownPlace};
pub use tensor::{Field, LayerTensor, TensorPath};
