//! Where a new module's tensors come from.

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use residual_random::Key;

use crate::NamedTensor;

/// The device, the seed and the path of a module that is being built.
///
/// Values depend on `(seed, path, index)` alone: the same seed gives the same bits on any device and
/// for any number of threads, and a layer keeps its values when others are added. `init(&device)` of
/// every config means seed 0.
///
/// ```
/// use burn::tensor::Device;
/// use residual_nn::{BasicBlockConfig, Init};
/// let block = BasicBlockConfig::new(16).init(Init::new(7, &Device::flex()));
/// ```
#[derive(Clone, Debug)]
pub struct Init {
    device: Device,
    source: Source,
    path: String,
}

#[derive(Clone, Debug)]
enum Source {
    Seed(u64),
    /// Canonical path to tensor, checked against the specification beforehand.
    Tensors(Arc<HashMap<String, NamedTensor>>),
}

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Zero.
    Zeros,
    /// One.
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform between minus and plus this bound.
    Uniform(f64),
}

impl From<&Device> for Init {
    fn from(device: &Device) -> Self {
        Self::new(0, device)
    }
}

impl Init {
    /// Values from a seed.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { device: device.clone(), source: Source::Seed(seed), path: String::new() }
    }

    /// Values from tensors by path. They must have been checked for completeness.
    pub(crate) fn from_tensors(tensors: HashMap<String, NamedTensor>, device: &Device) -> Self {
        Self { device: device.clone(), source: Source::Tensors(Arc::new(tensors)), path: String::new() }
    }

    /// Initialiser one level deeper, at `path.name`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { path: self.join(&name.to_string()), ..self.clone() }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The path so far; empty at the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A trainable parameter called `name`.
    pub fn parameter<const D: usize>(&self, name: &str, shape: [usize; D], fill: Fill) -> Param<Tensor<D>> {
        Param::from_tensor(self.tensor(name, shape, fill))
    }

    /// A tensor called `name`.
    pub(crate) fn tensor<const D: usize>(&self, name: &str, shape: [usize; D], fill: Fill) -> Tensor<D> {
        let path = self.join(name);
        let values = match &self.source {
            Source::Seed(seed) => fill.values(Key::named(&path).child(*seed), shape.iter().product()),
            Source::Tensors(tensors) => tensors[&path].values.clone(),
        };
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

impl Fill {
    /// He initialisation (He et al. 2015b) of a convolution as torchvision has it: normal with standard
    /// deviation `sqrt(2 / fan_out)`, `fan_out = out_channels k^2`, which keeps the gradient's variance
    /// from layer to layer.
    pub fn he(out_channels: usize, kernel: usize) -> Self {
        Self::Normal((2.0 / (out_channels * kernel * kernel) as f64).sqrt())
    }

    /// PyTorch's linear layer: uniform within `1 / sqrt(inputs)`, weight and bias.
    pub fn linear(inputs: usize) -> Self {
        Self::Uniform(1.0 / (inputs as f64).sqrt())
    }

    /// `n` values under a key.
    fn values(self, key: Key, n: usize) -> Vec<f32> {
        let draw = |i: usize| key.uniform(i as u64);
        match self {
            Self::Zeros => vec![0.0; n],
            Self::Ones => vec![1.0; n],
            Self::Uniform(bound) => (0..n).map(|i| ((2.0 * draw(i) - 1.0) * bound) as f32).collect(),
            Self::Normal(deviation) => {
                // Box-Muller: draws 2i and 2i + 1 give values 2i and 2i + 1.
                let pair = |i: usize| {
                    let radius = (-2.0 * (1.0 - draw(2 * i)).ln()).sqrt() * deviation;
                    let (sin, cos) = (std::f64::consts::TAU * draw(2 * i + 1)).sin_cos();
                    [(radius * cos) as f32, (radius * sin) as f32]
                };
                (0..n.div_ceil(2)).flat_map(pair).take(n).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_the_deviation() {
        let values = Fill::Normal(0.5).values(Key::named("normal"), 50_001);
        assert_eq!(values.len(), 50_001);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
        let fourth = values.iter().map(|&v| f64::from(v).powi(4)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 0.25).abs() < 0.005, "{variance}");
        assert!((fourth / variance.powi(2) - 3.0).abs() < 0.15, "{fourth}");
    }

    #[test]
    fn values_depend_on_seed_and_path_only() {
        let device = Device::flex();
        let read = |init: Init| {
            init.at("conv1")
                .tensor("weight", [2, 3], Fill::Normal(1.0))
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
        };
        assert_eq!(read(Init::new(1, &device)), read(Init::new(1, &device)));
        assert_ne!(read(Init::new(1, &device)), read(Init::new(2, &device)));
        assert_ne!(read(Init::new(1, &device)), read(Init::new(1, &device).at("stem")));
    }

    #[test]
    fn he_uses_the_outputs() {
        let Fill::Normal(deviation) = Fill::he(64, 3) else { panic!("not normal") };
        assert!((deviation - (2.0f64 / 576.0).sqrt()).abs() < 1e-12);
    }
}
