//! Memory: aligned buffers, and slices that several threads fill at once.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

use crate::simd::BLOCK;

/// A channel block, at the alignment of a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; BLOCK]);

/// Floats that start on a cache line, as a slice.
///
/// The kernels take slices of any alignment; on this one no vector crosses a cache line.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0.0; BLOCK]); len.div_ceil(BLOCK)], len }
    }

    /// Floats that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.lines.len() * BLOCK
    }

    /// The same memory as `len` floats of any values; `None` where they do not fit.
    pub(crate) fn cut(self, len: usize) -> Option<Self> {
        (len <= self.capacity()).then_some(Self { len, ..self })
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is BLOCK floats with no padding, and there are lines for `len` floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as for `deref`; the lines are borrowed mutably with `self`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// A mutable slice, parts of which several threads write at the same time.
///
/// The parts that a task writes are rarely one range: a band of image rows lies in every channel block.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: all access goes through unsafe methods, whose callers keep the parts apart.
unsafe impl Sync for Parts<'_> {}
// SAFETY: as above.
unsafe impl Send for Parts<'_> {}

impl<'a> Parts<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The pointer to element `at`, which may be one past the last.
    pub(crate) fn pointer(&self, at: usize) -> *mut f32 {
        assert!(at <= self.len);
        // SAFETY: just checked to lie in the slice or at its end.
        unsafe { self.start.add(at) }
    }

    /// One part.
    ///
    /// # Safety
    /// While the part lives, no other part that overlaps it is made or written.
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range lies in the slice, and the caller keeps overlapping parts away.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_zero_aligned_and_exactly_as_long() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let buffer = Buffer::zeroed(len);
            assert_eq!(&buffer[..], &vec![0.0; len][..]);
            assert_eq!(buffer.as_ptr().addr() % 64, 0);
        }
    }

    #[test]
    fn a_buffer_can_be_written() {
        let mut buffer = Buffer::zeroed(40);
        buffer[39] = 2.0;
        assert_eq!(buffer.clone()[39], 2.0);
    }

    #[test]
    #[should_panic(expected = "range.end")]
    fn a_part_past_the_end_is_refused() {
        let mut slice = [0.0; 4];
        // SAFETY: this is the only part.
        unsafe { Parts::new(&mut slice).part(2..5) };
    }
}
