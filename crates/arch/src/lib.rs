//! Residual networks as data: specifications, families, shape checks, tensor names. No tensors, no
//! framework.

mod preprocess;

pub use preprocess::{IMAGENET_MEAN, IMAGENET_STD, Preprocess, Resize};
