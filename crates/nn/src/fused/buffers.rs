//! The memory of maps, used again from step to step.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape, TensorData};

/// Floats below which memory is cheap to take anew.
const SMALL: usize = 4096;

/// Floats of a cache line.
const LINE: usize = 16;

/// Floats of which the first begins a cache line, so that no vector lies on two.
///
/// What Burn allocates begins wherever the system says; here the first few floats are left out.
#[derive(Debug, Default)]
pub(crate) struct Floats {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl Floats {
    fn zeroed(len: usize) -> Self {
        if len < SMALL {
            return Self { memory: vec![0.0; len], start: 0, len };
        }
        let memory = vec![0.0; len + LINE - 1];
        let start = memory.as_ptr().align_offset(LINE * size_of::<f32>());
        // Where the system does not say, any float will do.
        Self { start: start.min(LINE - 1), memory, len }
    }

    /// A tensor's memory, if this is its last owner; else the tensor.
    fn of(tensor: FlexTensor) -> Result<Self, FlexTensor> {
        let (layout, dtype, memory) = (tensor.layout().clone(), tensor.dtype(), tensor.data_arc());
        drop(tensor);
        let Some((start, end)) = layout.contiguous_offsets().filter(|_| dtype == DType::F32) else {
            return Err(FlexTensor::from_arc(memory, layout, dtype));
        };
        match Arc::try_unwrap(memory).map(Bytes::try_into_vec) {
            Ok(Ok(memory)) => Ok(Self { memory, start, len: end - start }),
            Ok(Err(bytes)) => Err(FlexTensor::new(bytes, layout, dtype)),
            Err(memory) => Err(FlexTensor::from_arc(memory, layout, dtype)),
        }
    }

    /// Contiguous tensor of the floats.
    pub(super) fn into_tensor(self, shape: impl Into<Vec<usize>>) -> FlexTensor {
        let shape = Shape::from(shape.into());
        let contiguous = Layout::contiguous(shape.clone());
        let layout = Layout::new(shape, contiguous.strides().to_vec(), self.start);
        FlexTensor::new(Bytes::from_elems(self.memory), layout, DType::F32)
    }

    /// Worth of keeping: true of floats of some size that were made here.
    fn is_kept(&self) -> bool {
        self.len >= SMALL && self.as_ptr().addr().is_multiple_of(LINE * size_of::<f32>())
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

/// Maps that nobody holds any more, by their length. Memory from the system is zeroed page by page when it is
/// first touched, which costs as much as a pass over it.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<HashMap<usize, Vec<Floats>>>);

impl Buffers {
    /// `len` floats of any values.
    pub(super) fn take(&self, len: usize) -> Floats {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| Floats::zeroed(len))
    }

    /// Takes a tensor back if this was its last owner.
    pub(super) fn give(&self, tensor: FlexTensor) {
        Floats::of(tensor).into_iter().for_each(|floats| self.give_floats(floats));
    }

    /// Takes memory back; small pieces are the allocator's.
    pub(super) fn give_floats(&self, floats: Floats) {
        if floats.is_kept() {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            free.entry(floats.len).or_default().push(floats);
        }
    }

    /// The values of a contiguous tensor, to be written over: its memory if this was its last owner, else a copy.
    pub(super) fn own(&self, tensor: FlexTensor) -> Floats {
        Floats::of(tensor).unwrap_or_else(|tensor| {
            let mut copy = self.take(values(&tensor).len());
            copy.copy_from_slice(values(&tensor));
            copy
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_used_again() {
        let buffers = Buffers::default();
        let mut floats = buffers.take(2 * SMALL + 3);
        assert_eq!((floats.len(), floats.as_ptr().addr() % 64), (2 * SMALL + 3, 0));
        floats[7] = 5.0;
        let at = floats.as_ptr();
        let tensor = floats.into_tensor([2 * SMALL + 3]);
        assert_eq!((values(&tensor).as_ptr(), values(&tensor)[7]), (at, 5.0));
        let shared = tensor.clone();
        let mut copy = buffers.own(shared);
        copy[7] = 6.0;
        assert_eq!(values(&tensor)[7], 5.0);
        buffers.give(tensor);
        assert_eq!(buffers.take(2 * SMALL + 3).as_ptr(), at);
        assert_eq!(buffers.own(tensor_of(3)).to_vec(), [1.0; 3]);
    }

    fn tensor_of(len: usize) -> FlexTensor {
        tensor(vec![1.0; len], [len])
    }
}
