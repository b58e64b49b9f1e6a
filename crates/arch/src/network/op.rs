//! Operations of layers.

use super::{Field, LayerTensor};
use crate::block::output_side;
use crate::tensors::product;
use crate::{Convolution, MaxPool, Role};

/// Operation of a layer on maps of `[channels, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LayerOp {
    /// `y = W * x`
    Conv(Convolution),
    /// Normalisation, with a scale and a shift by channel.
    Norm(Norm),
    /// Nonlinearity, element by element.
    Activation(Activation),
    /// Maximum of square windows.
    MaxPool(MaxPool),
    /// Mean of square windows without padding.
    AveragePool(AveragePool),
    /// Low-pass filter with a stride, by channel (Zhang 2019).
    BlurPool(BlurPool),
    /// `y = x`: the place of a layer that has nothing to do, as ResNet-D's average pool at stride 1. It
    /// counts where files number modules.
    Identity,
    /// Zero-padded copy: every `stride`-th row and column, with channels of zeros on both sides.
    ZeroPad(ZeroPad),
    /// `y = x sigmoid(W2 relu(W1 mean(x) + b1) + b2)` by channel (Hu et al. 2018).
    SqueezeExcite(SqueezeExcite),
    /// `y = x sigmoid(w * mean(x))`, `*` along the channels (Wang et al. 2020).
    EfficientAttention(EfficientAttention),
    /// Stochastic depth: in training, `y = 0` for an image with this probability `p`, else `x / (1 - p)` (Huang et al. 2016).
    StochasticDepth {
        /// Probability of dropping.
        probability: f64,
    },
    /// `y = a + b`, the layer that reads two maps.
    Add,
    /// Mean of each channel, `[c, 1, 1]`.
    GlobalAverage,
    /// Dropout: in training, `y = 0` for a feature with this probability `p`, else `x / (1 - p)` (Srivastava et al.
    /// 2014).
    Dropout {
        /// Probability of dropping.
        probability: f64,
    },
    /// `y = W x + b`
    Linear {
        /// Features that it reads.
        inputs: usize,
        /// Features that it gives.
        outputs: usize,
    },
}

/// Normalisation of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Norm {
    /// Batch normalisation (Ioffe and Szegedy 2015).
    Batch {
        /// Channels.
        channels: usize,
        /// Initial scale of zero in place of one (Goyal et al. 2017, section 5.1).
        zero_init: bool,
    },
    /// Group normalisation (Wu and He 2018): for each image over the channels of a group and the map,
    /// `y = (x - mean) / sqrt(var + 1e-5) weight + bias`, `var` biased, scale and shift by channel.
    Group {
        /// Channels.
        channels: usize,
        /// Number of groups, which divides the channels.
        groups: usize,
        /// Initial scale of zero in place of one.
        zero_init: bool,
    },
}

/// Average pool without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AveragePool {
    /// Side of the window.
    pub kernel: usize,
    /// Stride, at least 1.
    pub stride: usize,
    /// True where the last window may hang over the edge, as long as it begins inside, and averages what is there:
    /// an output of `ceil(h / stride)` rows where the window is at least the stride and at most twice that
    /// (PyTorch's `ceil_mode`). Else `(h - kernel) / stride + 1` rows, rounded down.
    pub overhang: bool,
}

/// Blur pool: the binomial filter `[1, 2, 1]^T [1, 2, 1] / 16` by channel, padded by one row and column of reflection
/// on every side: `[c, ceil(h / stride), ceil(w / stride)]`, of maps of two rows and columns or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlurPool {
    /// Stride, at least 1.
    pub stride: usize,
}

/// Nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
}

/// Option A's shortcut (He et al. 2015, section 3.3): `[c, h, w]` to
/// `[out_channels, ceil(h / stride), ceil(w / stride)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZeroPad {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels, at least as many.
    pub out_channels: usize,
    /// Stride.
    pub stride: usize,
}

/// Two 1x1 convolutions with biases on the mean of each channel (Hu et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SqueezeExcite {
    /// Channels of the map.
    pub channels: usize,
    /// Channels between the convolutions.
    pub reduced: usize,
}

/// Convolution along the means of the channels, padded with zeros, without bias (Wang et al. 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EfficientAttention {
    /// Channels of the map.
    pub channels: usize,
    /// Size of the kernel, odd.
    pub kernel: usize,
}

impl Norm {
    /// True where its scale begins at zero in place of one.
    pub fn is_zero_init(self) -> bool {
        match self {
            Self::Batch { zero_init, .. } | Self::Group { zero_init, .. } => zero_init,
        }
    }
}

impl ZeroPad {
    /// Channels of zeros before the input's: half of those added, rounded down.
    pub fn before(&self) -> usize {
        self.out_channels.saturating_sub(self.in_channels) / 2
    }

    /// Channels of zeros behind the input's.
    pub fn after(&self) -> usize {
        self.out_channels.saturating_sub(self.in_channels) - self.before()
    }
}

impl AveragePool {
    /// ResNet-D's pool before a projection (He et al. 2019, section 4.2): 2x2, the last window may hang over the edge.
    pub fn overhanging(stride: usize) -> Self {
        Self { kernel: 2, stride, overhang: true }
    }
}

