//! The same computation with other rounding errors.

use crate::formula;

/// Rounding of a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// True where forward convolutions are plain, without Winograd's transforms.
    pub plain: bool,
    /// Number of the noise on the input, which is of the size of rounding errors: none for 0.
    pub nudge: u32,
}

/// Number of times that a gradient is computed again. The worst of the golden files is timm_resnet26, whose last map is
/// 3x3 of one image: it has values of 6e-7, 3e-6, 2e-5 and 6e-5 before a ReLU beside errors of 2e-5 (root mean square)
/// in PyTorch's own float32. On the fused path all four change sides: their contributions, from PyTorch in float64, are
/// what the gradients differ by, but for 6e-4 of 0.24 (in norms over all parameters). The third noise has none of them.
const NUDGES: u32 = 32;

/// Relative noise on the input: four units in the last place.
const NOISE: f64 = 4.0 * f32::EPSILON as f64;

impl Rounding {
    /// The rounding of training.
    pub const USUAL: Self = Self { plain: false, nudge: 0 };

    /// Others; with plain convolutions, whose errors are smaller, where they are not `always_plain`.
    pub(crate) fn others(always_plain: bool) -> impl Iterator<Item = Self> {
        (u32::from(always_plain)..=NUDGES).map(move |nudge| Self { plain: !always_plain, nudge })
    }

    /// The formula's input of `shape`, each value times `1 + u NOISE` with a `u` of its own in `[-1, 1)`. A factor for all
    /// values would not do: a batch norm takes it out again.
    pub fn input(self, shape: &[usize]) -> Vec<f32> {
        let values = formula::input(shape);
        if self.nudge == 0 {
            return values;
        }
        let name = format!("nudge {}", self.nudge);
        let noise = formula::uniform(&name, values.len());
        values
            .into_iter()
            .zip(noise)
            .map(|(value, u)| (f64::from(value) * (1.0 + NOISE * u)) as f32)
            .collect()
    }
}
