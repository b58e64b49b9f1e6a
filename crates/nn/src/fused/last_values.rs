//! Last reading of a tensor, after which its memory is free.

use burn::tensor::Tensor;

use super::buffers::{contiguous, values};
use super::context::FusedContext;
use super::graph::{constant, is_ours};

/// Calls `body` with the values of a tensor without autodiff, and keeps its memory in `context` for the next step,
/// where there is one.
pub(crate) fn with_last_values<const D: usize>(
    tensor: Tensor<D>,
    context: Option<&FusedContext>,
    body: impl FnOnce(&[f32]),
) {
    if !is_ours(&tensor) {
        // Every tensor of this crate is f32: the conversion is the identity.
        return body(&tensor.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default());
    }
    let tensor = contiguous(constant(tensor));
    body(values(&tensor));
    if let Some(context) = context {
        context.maps().give(tensor);
    }
}
