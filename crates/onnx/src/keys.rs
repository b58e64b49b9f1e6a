//! Keys of a file's metadata (`metadata_props`).

/// The specification as JSON, as in a checkpoint of this library.
pub(crate) const SPEC: &str = "residual.spec";
/// The class names as a JSON array, in the order of the outputs.
pub(crate) const CLASSES: &str = "classes";
/// The task in words.
pub(crate) const TASK: &str = "task";
/// The preprocessing as JSON.
pub(crate) const PREPROCESS: &str = "preprocess";
/// Divisor of the logits of a calibrated network.
pub(crate) const TEMPERATURE: &str = "temperature";
/// Name of the value behind the preprocessing that is in the graph: the normalised pixels.
pub(crate) const NORMALISED: &str = "residual.normalised";
/// Input of the graph, in words.
pub(crate) const INPUT: &str = "input";
