//! Policies: random operations of random magnitudes, from the tables of `torchvision.transforms.v2`.
//!
//! They are the ones that torchvision has for PIL images. A network of other than three channels goes without the change
//! of saturation, which leaves such images as they are.

mod aug_mix;
mod auto_augment;
mod change;
mod learnt;
mod random;
mod space;

pub use aug_mix::AugMix;
pub use auto_augment::{AutoAugment, AutoAugmentPolicy};
pub use random::{RandAugment, TrivialAugmentWide};
