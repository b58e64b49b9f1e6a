//! The same computation with other rounding errors, or a little beside the kinks of its ReLUs.

/// Rounding of a computation.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Rounding {
    /// True where forward convolutions are plain, without Winograd's transforms.
    pub plain: bool,
    /// Biases that are moved: none of them in the computation itself.
    pub moved: Vec<Moved>,
}

/// Element of a bias that is moved, so that a value next to zero before a ReLU is on one side of it for certain.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// Canonical path of the bias.
    pub path: String,
    /// Its element.
    pub channel: usize,
    /// What is added to it.
    pub by: f32,
}
