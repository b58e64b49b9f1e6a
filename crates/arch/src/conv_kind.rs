//! Kinds of convolution.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of the convolutions of a stem or a block: what a weight goes through before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConvKind {
    /// The weight as it is.
    #[default]
    Plain,
    /// Weight standardisation (Qiao et al. 2019): the weight of every output channel has mean 0 and variance 1,
    /// `(w - mean) / sqrt(var + EPSILON)` over its inputs and its kernel, `var` biased.
    Standardised,
}

impl ConvKind {
    /// Added to the variance of a weight that is standardised, as Big Transfer has it in timm.
    pub const EPSILON: f64 = 1e-8;

    /// True for a weight that is used as it is.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

impl fmt::Display for ConvKind {
    /// `plain`, `standardised`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Standardised => "standardised",
        })
    }
}
