//! The errors of this crate.

use std::path::{Path, PathBuf};

use residual_arch::LayerPath;
use residual_files::escaped;

/// Errors of writing and reading ONNX: a variant per cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cause, and the file that it lies in.
    #[error("{}: {cause}", escaped(path))]
    InFile {
        /// The file as the caller named it.
        path: PathBuf,
        /// Cause in the file.
        cause: Box<Error>,
    },

    /// Tensors that are missing, that no network has, or that cannot be written.
    #[error(transparent)]
    Weights(#[from] residual_weights::Error),

    /// A file that is not read: its kind, its size, or the memory for it.
    #[error(transparent)]
    File(#[from] residual_files::Error),

    /// A layer that this release writes no nodes for.
    #[error("{layer}: ONNX has no `{operation}`; help: leave the layer out of the specification")]
    Layer {
        /// The layer.
        layer: LayerPath,
        /// Operation of the node.
        operation: String,
    },

    /// An interpolation that ONNX's `Resize` has not.
    #[error(
        "preprocess: interpolation `{found}`, where ONNX's Resize has nearest, bilinear and bicubic; help: export \
         without the preprocessing, or with another interpolation (--interpolation bicubic)"
    )]
    Interpolation {
        /// The interpolation.
        found: String,
    },

    /// Bytes that are no ONNX file.
    #[error("not an ONNX file: {reason}")]
    NotOnnx {
        /// Fault of the file, in words.
        reason: String,
    },

    /// A constant that is damaged, or of a type that no weights are of.
    #[error("constant `{}`: {reason}", escaped(Path::new(name)))]
    Constant {
        /// Name of the constant.
        name: String,
        /// Fault of the constant, in words.
        reason: String,
    },

    /// A graph that no specification says.
    #[error(
        "no residual network that a specification says: {}; help: run it as it is with onnxruntime or OpenVINO",
        listed(reasons)
    )]
    NotSaid {
        /// A node with what is not said of it, each.
        reasons: Vec<String>,
    },

    /// A network whose shapes do not fit.
    #[error(transparent)]
    Shape(#[from] residual_arch::shape::ShapeError),

    /// Probabilities of a network that has none.
    #[error("softmax: {found}; help: export the outputs as they are")]
    NoProbabilities {
        /// Task of the network.
        found: &'static str,
    },
}

/// Number of reasons that are shown; the field holds them all.
const SHOWN: usize = 6;

/// Reasons, the first of them and how many more there are.
fn listed(reasons: &[String]) -> String {
    let shown: Vec<String> =
        reasons.iter().take(SHOWN).map(|reason| escaped(Path::new(reason)).to_string()).collect();
    let more = match reasons.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

impl Error {
    /// The error, in a file.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::InFile { .. } => self,
            Self::Weights(cause @ residual_weights::Error::InFile { .. }) => Self::Weights(cause),
            cause => Self::InFile { path: path.to_owned(), cause: Box::new(cause) },
        }
    }

    /// The cause, without the file that it lies in.
    pub fn cause(&self) -> &Self {
        match self {
            Self::InFile { cause, .. } => cause.cause(),
            other => other,
        }
    }
}
