//! The path beside the branch: `S` in `y = act(F(x) + S(x))`.

use std::fmt;

/// A shortcut. Channels and stride stand here apart from the block's own, because forgetting them is
/// the commonest error in written networks; [`crate::shape`] checks that both sides agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shortcut {
    /// No shortcut: a plain block, `y = act(F(x))`.
    None,
    /// `S(x) = x`.
    Identity,
    /// Convolution with the stride, 1x1 as a rule, then BN (options B and C of He et al. 2015, section 3.3).
    Projection {
        /// Output channels.
        channels: usize,
        /// Stride.
        stride: usize,
        /// Average-pool 2x2 with the stride, then convolve with stride 1 (ResNet-D, He et al. 2019,
        /// section 4.2).
        average_pool: bool,
        /// Side of the kernel, odd: 1, or 3 where SENet-154 downsamples (Hu et al. 2018).
        kernel: usize,
    },
    /// Take every `stride`-th row and column, pad the channels with zeros on both sides, half of them
    /// (rounded down) before: no parameters (option A).
    ZeroPad {
        /// Output channels.
        channels: usize,
        /// Stride.
        stride: usize,
    },
}

impl Shortcut {
    /// 1x1 convolution and BN.
    pub fn projection(channels: usize, stride: usize) -> Self {
        Self::Projection { channels, stride, average_pool: false, kernel: 1 }
    }

    /// Average pool with the stride, 1x1 convolution and BN (ResNet-D, He et al. 2019, section 4.2).
    pub fn pooled_projection(channels: usize, stride: usize) -> Self {
        Self::Projection { channels, stride, average_pool: true, kernel: 1 }
    }

    /// The identity where it fits, else a projection.
    pub fn fitting(in_channels: usize, channels: usize, stride: usize) -> Self {
        if stride == 1 && in_channels == channels {
            Self::Identity
        } else {
            Self::projection(channels, stride)
        }
    }

    /// Output channels for an input of `in_channels`; `None` for a plain block.
    pub fn channels(&self, in_channels: usize) -> Option<usize> {
        match *self {
            Self::None => None,
            Self::Identity => Some(in_channels),
            Self::Projection { channels, .. } | Self::ZeroPad { channels, .. } => Some(channels),
        }
    }

    /// Stride; `None` for a plain block.
    pub fn stride(&self) -> Option<usize> {
        match *self {
            Self::None => None,
            Self::Identity => Some(1),
            Self::Projection { stride, .. } | Self::ZeroPad { stride, .. } => Some(stride),
        }
    }
}

impl fmt::Display for Shortcut {
    /// `identity`, `projection 256, stride 2`, `average-pool projection 256`, `zero-pad 32, stride 2`,
    /// `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, channels, stride) = match *self {
            Self::None => return f.write_str("none"),
            Self::Identity => return f.write_str("identity"),
            Self::Projection { channels, stride, average_pool, kernel } => {
                if kernel != 1 {
                    write!(f, "{kernel}x{kernel} ")?;
                }
                (if average_pool { "average-pool projection" } else { "projection" }, channels, stride)
            }
            Self::ZeroPad { channels, stride } => ("zero-pad", channels, stride),
        };
        write!(f, "{kind} {channels}")?;
        if stride != 1 {
            write!(f, ", stride {stride}")?;
        }
        Ok(())
    }
}