impl LayerOp {
    /// Parameters and buffers, in PyTorch's order.
    pub fn tensors(&self) -> Vec<LayerTensor> {
        match *self {
            Self::Conv(conv) => vec![LayerTensor::new(Field::Weight, &conv.weight(), Role::ConvWeight)],
            Self::Norm(Norm::Batch { channels, .. }) => [
                (Field::Weight, Role::NormWeight),
                (Field::Bias, Role::NormBias),
                (Field::RunningMean, Role::RunningMean),
                (Field::RunningVar, Role::RunningVar),
            ]
            .map(|(field, role)| LayerTensor::new(field, &[channels], role))
            .into(),
            Self::Norm(Norm::Group { channels, .. }) => {
                [(Field::Weight, Role::NormWeight), (Field::Bias, Role::NormBias)]
                    .map(|(field, role)| LayerTensor::new(field, &[channels], role))
                    .into()
            }
            Self::SqueezeExcite(SqueezeExcite { channels, reduced }) => vec![
                LayerTensor::new(Field::ReduceWeight, &[reduced, channels, 1, 1], Role::SqueezeWeight),
                LayerTensor::new(Field::ReduceBias, &[reduced], Role::SqueezeBias),
                LayerTensor::new(Field::ExpandWeight, &[channels, reduced, 1, 1], Role::SqueezeWeight),
                LayerTensor::new(Field::ExpandBias, &[channels], Role::SqueezeBias),
            ],
            Self::EfficientAttention(EfficientAttention { kernel, .. }) => {
                vec![LayerTensor::new(Field::Weight, &[1, 1, kernel], Role::AttentionWeight)]
            }
            Self::Linear { inputs, outputs } => vec![
                LayerTensor::new(Field::Weight, &[outputs, inputs], Role::LinearWeight),
                LayerTensor::new(Field::Bias, &[outputs], Role::LinearBias),
            ],
            Self::Activation(_)
            | Self::MaxPool(_)
            | Self::AveragePool(_)
            | Self::BlurPool(_)
            | Self::Identity
            | Self::ZeroPad(_)
            | Self::StochasticDepth { .. }
            | Self::Add
            | Self::GlobalAverage
            | Self::Dropout { .. } => Vec::new(),
        }
    }

    /// True where evaluation leaves it out: it gives what it reads.
    pub fn is_identity_in_evaluation(&self) -> bool {
        matches!(self, Self::Identity | Self::Dropout { .. } | Self::StochasticDepth { .. })
    }

    /// True where each value is drawn from a window of its own channel, without parameters.
    pub fn is_pool(&self) -> bool {
        matches!(self, Self::MaxPool(_) | Self::AveragePool(_) | Self::BlurPool(_) | Self::GlobalAverage)
    }

    /// Shape of the output for an input of `[channels, height, width]`; `None` where a kernel does not fit
    /// or a stride is zero.
    pub(super) fn output(&self, [channels, height, width]: [usize; 3]) -> Option<[usize; 3]> {
        let strided = |channels, stride| {
            (stride > 0).then(|| [channels, height.div_ceil(stride), width.div_ceil(stride)])
        };
        match *self {
            Self::Conv(conv) => {
                Some([conv.out_channels, conv.output_side(height)?, conv.output_side(width)?])
            }
            Self::MaxPool(pool) => Some([channels, pool.output_side(height)?, pool.output_side(width)?]),
            Self::AveragePool(AveragePool { stride, overhang: true, .. }) => strided(channels, stride),
            Self::AveragePool(AveragePool { kernel, stride, .. }) => {
                let side = |side| output_side(side, kernel, stride, 0);
                Some([channels, side(height)?, side(width)?])
            }
            Self::BlurPool(BlurPool { stride }) => {
                strided(channels, stride).filter(|_| height.min(width) > 1)
            }
            Self::ZeroPad(ZeroPad { out_channels, stride, .. }) => strided(out_channels, stride),
            Self::GlobalAverage => Some([channels, 1, 1]),
            Self::Linear { outputs, .. } => Some([outputs, 1, 1]),
            Self::Norm(_)
            | Self::Activation(_)
            | Self::Identity
            | Self::SqueezeExcite(_)
            | Self::EfficientAttention(_)
            | Self::StochasticDepth { .. }
            | Self::Add
            | Self::Dropout { .. } => Some([channels, height, width]),
        }
    }

    /// Multiply-accumulates of convolutions and linear layers for one image, for an output of `[_, height, width]`; `None` where 64 bits do
    /// not hold them.
    pub(super) fn macs(&self, [_, height, width]: [usize; 3]) -> Option<u64> {
        match *self {
            Self::Conv(conv) => {
                let [outputs, inputs, kernel, _] = conv.weight();
                product(&[outputs, inputs, kernel, kernel, height, width])
            }
            Self::SqueezeExcite(SqueezeExcite { channels, reduced }) => product(&[2, channels, reduced]),
            Self::Linear { inputs, outputs } => product(&[inputs, outputs]),
            _ => Some(0),
        }
    }

    /// Number of parameters; `None` where 64 bits do not hold it.
    pub(super) fn parameters(&self) -> Option<u64> {
        let mut parameters = self.tensors().into_iter().filter(|tensor| tensor.role.is_parameter());
        parameters.try_fold(0u64, |sum, tensor| sum.checked_add(product(&tensor.shape)?))
    }
}
