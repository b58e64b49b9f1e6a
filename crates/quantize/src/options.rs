//! Options of quantising, and the choices between which an error of the logits decides.

use std::fmt;

use serde::Serialize;

/// Options of [`quantise`](crate::quantise()).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Width of the weights.
    pub weight_bits: WeightBits,
    /// The most that one convolution alone may change the logits, as a fraction of their variance
    /// ([`Change::error`](crate::Change)); one that changes them more stays in float32.
    pub most_error: f64,
    /// Number of images that a convolution alone is judged with.
    pub sensitivity_images: usize,
    /// Number of threads; `None` for as many as the machine runs at once.
    pub threads: Option<usize>,
    /// Images at a time.
    pub batch: usize,
}

impl Options {
    /// Changes fields.
    ///
    /// ```
    /// use residual_quantize::{Options, WeightBits};
    /// let options = Options::default().with(|options| options.weight_bits = WeightBits::Seven);
    /// assert_eq!(options.weight_bits.largest(), 63);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            weight_bits: WeightBits::Eight,
            most_error: 0.01,
            sensitivity_images: 32,
            threads: None,
            batch: 16,
        }
    }
}

/// Width of integer weights with their sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum WeightBits {
    /// From -63 to 63: two products with a byte add up within 16 bits, which AVX2 multiplies fastest.
    #[serde(rename = "7")]
    Seven,
    /// From -127 to 127.
    #[serde(rename = "8")]
    Eight,
}

impl WeightBits {
    /// The greatest weight.
    pub fn largest(self) -> i8 {
        match self {
            Self::Seven => 63,
            Self::Eight => 127,
        }
    }
}

impl fmt::Display for WeightBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Seven { "7" } else { "8" })
    }
}

/// Range of a map that its bytes reach over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RangeMethod {
    /// From the least to the greatest value seen.
    MinMax,
    /// All but one value in 10,000.
    Percentile9999,
    /// All but one value in 1,000.
    Percentile999,
    /// Least mean squared error.
    MeanSquaredError,
    /// Least Kullback-Leibler divergence of the values' distribution (Migacz 2017).
    Entropy,
}

impl RangeMethod {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::MinMax, Self::Percentile9999, Self::Percentile999, Self::MeanSquaredError, Self::Entropy];
}

impl fmt::Display for RangeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MinMax => "min and max",
            Self::Percentile9999 => "percentile 99.99",
            Self::Percentile999 => "percentile 99.9",
            Self::MeanSquaredError => "mean squared error",
            Self::Entropy => "entropy",
        })
    }
}

/// Choices of a quantisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// Ranges of the maps.
    pub range: RangeMethod,
    /// Weights scaled by the least squared error of a filter, and not by its greatest weight.
    pub fitted_weights: bool,
    /// Biases corrected by the mean error of the outputs (Nagel et al. 2019, section 4.2).
    pub corrected_biases: bool,
    /// Channels between two convolutions brought to one range (Nagel et al. 2019, section 4.1).
    pub equalised: bool,
}
