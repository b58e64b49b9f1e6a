//! PyTorch checkpoints: a pickle of a state dict, and the raw elements of its storages beside it.
//!
//! Python's own unpickler runs whatever the file tells it to. Here a machine ([`machine`]) builds plain values
//! ([`value`]): a global is a name, a call is a record of function and arguments, nothing is looked up or run.
//! [`torch`] then reads the state dict off those records; it knows a short list of PyTorch's functions, and
//! whatever else the file holds (an optimiser, a `Namespace` of arguments) stays opaque and is left out.

mod archive;
mod legacy;
mod machine;
mod opcode;
mod storage;
mod torch;
mod value;

pub(crate) use archive::read_archive;
pub(crate) use legacy::read_legacy;
