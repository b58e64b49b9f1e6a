//! From the bytes of a storage to tensors.

use super::torch::View;
use crate::element::ByteOrder;
use crate::error::Error;
use crate::mapping::Source;
use crate::tensor::{Data, Tensor, element_count};

/// Limit of the bytes of tensors that a byte of the file may ask for. Widening a byte to f32 takes four; the rest is
/// for tensors that share a storage. A stride of zero could ask for anything.
const EXPANSION: usize = 16;

/// Makes tensors of views, within what a file of this length can reasonably hold.
pub(super) struct Gatherer<'a> {
    source: Source<'a>,
    order: ByteOrder,
    limit: usize,
    left: usize,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(source: Source<'a>, order: ByteOrder) -> Self {
        let available = residual_files::available_memory().and_then(|bytes| usize::try_from(bytes).ok());
        let limit = source.bytes.len().saturating_mul(EXPANSION).min(available.unwrap_or(usize::MAX));
        Self { source, order, limit, left: limit }
    }

    /// The elements of `view` in row-major order, from the bytes of its storage.
    pub(super) fn tensor(&mut self, name: &str, view: &View<'_>, storage: &[u8]) -> Result<Tensor, Error> {
        let bad = |reason: String| Error::BadTensor { name: name.to_owned(), reason };
        let size = view.storage.element.size();
        let held = storage.len() / size;
        let extent = view.extent().filter(|&extent| extent <= held).ok_or_else(|| {
            bad(format!("it reaches past the {held} elements of storage {}", view.storage.key))
        })?;
        let count = element_count(&view.shape).unwrap_or(usize::MAX);
        // What lies in a mapped file takes no memory; what is gathered is held twice meanwhile.
        let each = match (view.is_contiguous(), self.source.holds(view.storage.element, self.order)) {
            (true, true) => 0,
            (true, false) => 4,
            (false, _) => 4 + size,
        };
        let bytes = count.saturating_mul(each);
        self.left = self.left.checked_sub(bytes).ok_or(Error::TooLarge {
            what: "the size in bytes of all tensors together",
            limit: self.limit,
        })?;
        let data = if count == 0 {
            Data::Owned(Vec::new())
        } else if view.is_contiguous() {
            let part = &storage[view.offset * size..extent * size];
            self.source.elements(part, view.storage.element, self.order)
        } else {
            Data::Owned(self.gather(view, count, storage))
        };
        Tensor::stored(view.shape.clone(), data, view.storage.element)
    }

    fn gather(&self, view: &View<'_>, count: usize, storage: &[u8]) -> Vec<f32> {
        let size = view.storage.element.size();
        let mut packed = Vec::with_capacity(count * size);
        let mut index = vec![0; view.shape.len()];
        let mut at = view.offset;
        for _ in 0..count {
            packed.extend_from_slice(&storage[at * size..][..size]);
            // The next index in row-major order: the innermost dimension that does not wrap around.
            for dimension in (0..index.len()).rev() {
                index[dimension] += 1;
                at += view.strides[dimension];
                if index[dimension] < view.shape[dimension] {
                    break;
                }
                at -= view.strides[dimension] * view.shape[dimension];
                index[dimension] = 0;
            }
        }
        view.storage.element.decode(&packed, self.order)
    }
}
