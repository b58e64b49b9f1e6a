//! Options of an export.

use residual_arch::Preprocess;

/// Options of an export. As they are by default, the graph takes normalised images `[batch, channels, height, width]`
/// and gives logits `[batch, classes]`, with batch norms folded into the convolutions.
///
/// ```
/// use residual_onnx::{Answers, ExportOptions};
///
/// let options = ExportOptions::default().with(|options| options.answers = Answers::Probabilities);
/// assert!(options.preprocess.is_none() && !options.keep_norms);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Batch norms as nodes of their own, so that others can train the network further.
    pub keep_norms: bool,
    /// Output of the graph.
    pub answers: Answers,
    /// Preprocessing as a part of the graph, which then takes pixels, uint8 `[batch, height, width, channels]` of any
    /// size. Orientation and transparency are the business of who decodes the image.
    pub preprocess: Option<Preprocess>,
    /// Height and width as the specification names them, in place of free ones: for compilers that want to know.
    pub fixed_size: bool,
    /// Source and licence of the weights and whatever else is to be said: keys and texts of the file's metadata.
    pub metadata: Vec<(String, String)>,
    /// Bytes of weights up to which they lie in the file itself. Beyond it they lie beside it, in `NAME.onnx.data`: a
    /// message of protobuf holds at most two gigabytes.
    pub embed_up_to: u64,
}

/// Output of a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answers {
    /// The outputs of the last layer, `logits`.
    #[default]
    Logits,
    /// `probabilities`: the softmax of the logits, of several labels their sigmoids, behind the division by the
    /// temperature of a calibrated network. Of a regression `values`, the numbers in their units.
    Probabilities,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            keep_norms: false,
            answers: Answers::Logits,
            preprocess: None,
            fixed_size: false,
            metadata: Vec::new(),
            embed_up_to: (2 << 30) - (64 << 20),
        }
    }
}

impl ExportOptions {
    /// Changes fields.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}
