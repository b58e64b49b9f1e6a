//! Augmentation: random changes to training images, on their pixels, before normalisation.
//!
//! Each is a function of the image and a [`SampleKey`]; what it draws are the parameters of
//! [`Operation`](crate::Operation)s.

mod augmenter;
mod blur;
mod crop;
mod draw;
mod erasing;
mod fill;
mod jitter;
mod kind;
mod named;
mod policy;
mod rotation;
mod three;

pub use augmenter::Augmenter;
pub use blur::GaussianBlur;
pub use crop::RandomResizedCrop;
pub use draw::SampleKey;
pub use erasing::{EraseValue, Noise, RandomErasing};
pub use fill::{Fill, NamedFill, Spread};
pub use jitter::ColorJitter;
pub use kind::Augment;
pub use policy::{AugMix, AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide};
pub use rotation::{RandomAffine, RandomRotation};
pub use three::ThreeAugment;
