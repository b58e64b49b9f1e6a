//! Residual networks from Python: the extension module `residual_nets._native`.
//!
//! The package `residual_nets` (`python/`) is what Python programs import: it turns paths, bytes, arrays and pictures
//! into what this module takes, and its answers into objects. Here is what computes: `model` and `classifier` over
//! `residual::predict`, `training` over `residual::train`, `inspection` over specifications. The
//! interpreter's lock is released while anything computes.

#![deny(missing_docs)]

mod arrays;
mod classifier;
mod error;
#[cfg(feature = "train")]
mod gradients;
mod inspection;
mod items;
mod json;
mod model;
#[cfg(feature = "train")]
mod observer;
#[cfg(feature = "train")]
mod recipe;
mod signals;
#[cfg(feature = "train")]
mod training;
#[cfg(feature = "train")]
mod training_images;

/// The extension module `residual_nets._native`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::classifier::Classifier;
    #[cfg(feature = "train")]
    #[pymodule_export]
    use crate::gradients::gradflow;
    #[pymodule_export]
    use crate::inspection::{specification, summary};
    #[pymodule_export]
    use crate::model::Model;
    #[cfg(feature = "train")]
    #[pymodule_export]
    use crate::training::{finetune, resume, train};
}
