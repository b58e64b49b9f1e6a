//! Names of files that are written.

use std::path::Path;

use super::failure::{Failure, Outcome};

/// A safetensors file under a PyTorch name would only be puzzling.
pub(crate) fn check_extension(out: &Path) -> Outcome {
    match out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors")) {
        true => Ok(()),
        false => {
            let name = out.with_extension("safetensors");
            let (out, name) = (out.display(), name.display());
            Err(Failure::new(format_args!("{out}: the output is safetensors; help: call it {name}")))
        }
    }
}
