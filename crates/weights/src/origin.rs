//! Where tensors were found.

use std::fmt;

/// Origin of tensors: the format of their file, and what wraps them in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Format of the file.
    pub format: Format,
    /// Keys of the dicts around the tensors, outermost first: `["state_dict"]`.
    pub wrapper: Vec<String>,
    /// Class of the pickled module whose parameters and buffers the tensors are.
    pub module: Option<String>,
    /// Keys of other sets of tensors in the file, such as `model_ema`; `--key` chooses them.
    pub others: Vec<String>,
    /// Number of files; above one where the tensors are divided into shards.
    pub files: usize,
}

/// Format of a file of tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// No file: tensors of a program.
    #[default]
    Memory,
    /// Safetensors.
    Safetensors,
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// `torch.save` before PyTorch 1.6: pickles and storages one after the other.
    TorchLegacy,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Safetensors => "safetensors",
            Self::TorchZip => "PyTorch (zip)",
            Self::TorchLegacy => "PyTorch (before 1.6)",
        })
    }
}
