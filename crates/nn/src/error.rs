//! What can be wrong.

use residual_arch::shape::ShapeError;
use residual_arch::{BlockSpec, CheckedBlock, LayerPath, UnknownPlace, families::UnknownModel};
use residual_kernels::Error as KernelError;
use thiserror::Error as ThisError;

/// Error of a network that cannot be built, filled, or run.
#[derive(Clone, Debug, PartialEq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no network's.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// A specification that is not sound, or an input that does not fit it.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A layer that was given maps of other channels than it takes.
    #[error("{layer}: {found} channels where it takes {expected}; help: give it maps of {expected} channels")]
    Channels {
        /// The layer.
        layer: String,
        /// Channels that it takes.
        expected: usize,
        /// Channels that it was given.
        found: usize,
    },
    /// A layer that no module of this crate computes.
    #[error("{layer}: no module computes {op}; help: leave the layer out")]
    Unsupported {
        /// The layer.
        layer: LayerPath,
        /// Operation of the layer.
        op: String,
    },
    /// Sizes that the specification allows and the kernels do not.
    #[error("{layer}: {cause}")]
    Kernel {
        /// The layer.
        layer: String,
        /// Error of the kernel.
        cause: KernelError,
    },
    /// Threads or an instruction set that the machine does not give.
    #[error("cannot compute on this machine: {0}")]
    Machine(KernelError),
    /// A batch without samples.
    #[error("the batch has no samples")]
    EmptyBatch,
    /// Tensors that do not fit the network; all of them at once.
    #[error("the tensors do not fit the network: {}", mismatch_text(.missing, .unexpected, .misshapen))]
    Tensors {
        /// Paths that the network needs.
        missing: Vec<String>,
        /// Paths that it does not know, or that are given twice.
        unexpected: Vec<String>,
        /// Paths whose shape, or number of values, is another: path, expected, found.
        misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    },
    /// A layer name that is none of the network's.
    #[error(transparent)]
    UnknownLayer(#[from] UnknownPlace),
    /// Batch norm in training with a single value per channel.
    #[error(
        "{layer}: batch norm needs more than one value per channel in training, the map is \
         {batch}x{height}x{width}; help: use a larger batch or a larger image"
    )]
    SingleValue {
        /// The layer.
        layer: String,
        /// Samples.
        batch: usize,
        /// Rows of its map.
        height: usize,
        /// Columns of its map.
        width: usize,
    },
    /// The number of labels is not the batch's.
    #[error("a batch of {batch} samples needs as many labels and at least one, found {labels}")]
    LabelCount {
        /// Samples.
        batch: usize,
        /// Labels.
        labels: usize,
    },
    /// A label beyond the classes.
    #[error("sample {sample}: label {label} is not one of {classes} classes")]
    Label {
        /// Sample of the batch, from 0.
        sample: usize,
        /// Label of the sample.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A number of groups or heads that does not divide what they share.
    #[error("{whole} {what} cannot be divided into {parts} equal parts")]
    Division {
        /// Name of the things that are divided.
        what: &'static str,
        /// Number of them.
        whole: usize,
        /// Into how many parts.
        parts: usize,
    },
    /// The number of target probabilities is not the batch's times the classes'.
    #[error(
        "a batch of {batch} samples and {classes} classes needs as many probabilities each, found {found}"
    )]
    ProbabilityCount {
        /// Samples.
        batch: usize,
        /// Classes.
        classes: usize,
        /// Probabilities.
        found: usize,
    },
    /// A target that is not finite, or a negative probability.
    #[error("sample {sample}: the target of class {class} is {found}, it must be a number of 0 or more")]
    Probability {
        /// Sample of the batch, from 0.
        sample: usize,
        /// Class.
        class: usize,
        /// The value.
        found: f32,
    },
    /// The number of weights is not that of the classes.
    #[error("{found} weights for {classes} classes; help: give one for each")]
    WeightCount {
        /// Classes.
        classes: usize,
        /// Weights.
        found: usize,
    },
    /// Label smoothing outside of `[0, 1]`.
    #[error("label smoothing is {smoothing}, it must lie between 0 and 1")]
    Smoothing {
        /// The value.
        smoothing: f64,
    },
}

fn mismatch_text(
    missing: &[String],
    unexpected: &[String],
    misshapen: &[(String, Vec<usize>, Vec<usize>)],
) -> String {
    let shape = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let shapes: Vec<_> = misshapen
        .iter()
        .map(|(path, expected, found)| format!("{path} is {}, not {}", shape(found), shape(expected)))
        .collect();
    [("missing", missing), ("unexpected", unexpected), ("misshapen", &shapes)]
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(what, list)| format!("{} {what}: {}", list.len(), list.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Panics unless a layer gets the channels that it takes: what a `forward` can do that is not asked beforehand.
pub(crate) fn assert_channels(layer: &str, found: usize, expected: usize) {
    assert!(found == expected, "{}", Error::Channels { layer: layer.to_owned(), expected, found });
}

/// Checks a block on its own, on a map that its stride divides.
pub(crate) fn check_block(spec: &BlockSpec, in_channels: usize) -> Result<CheckedBlock, Error> {
    let side = 32usize.next_multiple_of(spec.stride.max(1));
    Ok(spec.check([in_channels, side, side])?)
}
