//! Inputs and comparisons of the tests against formulas written out.

use burn::tensor::{Device, Tensor, TensorData};
use residual_nn::NamedTensor;
use residual_testkit::formula;

/// Values of a tensor, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    NamedTensor::read("", tensor).values
}

/// Input of the golden references, of any shape.
pub(crate) fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(formula::input(&shape), shape), device)
}

/// Asserts that every value is within `tolerance` of its formula.
pub(crate) fn assert_close(found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (i, (&found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(found) - wanted).abs() < tolerance, "{i}: {found}, {wanted}");
    }
}
