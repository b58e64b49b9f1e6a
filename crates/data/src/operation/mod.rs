//! Operations on pixels with fixed parameters, as Pillow computes them: what augmentations draw parameters for.
//!
//! On 8 bits every one has Pillow's bits, but for the Gaussian blur of torchvision, which is computed in floats and within
//! one level. `bench/peers/augment.py` makes the expected values.

mod affine;
mod blend;
mod box_blur;
mod erase;
mod gaussian;
mod hue;
mod kind;
mod mixture;
mod point;
mod sharpness;
mod warp;

pub use affine::{Affine, Sampling};
pub use erase::Erasure;
pub use kind::Operation;
pub use mixture::Chain;
