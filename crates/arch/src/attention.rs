//! Channel attention at the end of a branch.

use std::fmt;

/// Channel attention: a weight from 0 to 1 for each channel of an image's map, computed from the channels' means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attention {
    /// Squeeze-and-excitation (Hu et al. 2018): two 1x1 convolutions with a ReLU between them.
    SqueezeExcite {
        /// Channels between the convolutions.
        reduced: usize,
    },
}

impl Attention {
    /// Squeeze-and-excitation with `reduced` channels in its middle.
    pub fn squeeze_excite(reduced: usize) -> Self {
        Self::SqueezeExcite { reduced }
    }

    /// Name of its field in a file, and the number there.
    pub(crate) fn field(self) -> (&'static str, usize) {
        match self {
            Self::SqueezeExcite { reduced } => ("squeeze_excite", reduced),
        }
    }

    /// Label for tables: `se`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::SqueezeExcite { .. } => "se",
        }
    }
}

impl fmt::Display for Attention {
    /// `squeeze 16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqueezeExcite { reduced } => write!(f, "squeeze {reduced}"),
        }
    }
}
