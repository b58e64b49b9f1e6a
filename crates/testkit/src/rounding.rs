//! The same computation with other rounding errors.

use crate::formula;

/// Rounding of a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// True where forward convolutions are plain, without Winograd's transforms.
    pub plain: bool,
    /// Units in the last place of 1 by which the input is scaled.
    pub nudge: u32,
}

/// Number of times that a gradient is computed again. With noise of 3e-7 a layer, resnet18 of the golden files had the
/// reference's side of every ReLU in one of three computations, with 1e-7 in three of three. timm_resnet26, whose last
/// map is 3x3 of one image, has values of 6e-7, 2e-6 and 2e-5 before a ReLU beside errors of 2e-5 (root mean square) in
/// PyTorch's own float32, which had all on their side in three of eight.
const NUDGES: u32 = 32;

impl Rounding {
    /// The rounding of training.
    pub const USUAL: Self = Self { plain: false, nudge: 0 };

    /// Others; with plain convolutions, whose errors are smaller, where they are not `always_plain`.
    pub(crate) fn others(always_plain: bool) -> impl Iterator<Item = Self> {
        (u32::from(always_plain)..=NUDGES).map(move |nudge| Self { plain: !always_plain, nudge })
    }

    /// The formula's input of `shape`.
    pub fn input(self, shape: &[usize]) -> Vec<f32> {
        let scale = 1.0 + self.nudge as f32 * f32::EPSILON;
        formula::input(shape).into_iter().map(|value| value * scale).collect()
    }
}
