//! The small network.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::{Error, Init, Mode, ResNet, ResNetConfig};

/// Configuration of a [`SmallResNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallResNetConfig {
    /// Number of classes.
    pub classes: usize,
}

impl SmallResNetConfig {
    /// Configuration for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes }
    }

    /// Builds it, He initialisation.
    ///
    /// # Errors
    /// If there are no classes.
    pub fn init(&self, init: impl Into<Init>) -> Result<SmallResNet, Error> {
        let spec = residual_arch::families::family("small")?.with_classes(self.classes);
        Ok(SmallResNet { net: ResNetConfig::new(spec).init(init)? })
    }
}

/// The family member `small`: 3x3 stem, stages of 32, 64 and 128 channels with two blocks each, for
/// 32x32 images.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Mode, SmallResNetConfig};
/// let net = SmallResNetConfig::new(10).init(&Device::flex())?;
/// let logits = net.forward(Tensor::zeros([2, 3, 32, 32], &Device::flex()), Mode::Eval);
/// assert_eq!(logits.dims(), [2, 10]);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct SmallResNet {
    /// The network.
    pub net: ResNet,
}

impl SmallResNet {
    /// Number of parameters, as [`ResNet::num_params`] counts them.
    pub fn num_params(&self) -> usize {
        self.net.num_params()
    }

    /// # Shapes
    /// `[batch, 3, h, w]` to logits `[batch, classes]`.
    ///
    /// # Panics
    /// As [`ResNet::forward`].
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        self.net.forward(x, mode)
    }
}
