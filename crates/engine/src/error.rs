//! The errors of this crate.

use std::fmt::Display;
use std::path::PathBuf;

use residual_arch::LayerPath;
use residual_arch::shape::ShapeError;
use residual_kernels::Error as KernelError;

use crate::steps::MapName;

/// Error of compiling or running a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The specification is not sound, or cannot take the input asked for.
    #[error(transparent)]
    Shape(#[from] ShapeError),

    /// The tensors are not the network's.
    #[error(transparent)]
    Weights(#[from] residual_weights::Error),

    /// Weights, maps and results do not fit into memory.
    #[error("`{model}` for images of {height}x{width}: {cause}; help: smaller images, or fewer at a time")]
    TooLittleMemory {
        /// The network.
        model: String,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
        /// Memory that is needed, and that there is.
        cause: residual_files::Error,
    },

    /// The logits of an image are NaN or infinite.
    #[error(
        "the network's answer is not finite: its weights are finite, and numbers beyond 3e38 come of them; \
         help: use another checkpoint, or look for the layer with `residual doctor`"
    )]
    NotFinite {
        /// The image, counted from 0 in its batch.
        image: usize,
    },

    /// A layer that the engine has no operation for, or not where it stands.
    #[error("{layer}: the engine cannot run {op} here; help: run the network through its modules")]
    Unsupported {
        /// The layer's path.
        layer: LayerPath,
        /// Operation of the layer.
        op: String,
    },

    /// A convolution in 8 bits that reads a map of floats.
    #[error(
        "{layer}: a convolution in 8 bits, and the map of `{map}` that it reads has no scale; help: quantise the float32 \
         weights again"
    )]
    NoScale {
        /// The layer's path.
        layer: LayerPath,
        /// Name of the map.
        map: MapName,
    },

    /// A kernel refused sizes that the specification allows.
    #[error("{layer}: {cause}")]
    Kernel {
        /// The layer's path.
        layer: String,
        /// Error of the kernel.
        cause: KernelError,
    },

    /// The machine does not give what the options ask for.
    #[error("cannot run on this machine: {0}")]
    Machine(KernelError),

    /// An option has a value that no plan can have.
    #[error("option `{option}` is {found}; expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Value of the option.
        found: String,
        /// Values that it may have.
        expected: &'static str,
    },

    /// The images are not a whole number of the plan's images, or none.
    #[error("{found} elements are no batch of {height}x{width} images with {channels} channels")]
    Images {
        /// Elements given.
        found: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
        /// Channels of an image.
        channels: usize,
    },

    /// More images than the plan was compiled for.
    #[error("{found} images for a plan of at most {max_batch}; help: compile it with a larger `max_batch`")]
    Batch {
        /// Images given.
        found: usize,
        /// Images allowed.
        max_batch: usize,
    },

    /// The scratch memory was made for another plan.
    #[error("the scratch memory was made for another plan; help: use Plan::scratch")]
    Scratch,

    /// A layer that the network does not have, or that gives no maps.
    #[error(
        "there are no maps after `{layer}`; help: name a layer before the pooled features, such as stage1.block0.conv1"
    )]
    NoLayer {
        /// The layer asked for.
        layer: LayerPath,
    },

    /// There are no features of that name.
    #[error("no features are called `{path}`; help: name one of {available}")]
    NoFeatures {
        /// The name asked for.
        path: String,
        /// Names that there are.
        available: String,
    },

    /// Classes of a backbone that has no linear layer.
    #[error(
        "the weights have no head, so that there are no classes; help: ask for embeddings or features, or train a \
         head with --init"
    )]
    NoHead,

    /// A class that the network does not have.
    #[error("class {class} of a network with {classes} classes")]
    Class {
        /// The class asked for, counted from 0.
        class: usize,
        /// Number of classes.
        classes: usize,
    },

    /// The file of measured choices cannot be read or written, or is something else.
    #[error("{}: {reason}", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// Reason.
        reason: String,
    },
}

/// Says in which layer a kernel refused.
pub(crate) trait InLayer<T> {
    fn in_layer(self, layer: impl Display) -> Result<T, Error>;
}

impl<T> InLayer<T> for Result<T, KernelError> {
    fn in_layer(self, layer: impl Display) -> Result<T, Error> {
        self.map_err(|cause| Error::Kernel { layer: layer.to_string(), cause })
    }
}
