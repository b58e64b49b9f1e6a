//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use residual_arch::families::UnknownModel;
use residual_arch::shape::ShapeError;
use residual_files::escaped;

use crate::folder::help_for_truncated;
use crate::matching::Mismatch;
use crate::values::BadValues;

/// Errors of reading, writing and matching tensors: a variant per cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cause, and the file that it lies in. Every function that takes a path returns this variant;
    /// [`Error::cause`] looks through it.
    #[error("{}{}{cause}{}", escaped(path), before(.cause), help(.path, .cause))]
    InFile {
        /// The file as the caller named it.
        path: PathBuf,
        /// Cause in the file.
        cause: Box<Error>,
    },

    /// The operating system refused.
    #[error("cannot {doing}: {reason}")]
    Io {
        /// Operation: `read`, `write`, ...
        doing: &'static str,
        /// The system's answer.
        reason: io::Error,
    },

    /// A folder without the weights of a run.
    #[error(
        "a folder without best.safetensors and last.safetensors, so not that of a run, and without model.safetensors \
         and pytorch_model.bin; help: name a file of weights"
    )]
    NoWeightsInFolder,

    /// A model of another network than those that it is to be averaged with.
    #[error("{what}: {found} instead of {expected}; help: average models of one network on the same classes")]
    NotOfOneKind {
        /// `network` or `classes`.
        what: &'static str,
        /// Value of this model.
        found: String,
        /// Value of the first one.
        expected: String,
    },

    /// The file's tensors do not fit into memory.
    #[error("{0}")]
    TooLittleMemory(residual_files::Error),

    /// A network that does not fit into memory.
    #[error("`{model}` with {} parameters: {cause}", thousands(*.parameters))]
    NetworkMemory {
        /// The network.
        model: String,
        /// Number of its parameters.
        parameters: u64,
        /// Memory needed and available.
        cause: residual_files::Error,
    },

    /// Weights that are not finite, or variances that are negative.
    #[error(
        "weights that no network computes with: {}; help: the training that made them diverged, or the file is \
         damaged; use an earlier checkpoint, or download it again",
        crate::values::list(.tensors)
    )]
    Values {
        /// Tensors that have such values.
        tensors: Vec<BadValues>,
    },

    /// Weights that are stored as integers.
    #[error(
        "weights are floats, but the file has integers: {}; help: quantised weights are not read; use the file that \
         they were made of, or convert them to float32 with their scales",
        .tensors.join("; ")
    )]
    Integers {
        /// The first of them, with their types: `fc.weight is int8`.
        tensors: Vec<String>,
    },

    /// Integers or scales of a network in 8 bits that do not fit it.
    #[error(
        "quantised weights that no network computes with: {reason}; help: quantise the float32 weights again"
    )]
    Quantised {
        /// Layer, fault and expectation.
        reason: String,
    },

    /// A network in 8 bits where float32 is wanted.
    #[error(
        "the weights are in 8 bits, with their norms folded in: they give answers, and nothing else is made of them; \
         help: take the float32 weights that they were quantised of"
    )]
    InEightBits,

    /// A model that another library has no words for.
    #[error("{library} has no way to say {what}; help: {help}")]
    NotIn {
        /// The library.
        library: &'static str,
        /// Network, or part of its preprocessing.
        what: String,
        /// Remedy.
        help: &'static str,
    },

    /// A checkpoint that cannot be written as it was put together.
    #[error("a checkpoint cannot be written with {reason}")]
    Unwritable {
        /// Part that does not fit.
        reason: String,
    },

    /// The target of a write exists and is a folder or a device.
    #[error("not a regular file, so it cannot be replaced")]
    NotAFile,

    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,

    /// The file ends before its content does.
    #[error("the file ends inside {within}")]
    Truncated {
        /// The part that was being read.
        within: String,
    },

    /// The file is of another kind.
    #[error("not a file of weights but {looks_like}; expected .safetensors, or PyTorch's .pth, .pt or .th")]
    NotWeights {
        /// Kind of file that the first bytes look like.
        looks_like: &'static str,
    },

    /// A safetensors file whose header or data is broken.
    #[error("broken safetensors file: {reason}")]
    Safetensors {
        /// Broken part.
        reason: String,
    },

    /// A PyTorch archive whose zip structure is broken.
    #[error("broken zip archive: {}", escaped(.reason))]
    Archive {
        /// Broken part.
        reason: String,
    },

    /// An entry of a zip archive that is encrypted.
    #[error("`{}` in the zip archive is encrypted; help: unpack it with its password and use the file inside", escaped(.entry))]
    Encrypted {
        /// The entry.
        entry: String,
    },

    /// A zip archive without PyTorch's `data.pkl`.
    #[error("a zip archive, but not one written by torch.save: it holds no data.pkl{}", seems_to_be(.seems))]
    NotTorchArchive {
        /// Kind of file that its entries point at, if any.
        seems: Option<&'static str>,
    },

    /// A compiled TorchScript program.
    #[error(
        "a TorchScript program (torch.jit.save), which holds code; help: save the weights with \
         torch.save(model.state_dict(), PATH) instead"
    )]
    TorchScript,

    /// A pickle that `torch.save` has not written.
    #[error("a Python pickle, but not one written by torch.save")]
    NotTorchPickle,

    /// A pickle stream that is malformed or uses something outside the supported set.
    #[error("broken pickle at byte {at}: {reason}")]
    Pickle {
        /// Offset inside the pickle stream.
        at: usize,
        /// Fault at that byte.
        reason: String,
    },

    /// The file asks for more than any real checkpoint does.
    #[error("refused as hostile: {what} is over the limit of {limit}")]
    TooLarge {
        /// The quantity.
        what: &'static str,
        /// Limit of the quantity.
        limit: usize,
    },

    /// Sets of weights among which nothing chooses.
    #[error(
        "holds several sets of weights: {}; help: choose one with --key {}",
        quoted(.found), escaped(.found.first().map_or("KEY", String::as_str))
    )]
    SeveralWeights {
        /// Their keys or prefixes.
        found: Vec<String>,
    },

    /// A key that the file does not have.
    #[error("holds no weights under `{}`{}", escaped(.key), held(.found))]
    NoSuchKey {
        /// The key that was asked for.
        key: String,
        /// Keys that weights are under.
        found: Vec<String>,
    },

    /// A description beside the weights, or an index of them, that is broken or asks for what there is not.
    #[error("{reason}")]
    Config {
        /// Fault, in words.
        reason: String,
    },

    /// The file was read and holds no state dict.
    #[error(
        "no tensors found: the file holds {found}; expected a state dict, plain or under a key as `state_dict`, or a \
         module; help: write the file again with torch.save(model.state_dict(), PATH)"
    )]
    NoTensors {
        /// Content found instead.
        found: String,
    },

    /// The description of a tensor contradicts itself or the data.
    #[error("tensor `{}`: {reason}", escaped(.name))]
    BadTensor {
        /// The tensor.
        name: String,
        /// The contradiction.
        reason: String,
    },

    /// The tensor's elements are of a type that has no exact place here.
    #[error("tensor `{}` holds {found}, which is not supported; help: convert it to float32 first", escaped(.name))]
    UnsupportedType {
        /// The tensor.
        name: String,
        /// Element type or kind.
        found: String,
    },

    /// A shape that does not describe the data.
    #[error("shape {shape:?} does not describe {elements} elements")]
    WrongLength {
        /// The shape.
        shape: Vec<usize>,
        /// Number of elements.
        elements: usize,
    },

    /// Two tensors of one name.
    #[error("two tensors would be named `{}`", escaped(.name))]
    Duplicate {
        /// The name.
        name: String,
    },

    /// A name that no tensor may have.
    #[error("no tensor can be named `{}`", escaped(.name))]
    ReservedName {
        /// The name.
        name: String,
    },

    /// There is no tensor of this name.
    #[error("there is no tensor `{}`", escaped(.name))]
    NoSuchTensor {
        /// The name.
        name: String,
    },

    /// The tensors are not those of the network.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),

    /// Tensors that are not those of the network that they were opened as.
    #[error("as {model}: {cause}")]
    AsModel {
        /// The network.
        model: String,
        /// The difference.
        cause: Box<Error>,
    },

    /// A checkpoint of another network than the one that it was opened as.
    #[error("holds `{found}`, which is not `{asked}`; help: leave --model out")]
    OtherNetwork {
        /// The network in the file.
        found: String,
        /// The network asked for.
        asked: String,
    },

    /// A network that cannot be built.
    #[error(transparent)]
    Shape(Box<ShapeError>),

    /// A name that is no family member's.
    #[error(transparent)]
    UnknownModel(Box<UnknownModel>),

    /// A file that holds no specification.
    #[error(transparent)]
    Specification(Box<residual_arch::Error>),

    /// Weights without the description of their network.
    #[error(
        "plain weights: the file does not say which network they belong to{}",
        no_spec(.model, .seems, .nearest)
    )]
    NoSpec {
        /// The family member that the tensors' names and shapes point at, if any.
        model: Option<String>,
        /// Kind of network that their names point at, where it is no residual one.
        seems: Option<&'static str>,
        /// The family member that they are nearest to, and what keeps them from being its, where they are near to one.
        nearest: Option<String>,
    },

    /// A trained network's metadata is damaged.
    #[error("damaged checkpoint: metadata `{key}`: {reason}")]
    Metadata {
        /// The metadata's key.
        key: &'static str,
        /// Fault of its value.
        reason: String,
    },
}

