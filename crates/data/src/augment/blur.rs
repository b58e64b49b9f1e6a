//! Random Gaussian blur.

use serde::{Deserialize, Serialize};

use super::draw::{Draw, check_probability, check_range};
use crate::{Error, Operation};

/// Gaussian blur of a random standard deviation, as torchvision's `GaussianBlur`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GaussianBlur {
    /// Taps of the kernel in both directions, an odd number. Default 5; torchvision has none.
    pub kernel_size: usize,
    /// Least and greatest standard deviation, in pixels. Default 0.1 to 2.
    pub sigma: [f64; 2],
    /// Probability. Default 1.
    pub probability: f64,
}

impl Default for GaussianBlur {
    fn default() -> Self {
        Self { kernel_size: 5, sigma: [0.1, 2.0], probability: 1.0 }
    }
}

impl GaussianBlur {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, GaussianBlur};
    /// let blur = GaussianBlur::default().with(|blur| blur.kernel_size = 23);
    /// assert!(Augment::GaussianBlur(blur).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.kernel_size.is_multiple_of(2) || self.kernel_size > 255 {
            return Err(Error::InvalidOption {
                option: "gaussian_blur.kernel_size",
                found: self.kernel_size.to_string(),
                expected: "an odd number up to 255",
            });
        }
        check_range("gaussian_blur.sigma", self.sigma, 1e3, "0 < least <= greatest")?;
        check_probability("gaussian_blur.probability", self.probability)
    }

    pub(super) fn operations(&self, draw: &mut Draw<'_>) -> Vec<Operation> {
        if self.probability < 1.0 && !draw.random.chance(self.probability) {
            return Vec::new();
        }
        let sigma = draw.between(self.sigma);
        let kernel_size = [self.kernel_size; 2];
        vec![Operation::GaussianBlur { kernel_size, sigma: [sigma; 2] }]
    }
}
