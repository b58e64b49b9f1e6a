//! PyTorch checkpoints: a pickle of a state dict, and the raw elements of its storages beside it.
//!
//! [`residual_pickle`] builds plain values of the pickle and runs nothing. [`find`] looks for the state dict among them,
//! or for a module that was pickled whole ([`module`]). [`torch`] reads tensors off those records; it knows a short list
//! of PyTorch's functions, and whatever else the file holds (an optimiser, a `Namespace` of arguments) stays opaque and
//! is left out.

mod archive;
mod find;
mod legacy;
mod module;
mod storage;
mod torch;

pub(crate) use archive::read_archive;
pub(crate) use legacy::read_legacy;