/// Separator between the name of a file and the error.
fn before(cause: &Error) -> &'static str {
    match cause {
        Error::AsModel { .. } => ", ",
        _ => ": ",
    }
}

fn help(path: &Path, cause: &Error) -> String {
    match cause {
        Error::Truncated { .. } | Error::Empty => help_for_truncated(path),
        _ => String::new(),
    }
}

fn seems_to_be(kind: &Option<&'static str>) -> String {
    kind.map_or(String::new(), |kind| format!("; it seems to be {kind}"))
}

/// `9,000,000`
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// `` `a`, `b` ``
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", escaped(name))).collect::<Vec<_>>().join(", ")
}

fn held(found: &[String]) -> String {
    match found {
        [] => "; help: leave --key out".to_owned(),
        found => format!("; help: it has {}", quoted(found)),
    }
}

fn no_spec(model: &Option<String>, seems: &Option<&'static str>, nearest: &Option<String>) -> String {
    if let Some(nearest) = nearest {
        return format!(
            ", and no residual network has such tensors; the nearest is {nearest}; help: where they are another \
             network's, write it out as a SPEC.toml and name that with --model"
        );
    }
    match (model, seems) {
        (Some(model), _) => format!("; help: name it with --model NAME (they look like {model})"),
        (None, Some(kind)) => {
            format!(", and the tensors are no residual network's: they seem to be those of {kind}")
        }
        (None, None) => {
            ", and no residual network has such tensors; help: where it is one, write it out as a \
                         SPEC.toml and name that with --model"
                .to_owned()
        }
    }
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Self::Shape(Box::new(error))
    }
}

