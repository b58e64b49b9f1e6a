//! Time embedding of diffusion models.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::{Activation, Init, Linear, Mode};

/// A vector for every time (Ho et al. 2020, appendix B): sinusoids of `t` at geometrically spaced
/// frequencies (Vaswani et al. 2017, section 3.5), then two linear layers with SiLU between.
#[derive(Module, Debug)]
pub struct TimeEmbedding {
    /// Layer from the sinusoids.
    pub first: Linear,
    /// Layer to the embedding.
    pub second: Linear,
}

impl TimeEmbedding {
    /// An embedding of `features` numbers, an even one.
    pub fn new(features: usize, init: impl Into<Init>) -> Self {
        let init = init.into();
        let features = features.next_multiple_of(2);
        Self {
            first: Linear::new(features, features, init.at("first")),
            second: Linear::new(features, features, init.at("second")),
        }
    }

    /// # Shapes
    /// One time per sample (any scale; 0 to 1000 as the papers have it) to `[batch, features]`.
    pub fn forward(&self, times: &[f32], mode: Mode) -> Tensor<2> {
        let weight = self.first.weight.val();
        let [_, features] = weight.dims();
        let half = features / 2;
        let angle = |t: f32, i: usize| f64::from(t) * 10_000f64.powf(-(i as f64) / half as f64);
        let row = |&t: &f32| {
            let angles = (0..half).map(move |i| angle(t, i));
            angles.clone().map(f64::sin).chain(angles.map(f64::cos)).map(|v| v as f32)
        };
        let values: Vec<f32> = times.iter().flat_map(row).collect();
        let data = TensorData::new(values, [times.len(), features]);
        let sinusoids = Tensor::<2>::from_data(data, &weight.device());
        self.second.forward(Activation::Silu.forward(self.first.forward(sinusoids, mode)), mode)
    }
}
