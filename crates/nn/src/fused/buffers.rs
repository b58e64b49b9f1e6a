//! The memory of maps, used again from step to step.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

/// Floats below which memory is cheap to take anew.
const SMALL: usize = 4096;

/// Maps that nobody holds any more, by their length. Memory from the system is zeroed page by page when it is
/// first touched, which costs as much as a pass over it.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<HashMap<usize, Vec<Vec<f32>>>>);

impl Buffers {
    /// `len` floats of any values.
    pub(super) fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| vec![0.0; len])
    }

    /// Takes a tensor back if this was its last owner.
    pub(super) fn give(&self, tensor: FlexTensor) {
        if !tensor.is_unique() {
            return;
        }
        if let Ok(values) = tensor.into_data().try_into_vec::<f32>() {
            self.give_values(values);
        }
    }

    /// Takes memory back; small pieces are the allocator's.
    pub(super) fn give_values(&self, values: Vec<f32>) {
        if values.len() < SMALL {
            return;
        }
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.entry(values.len()).or_default().push(values);
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A contiguous tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// The values of a contiguous tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| panic!("{tensor:?} is not made of contiguous f32"))
}

/// The tensor with its elements one after the other.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}
