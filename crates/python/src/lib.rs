//! Residual networks from Python: the extension module `residual_nets._native`.
//!
//! The package `residual_nets` (`python/`) is what Python programs import: it turns paths, bytes, arrays and pictures
//! into what this module takes, and its answers into objects. Here is what computes: [`model`] and [`classifier`] over
//! `residual::predict`, [`training`] over `residual::train`, [`inspection`] over specifications and studies. The
//! interpreter's lock is released while anything computes.

#![deny(missing_docs)]

mod arrays;
mod classifier;
mod error;
mod inspection;
mod items;
mod json;
mod model;
mod observer;
mod recipe;
mod signals;
mod training;
mod training_images;

/// The extension module `residual_nets._native`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::classifier::Classifier;
    #[pymodule_export]
    use crate::inspection::{gradflow, specification, summary};
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::training::{finetune, resume, train};
}
