//! What was chosen, and why.

use serde::Serialize;

use crate::options::{Settings, WeightBits};
use crate::trial::Change;

/// Report of a quantisation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Images that were observed.
    pub images: usize,
    /// Images that decided.
    pub held_out: usize,
    /// Width of the weights.
    pub weight_bits: WeightBits,
    /// Choices that were made.
    pub settings: Settings,
    /// All that was tried, with every convolution in 8 bits.
    pub tried: Vec<Tried>,
    /// The convolutions, in their order.
    pub layers: Vec<LayerReport>,
    /// Change of the logits of the images that decided.
    pub change: Change,
}

/// Settings that were tried.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct Tried {
    /// The settings.
    pub settings: Settings,
    /// Change of the logits ([`Change::error`]).
    pub error: f64,
}

/// Convolution of a report.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Path of the convolution.
    pub path: String,
    /// True where it computes in 8 bits.
    pub quantised: bool,
    /// Change of the logits by this convolution alone ([`Change::error`]).
    pub error: f64,
    /// Reason to stay in float32.
    pub reason: Option<String>,
}

impl Report {
    /// Convolutions that stay in float32.
    pub fn in_float32(&self) -> impl Iterator<Item = &LayerReport> {
        self.layers.iter().filter(|layer| !layer.quantised)
    }
}
