//! The same computation with other rounding errors, or a little beside the kinks of its ReLUs.

use crate::formula;

/// Rounding of a computation.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Rounding {
    /// True where forward convolutions are plain, without Winograd's transforms.
    pub plain: bool,
    /// Number of the noise on the input, which is of the size of rounding errors: none for 0.
    pub nudge: u32,
    /// Biases that are moved: none of them in the computation itself.
    pub moved: Vec<Moved>,
}

/// Element of a bias that is moved, so that a value next to zero before a ReLU is on one side of it for certain.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// Canonical path of the bias.
    pub path: String,
    /// Channel of the element.
    pub channel: usize,
    /// Number that is added to it.
    pub by: f32,
}

/// Relative noise on the input: four units in the last place.
const NOISE: f64 = 4.0 * f32::EPSILON as f64;

impl Rounding {
    /// The formula's input of `shape`, each value times `1 + u NOISE` with a `u` of its own in `[-1, 1)`. A factor for all
    /// values would not do: a batch norm takes it out again.
    pub fn input(&self, shape: &[usize]) -> Vec<f32> {
        let values = formula::input(shape);
        if self.nudge == 0 {
            return values;
        }
        let name = format!("nudge {}", self.nudge);
        let noise = formula::uniform(&name, values.len());
        let nudged = |(value, u): (f32, f64)| (f64::from(value) * (1.0 + NOISE * u)) as f32;
        values.into_iter().zip(noise).map(nudged).collect()
    }
}
