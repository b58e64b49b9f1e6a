//! Anti-aliased downsampling.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Anti-aliased downsampling (Zhang 2019): the layer that has the stride computes at stride 1, and a low-pass filter
/// with the stride follows it, behind its norm and activation. Has no effect where the stride is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AntiAlias {
    /// Blur pool: the binomial filter `[1, 2, 1]^T [1, 2, 1] / 16` by channel, padded by one row and column of
    /// reflection: `[c, ceil(h / stride), ceil(w / stride)]`. In a stem it follows the max pool.
    Blur,
    /// Mean of windows whose side is the stride: `[c, floor(h / stride), floor(w / stride)]`. In a stem it stands in
    /// place of the max pool.
    Average,
}

impl AntiAlias {
    /// Label for tables: `blur`, `average`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::Average => "average",
        }
    }
}

impl fmt::Display for AntiAlias {
    /// `anti-aliased by blur`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "anti-aliased by {}", self.label())
    }
}
