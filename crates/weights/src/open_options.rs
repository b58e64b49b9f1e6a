//! Options of opening a file of weights.

use crate::architecture::Architecture;

/// Options of opening a file of weights.
///
/// ```
/// use residual_weights::OpenOptions;
///
/// let averaged = OpenOptions::default().with(|options| options.key = Some("model_ema".to_owned()));
/// assert_eq!(averaged.key.as_deref(), Some("model_ema"));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Key of the set of weights to take, where a file holds several: a key of its dict (`model_ema`), or a prefix of
    /// names. Left out, the plain weights are taken.
    pub key: Option<String>,
    /// Network that the weights are for; left out, it is recognised.
    pub network: Option<Architecture>,
}

impl OpenOptions {
    /// Changes fields.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}
