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
/// The kernels take slices of any alignment; on this one no vector crosses a cache line. Where the system has
/// pages of 2 MiB, a buffer of that size or more lies in such pages: they are taken at the first write, by the
/// thread that writes, and a kernel that goes through many places at once (the positions of Winograd's weights)
/// finds their addresses in the processor's table.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Backing,
    len: usize,
}

#[derive(Debug)]
enum Backing {
    Lines(Vec<Line>),
    #[cfg(target_os = "linux")]
    Pages(Pages),
}

impl Default for Backing {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

impl Backing {
    fn zeroed(lines: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(pages) = Pages::zeroed(lines.saturating_mul(size_of::<Line>())) {
            return Self::Pages(pages);
        }
        Self::Lines(vec![Line([0.0; BLOCK]); lines])
    }

    /// Floats that fit.
    fn floats(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len() * BLOCK,
            #[cfg(target_os = "linux")]
            Self::Pages(pages) => pages.bytes / size_of::<f32>(),
        }
    }

    fn start(&self) -> *const f32 {
        match self {
            Self::Lines(lines) => lines.as_ptr().cast(),
            #[cfg(target_os = "linux")]
            Self::Pages(pages) => pages.map[pages.start..].as_ptr().cast(),
        }
    }

    fn start_mut(&mut self) -> *mut f32 {
        match self {
            Self::Lines(lines) => lines.as_mut_ptr().cast(),
            #[cfg(target_os = "linux")]
            Self::Pages(pages) => pages.map[pages.start..].as_mut_ptr().cast(),
        }
    }
}

/// Zeros in memory that is mapped for them alone.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Pages {
    map: memmap2::MmapMut,
    /// The first byte, at the beginning of a large page.
    start: usize,
    /// The bytes from there on that were asked for.
    bytes: usize,
}

#[cfg(target_os = "linux")]
impl Pages {
    /// Bytes of a large page.
    const LARGE: usize = 2 << 20;

    /// `None` where large pages make no sense, or there is no such memory.
    fn zeroed(bytes: usize) -> Option<Self> {
        if bytes < Self::LARGE {
            return None;
        }
        // What lies before the first large page is never touched, so it costs addresses and no memory.
        let map = memmap2::MmapMut::map_anon(bytes.checked_add(Self::LARGE)?).ok()?;
        let start = map.as_ptr().align_offset(Self::LARGE);
        if start >= Self::LARGE {
            return None;
        }
        // The end of the buffer stays in small pages. A system without large ones refuses, and does no harm.
        let _ = map.advise_range(memmap2::Advice::HugePage, start, bytes / Self::LARGE * Self::LARGE);
        Some(Self { map, start, bytes })
    }
}

impl Buffer {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { memory: Backing::zeroed(len.div_ceil(BLOCK)), len }
    }

    /// Floats that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.memory.floats()
    }

    /// Memory cut to `len` floats of any values; `None` where they do not fit.
    pub(crate) fn cut(self, len: usize) -> Option<Self> {
        (len <= self.capacity()).then_some(Self { len, ..self })
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: there are lines, or bytes of a map, for `len` floats from there on; both are initialised (a map
        // is of zeros), a `Line` is BLOCK floats with no padding and a large page begins at a multiple of 4.
        unsafe { std::slice::from_raw_parts(self.memory.start(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as for `deref`; the memory is borrowed mutably with `self`.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start_mut(), self.len) }
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

    /// Part of the slice.
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
        // The last are in large pages where there are such.
        for len in [0, 1, 15, 16, 17, 1000, 1 << 19, (1 << 20) + 3] {
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
        let mut large = Buffer::zeroed((1 << 20) + 3);
        let last = large.len() - 1;
        (large[0], large[last]) = (3.0, 4.0);
        let copy = large.clone();
        drop(large);
        assert_eq!((copy[0], copy[1], copy[last]), (3.0, 0.0, 4.0));
        assert_eq!(Buffer::default().len(), 0);
    }

    #[test]
    #[should_panic(expected = "range.end")]
    fn a_part_past_the_end_is_refused() {
        let mut slice = [0.0; 4];
        // SAFETY: this is the only part.
        unsafe { Parts::new(&mut slice).part(2..5) };
    }
}
