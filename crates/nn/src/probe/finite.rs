//! Layer at which a forward pass leaves the finite numbers.

use burn::tensor::Tensor;

use super::walk::{Visitor, elements, walk};
use crate::{Mode, ResNet};

impl ResNet {
    /// Path of the first layer whose output is not finite, such as `stage2.block0.conv1`, or `input`; `None` where
    /// every output is finite, the logits' included. Runs the layers' stock operations one by one, and leaves the
    /// running statistics alone.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let mut net = SmallResNetConfig::new(10).init(&Device::flex())?.net;
    /// let x = Tensor::ones([2, 3, 8, 8], &Device::flex());
    /// assert_eq!(net.first_not_finite(x.clone(), Mode::train(0, 0)), None);
    /// let broken = net.state().into_iter().map(|mut tensor| {
    ///     if tensor.path == "stage2.block1.conv2.weight" {
    ///         tensor.values[0] = f32::NAN;
    ///     }
    ///     tensor
    /// });
    /// net.load(broken.collect::<Vec<_>>())?;
    /// let found = net.first_not_finite(x, Mode::train(0, 0));
    /// assert_eq!(found.as_deref(), Some("stage2.block1.conv2"));
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn first_not_finite(&self, x: Tensor<4>, mode: Mode) -> Option<String> {
        walk(self, x, mode, &mut Finite).err()
    }
}

/// Ends the pass with the path of the first layer whose output is not finite.
struct Finite;

impl Visitor for Finite {
    type End = String;

    fn output<const D: usize>(&mut self, x: &Tensor<D>, path: impl FnOnce() -> String) -> Result<(), String> {
        if elements(x).iter().all(|value| value.is_finite()) { Ok(()) } else { Err(path()) }
    }
}
