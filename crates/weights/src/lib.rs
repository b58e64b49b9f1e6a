//! Named tensors on disk: safetensors, PyTorch checkpoints, trained networks.
//!
//! - [`Model`] is a checked network with its tensors by path, its class names and its preprocessing: what computes
//!   takes one, and names in files exist in this crate alone;
//! - [`read`] reads any supported file into a [`StateDict`], told by its content and not by its name;
//! - [`map()`] does the same without a copy of the elements, for who packs them once and lets go;
//! - [`safetensors::write`] writes one, the same bits for the same tensors;
//! - [`match_tensors`] compares what a network expects with what a file holds, all differences at once;
//! - [`recognise()`] tells the network that bare tensors belong to, whatever prefix their names have; [`scheme()`] the
//!   scheme of their names;
//! - [`check_values`] refuses weights that are not finite;
//! - [`Checkpoint`] is a trained network in one file: tensors, the network's description, the class names;
//!   [`Weights`] reads either that or bare tensors;
//! - [`mod@export`] writes models as other libraries load them: PyTorch's files, timm's and transformers' folders;
//! - [`write_atomically`] replaces a file as a whole or not at all.
//!
//! Files are not trusted. PyTorch's pickles are interpreted by a machine that builds plain values and calls
//! nothing; sizes are compared with the file's before memory is taken. Every tensor is held as f32: other
//! floating-point types and integers (such as `num_batches_tracked`) are converted, correctly rounded.

mod architecture;
mod atomic;
mod beside;
mod channels;
mod checkpoint;
mod element;
mod error;
pub mod export;
mod folder;
mod json;
mod looks_like;
mod mapping;
mod matching;
mod memory;
mod model;
mod open_options;
mod origin;
mod pickle;
mod quantised;
mod quantised_description;
mod read;
mod recognise;
mod rename;
pub mod safetensors;
mod scheme;
mod shards;
mod state_dict;
mod temperature;
mod tensor;
mod values;

pub use architecture::Architecture;
pub use atomic::{remove_temporaries, write_atomically};
pub use checkpoint::{Checkpoint, Weights};
pub use error::Error;
pub use folder::weights_file;
pub use matching::{Mismatch, Misshapen, match_tensors};
pub use memory::require_memory;
pub use model::{Mean, Model};
pub use open_options::OpenOptions;
pub use origin::{Format, Origin};
pub use quantised::{MOST_WEIGHT, MapScale, QuantConv, Quantised};
pub use read::{map, read, read_bytes};
pub use recognise::{Recognised, recognise, recognise_as};
pub use scheme::{scheme, with_classes_of};
pub use state_dict::StateDict;
pub use tensor::Tensor;
pub use values::{BadValues, check_values};
