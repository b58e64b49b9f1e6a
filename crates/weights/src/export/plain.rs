//! A state dict as safetensors.

use std::path::Path;

use residual_arch::Naming;

use crate::error::Error;
use crate::model::Model;
use crate::safetensors;

/// Writes the tensors of a model under the names of a scheme as safetensors, without a description. Of a backbone
/// there is no linear layer.
///
/// # Errors
/// [`Error::Io`] and [`Error::NotAFile`], naming the file.
pub fn safetensors(model: &Model, path: impl AsRef<Path>, naming: Naming) -> Result<(), Error> {
    safetensors::write(path, &model.to_plain(naming)?)
}
