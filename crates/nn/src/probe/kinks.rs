//! Values next to the kink of a ReLU.

use std::convert::Infallible;

use burn::tensor::Tensor;

use super::walk::{Visitor, elements, walk};
use crate::{Mode, ResNet};

/// Value next to zero that a ReLU gets: its gradient depends on the side of zero that rounding puts it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Kink {
    /// Path of the norm before the ReLU, such as `stage2.block0.norm2`, whose bias moves the value.
    pub norm: String,
    /// Channel of the value.
    pub channel: usize,
    /// The value.
    pub value: f32,
    /// Root mean square of the map's values.
    pub size: f32,
    /// Number of the channel's values in the batch, `n h w`.
    pub places: usize,
}

impl ResNet {
    /// Values that ReLUs get and that are within `share` of the root mean square of their maps from zero, in the
    /// network's order; those of ReLUs behind no norm are left out. Runs the layers' stock operations one by one, and
    /// leaves the running statistics alone.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let net = SmallResNetConfig::new(10).init(&Device::flex())?.net;
    /// let x = Tensor::ones([1, 3, 8, 8], &Device::flex());
    /// let kinks = net.kinks(x, Mode::train(0, 0), 1e-4);
    /// assert!(kinks.iter().all(|kink| kink.value.abs() <= 1e-4 * kink.size));
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn kinks(&self, x: Tensor<4>, mode: Mode, share: f32) -> Vec<Kink> {
        let mut near = Near { share, kinks: Vec::new() };
        let Ok(()) = walk(self, x, mode, &mut near);
        near.kinks
    }
}

/// Collects values within a share of their map's size.
struct Near {
    share: f32,
    kinks: Vec<Kink>,
}

impl Visitor for Near {
    type End = Infallible;

    fn output<const D: usize>(
        &mut self,
        _: &Tensor<D>,
        _: impl FnOnce() -> String,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn before_relu(&mut self, x: &Tensor<4>, norm: Option<&str>) {
        let Some(norm) = norm else { return };
        let ([batch, channels, height, width], values) = (x.dims(), elements(x));
        let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
        let size = (squares / values.len().max(1) as f64).sqrt() as f32;
        let (plane, places) = (height * width, batch * height * width);
        let is_near = |&(_, value): &(usize, &f32)| value.abs() <= self.share * size;
        let kinks = values.iter().enumerate().filter(is_near).map(|(at, &value)| Kink {
            norm: norm.to_owned(),
            channel: at / plane % channels,
            value,
            size,
            places,
        });
        self.kinks.extend(kinks);
    }
}
