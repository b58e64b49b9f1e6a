//! The Open Inference Protocol v2, as KServe and Triton speak it, without its transport.
//!
//! <https://github.com/kserve/open-inference-protocol>, and Triton's extensions for binary tensors and for classes.

pub(crate) mod base64;
mod binary;
mod input;
mod json;
mod metadata;
mod output;
mod read;
mod values;

pub(crate) use input::{InputData, InputTensor, pictures};
pub(crate) use json::{Parameters, RequestedOutput};
pub(crate) use metadata::{ModelMetadata, PLATFORM, TensorMetadata};
pub(crate) use output::{Output, Wanted, outputs, write};
pub(crate) use read::{InferRequest, read};
pub use read::{PictureKind, read_infer_request};
pub(crate) use values::Values;
