//! Group normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::layer_norm::standardise;
use crate::error::assert_channels;
use crate::{Error, Fill, Init, Mode};

/// Group normalisation (Wu and He 2018): per sample, over the channels of a group and the map,
/// `y = (x - mean) / sqrt(var + 1e-5) weight + bias`, scale and shift per channel.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// Scale, `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// Number of groups.
    pub groups: usize,
    /// Gives its input unchanged: [`ResNet::bypass_norms`](crate::ResNet::bypass_norms).
    pub bypassed: bool,
}

impl GroupNorm {
    /// Scale 1, shift 0.
    ///
    /// # Errors
    /// If the groups do not divide the channels.
    pub fn new(groups: usize, channels: usize, init: impl Into<Init>) -> Result<Self, Error> {
        Self::scaled([groups, channels], Fill::Ones, init)
    }

    /// The scale as given, shift 0.
    pub(crate) fn scaled(
        [groups, channels]: [usize; 2],
        scale: Fill,
        init: impl Into<Init>,
    ) -> Result<Self, Error> {
        if channels == 0 || groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::Division { what: "channels", whole: channels, parts: groups });
        }
        let init = init.into();
        Ok(Self {
            weight: init.parameter("weight", [channels], scale),
            bias: init.parameter("bias", [channels], Fill::Zeros),
            groups,
            bypassed: false,
        })
    }

    /// # Shapes
    /// `[batch, channels, h, w]`, in and out.
    ///
    /// # Panics
    /// If the input has other channels.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        if self.bypassed {
            return x;
        }
        let [batch, channels, height, width] = x.dims();
        assert_channels("group norm", channels, self.weight.dims()[0]);
        let grouped = x.reshape([batch, self.groups, channels / self.groups * height * width]);
        let y = standardise(grouped, 2).reshape([batch, channels, height, width]);
        let per_channel = |p: &Param<Tensor<1>>| mode.value(p).reshape([1, channels, 1, 1]);
        y * per_channel(&self.weight) + per_channel(&self.bias)
    }
}
