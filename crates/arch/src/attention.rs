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
    /// Efficient channel attention (Wang et al. 2020): one convolution along the channels.
    Efficient {
        /// Size of its kernel, odd.
        kernel: usize,
    },
}

impl Attention {
    /// Squeeze-and-excitation with `reduced` channels in its middle.
    pub fn squeeze_excite(reduced: usize) -> Self {
        Self::SqueezeExcite { reduced }
    }

    /// Efficient channel attention with the kernel for maps of `channels` (Wang et al. 2020, equation 12, with gamma 2
    /// and b 1): `t = (log2(channels) + 1) / 2` rounded down, the next odd number where it is even, at least 3.
    ///
    /// ```
    /// use residual_arch::Attention;
    /// let kernels = [64, 256, 512, 2048].map(Attention::efficient);
    /// assert_eq!(kernels, [3, 5, 5, 7].map(|kernel| Attention::Efficient { kernel }));
    /// ```
    pub fn efficient(channels: usize) -> Self {
        // `t` is the same with the logarithm rounded down.
        let t = (channels.max(1).ilog2() as usize).div_ceil(2);
        Self::Efficient { kernel: (t | 1).max(3) }
    }

    /// Name of its field in a file, and the number there.
    pub(crate) fn field(self) -> (&'static str, usize) {
        match self {
            Self::SqueezeExcite { reduced } => ("squeeze_excite", reduced),
            Self::Efficient { kernel } => ("efficient_attention", kernel),
        }
    }

    /// Label for tables: `se`, `eca`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::SqueezeExcite { .. } => "se",
            Self::Efficient { .. } => "eca",
        }
    }
}

impl fmt::Display for Attention {
    /// `squeeze 16`, `efficient attention 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqueezeExcite { reduced } => write!(f, "squeeze {reduced}"),
            Self::Efficient { kernel } => write!(f, "efficient attention {kernel}"),
        }
    }
}
