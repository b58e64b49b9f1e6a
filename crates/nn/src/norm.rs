//! Batch normalisation with PyTorch's statistics.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module::batch_norm_train};

use crate::error::assert_channels;
use crate::{Fill, Init, Mode, Running};

/// Configuration of a [`BatchNorm`].
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormConfig {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of the batch in the new running value.
    pub momentum: f64,
    /// Start with the scale at zero instead of one (the last norm of a branch; Goyal et al. 2017,
    /// section 5.1).
    pub zero: bool,
}

impl BatchNormConfig {
    /// PyTorch's defaults: epsilon 1e-5, momentum 0.1.
    pub fn new(channels: usize) -> Self {
        Self { channels, epsilon: 1e-5, momentum: 0.1, zero: false }
    }

    /// Start with the scale at zero.
    pub fn with_zero(self, zero: bool) -> Self {
        Self { zero, ..self }
    }

    /// Builds it: scale 1 (or 0), shift 0, running mean 0 and variance 1.
    pub fn init(&self, init: impl Into<Init>) -> BatchNorm {
        let init = init.into();
        let shape = [self.channels];
        BatchNorm {
            weight: init.parameter("weight", shape, if self.zero { Fill::Zeros } else { Fill::Ones }),
            bias: init.parameter("bias", shape, Fill::Zeros),
            running_mean: Running::new(init.tensor("running_mean", shape, Fill::Zeros)),
            running_var: Running::new(init.tensor("running_var", shape, Fill::Ones)),
            epsilon: self.epsilon,
            momentum: self.momentum,
            bypassed: false,
            frozen_statistics: false,
        }
    }
}

/// Batch normalisation (Ioffe and Szegedy 2015), per channel over batch and map:
///
/// `y = (x - mean) / sqrt(var + epsilon) weight + bias`
///
/// In training, `mean` and `var` are the batch's, `var` biased (divided by `n`), and the running values
/// move as in PyTorch, with the unbiased variance (divided by `n - 1`):
/// `running = (1 - momentum) running + momentum batch`. In evaluation they are the running values, and in training too
/// where the statistics are [frozen](crate::ResNet::freeze_statistics).
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale (gamma), `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Shift (beta), `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// Running mean, `[channels]`.
    pub running_mean: Running,
    /// Running variance, unbiased, `[channels]`.
    pub running_var: Running,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of the batch in the new running value.
    pub momentum: f64,
    /// Gives its input unchanged: [`ResNet::bypass_norms`](crate::ResNet::bypass_norms).
    pub bypassed: bool,
    /// Normalises by the running statistics in training too, which stay as they are; scale and shift are trained:
    /// [`ResNet::freeze_statistics`](crate::ResNet::freeze_statistics).
    pub(crate) frozen_statistics: bool,
}

impl BatchNorm {
    /// # Shapes
    /// `[batch, channels, height, width]`, in and out.
    ///
    /// # Panics
    /// If the input has other channels. In training, if there is one value per channel (batch, height and width all 1):
    /// its variance does not exist. [`ResNet::check_input`](crate::ResNet::check_input) finds that beforehand.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        assert_channels("batch norm", x.dims()[1], self.weight.dims()[0]);
        match mode {
            _ if self.bypassed => x,
            Mode::Train(_) if !self.frozen_statistics => self.forward_train(x),
            _ => self.forward_by_running(x, mode),
        }
    }

    fn forward_train(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        assert_several(channels, batch * height * width);
        let n = (batch * height * width) as f64;
        let normalised = batch_norm_train(x, self.weight.val(), self.bias.val(), self.epsilon);
        let blend = |running: Tensor<1>, batch: Tensor<1>| {
            running * (1.0 - self.momentum) + batch.inner() * self.momentum
        };
        self.running_mean.update(|mean| blend(mean, normalised.mean));
        self.running_var.update(|var| blend(var, normalised.variance * (n / (n - 1.0))));
        normalised.output
    }

    fn forward_by_running(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let [_, channels, _, _] = x.dims();
        let scale = mode.value(&self.weight) / (self.running_var.value() + self.epsilon).sqrt();
        let shift = mode.value(&self.bias) - self.running_mean.value() * scale.clone();
        x * scale.reshape([1, channels, 1, 1]) + shift.reshape([1, channels, 1, 1])
    }
}

/// Panics where a batch gives a norm of `channels` one value for each: its variance does not exist.
pub(crate) fn assert_several(channels: usize, values: usize) {
    assert!(
        values > 1,
        "batch norm of {channels} channels needs more than one value per channel in training; help: use a larger batch or a \
         larger image"
    );
}