impl From<UnknownModel> for Error {
    fn from(error: UnknownModel) -> Self {
        Self::UnknownModel(Box::new(error))
    }
}

impl From<residual_arch::Error> for Error {
    fn from(error: residual_arch::Error) -> Self {
        Self::Specification(Box::new(error))
    }
}

impl From<residual_pickle::Error> for Error {
    fn from(error: residual_pickle::Error) -> Self {
        use residual_pickle::Error as Pickle;
        match error {
            Pickle::Broken { at, reason } => Self::Pickle { at, reason },
            Pickle::Truncated => Self::Truncated { within: "the pickle".to_owned() },
            _ => Self::TooLarge {
                what: "the memory for the pickle",
                limit: residual_pickle::budget().limit() as usize,
            },
        }
    }
}

impl Error {
    /// The cause without the file and the network around it.
    ///
    /// ```
    /// use residual_weights::{Error, read};
    ///
    /// let error = read("no/such/file.pth").unwrap_err();
    /// assert!(matches!(error.cause(), Error::Io { .. }));
    /// assert!(error.to_string().starts_with("no/such/file.pth: cannot read: "));
    /// ```
    pub fn cause(&self) -> &Error {
        match self {
            Error::InFile { cause, .. } | Error::AsModel { cause, .. } => cause.cause(),
            other => other,
        }
    }

    /// Names the file, unless one is named already.
    pub fn in_file(self, path: &Path) -> Error {
        match self {
            Error::InFile { .. } => self,
            cause => Error::InFile { path: path.to_owned(), cause: Box::new(cause) },
        }
    }

    /// Names the network that tensors were held against.
    pub(crate) fn of_model(self, model: &str) -> Error {
        match self {
            Error::Mismatch(_) | Error::Integers { .. } => {
                Error::AsModel { model: model.to_owned(), cause: Box::new(self) }
            }
            other => other,
        }
    }

    /// Error of a file that is not opened, met while `doing`: for `map_err`.
    pub(crate) fn file(doing: &'static str) -> impl FnOnce(residual_files::Error) -> Error {
        move |reason| Error::Io { doing, reason: reason.into() }
    }

    /// Error of the operating system, met while `doing`: for `map_err`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |reason| Error::Io { doing, reason }
    }
}
