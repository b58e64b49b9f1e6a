//! ONNX both ways: residual networks written as graphs, and graphs read as residual networks.
//!
//! - [`export()`] writes a [`Model`](residual_weights::Model) as a graph of opset 18: batch norms folded or kept, its
//!   batch and its size free, with the preprocessing and the probabilities in it where they are wanted;
//! - [`import()`] reads a graph as a model: its layers are matched against those of a specification that is read off
//!   it, whatever they are called.
//!
//! Files are not trusted: a message that contains itself is not read, sizes are compared with the file's before
//! memory is taken, and weights beside a file lie in its folder.
//!
//! Messages are those of `onnx.proto`, read and written by `prost`; the code for them is generated and checked in
//! (`proto.rs`).

mod element;
mod error;
mod export;
mod import;
mod keys;
mod norm;
#[allow(unreachable_pub)] // Generated: its items are public in their module.
mod proto;
mod value_info;

pub use error::Error;
pub use export::{Answers, ExportOptions, export};
pub use import::{ImportOptions, Imported, InputScale, import, import_bytes};
