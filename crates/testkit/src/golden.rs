//! Reading golden files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use residual_files::escaped;
use serde::Deserialize;

/// Golden file: what PyTorch computes in float64 for one network or block.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    /// The network's or block's name: all that is needed to rebuild it.
    pub model: String,
    /// Input `[batch, channels, height, width]`.
    pub input_shape: [usize; 4],
    /// Number of parameters.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and linear layers, for one image.
    pub macs_per_image: u64,
    /// Output with running statistics.
    pub eval_output: Reference,
    /// Output with batch statistics.
    pub train_output: Reference,
    /// Loss of the training output: mean cross-entropy for a network, `sum(output * weights)` for a
    /// block.
    pub train_loss: f64,
    /// Gradient of the loss by the input.
    pub grad_input: Reference,
    /// Gradient of the loss by every parameter.
    pub grads: BTreeMap<String, Reference>,
    /// Running statistics after one training forward pass.
    pub running: BTreeMap<String, Reference>,
    /// PyTorch's own float32 errors, in the newer files.
    #[serde(default)]
    pub float32: Float32,
}

/// PyTorch's own float32 errors: for each group (`eval_output`, `grads`, ...) and part of a tensor (`l2`, `head`,
/// ...) the largest over the tensors of the group, relative as in [`compare`](crate::compare).
pub type Float32 = BTreeMap<String, BTreeMap<String, f64>>;

/// A tensor given by its shape and some numbers that pin it down.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    /// Shape.
    pub shape: Vec<usize>,
    /// Euclidean norm.
    pub l2: f64,
    /// Sum of all elements.
    pub sum: f64,
    /// The first elements.
    pub head: Vec<f64>,
    /// More of the first elements; outputs have them.
    #[serde(default)]
    pub values: Vec<f64>,
}

/// Error of a golden file that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("{}: cannot read: {source}", escaped(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: residual_files::Error,
    },
    /// The file is not a golden reference.
    #[error("{}: not a golden reference: {source}", escaped(path))]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The input has more elements than a reference is made for.
    #[error("{}: an input of {shape:?} elements; expected at most {MOST_ELEMENTS} in all", escaped(path))]
    Input {
        /// The file.
        path: PathBuf,
        /// Shape of the input.
        shape: [usize; 4],
    },
}

/// Bytes of the largest file that is read, of which numbers take up to 25 times as many in memory; the largest
/// reference has 124 kB.
const MOST_BYTES: u64 = 8 << 20;

/// Elements of the largest input: 400 images of ImageNet's size.
const MOST_ELEMENTS: usize = 1 << 26;

impl Golden {
    /// Reads one file.
    ///
    /// # Errors
    /// If the file cannot be read, is not a golden reference, or has an input larger than any reference's.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = residual_files::read_text(path, MOST_BYTES)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let golden: Self =
            serde_json::from_str(&text).map_err(|source| Error::Parse { path: path.to_owned(), source })?;
        let shape = golden.input_shape;
        let elements = shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        match elements {
            Some(..=MOST_ELEMENTS) => Ok(golden),
            _ => Err(Error::Input { path: path.to_owned(), shape }),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn special_and_huge_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo.json");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let huge = folder.path().join("huge.json");
        std::fs::File::create(&huge).unwrap().set_len(MOST_BYTES + 1).unwrap();
        for (path, reason) in
            [(fifo, "a FIFO"), (huge, "is the most that is read"), ("/dev/zero".into(), "a device")]
        {
            let error = Golden::read(&path).unwrap_err().to_string();
            assert!(error.contains("cannot read") && error.contains(reason), "{error}");
        }
    }
}
