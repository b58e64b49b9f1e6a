//! Memory that passes need while they run.

use crate::Buffer;

/// Memory that a pass needs while it runs, kept from pass to pass: the caller owns it, and hands it to one pass
/// after the other. It grows to what the largest of them needs at once.
///
/// In debug builds all that is taken is NaN at first, so that a pass that reads what it has not written is
/// found out.
#[derive(Debug, Default)]
pub struct Scratch {
    free: Vec<Buffer>,
    /// Scratch memory of each thread, where a pass has threads that take memory of their own.
    workers: Vec<Scratch>,
}

impl Scratch {
    /// `len` floats of any values.
    ///
    /// The smallest piece that is large enough; else the largest piece makes room for a new one.
    pub(crate) fn take(&mut self, len: usize) -> Buffer {
        let fits = |(_, buffer): &(usize, &Buffer)| buffer.capacity() >= len;
        let size = |(_, buffer): &(usize, &Buffer)| buffer.capacity();
        let smallest = self.free.iter().enumerate().filter(fits).min_by_key(size);
        let best = smallest.or_else(|| self.free.iter().enumerate().max_by_key(size));
        let free = best.map(|(index, _)| index).map(|index| self.free.swap_remove(index));
        let mut buffer = free.and_then(|free| free.cut(len)).unwrap_or_else(|| Buffer::zeroed(len));
        if cfg!(debug_assertions) {
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// Takes memory back.
    pub(crate) fn give(&mut self, buffer: Buffer) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }

    /// Calls `body` with `len` floats of any values.
    pub fn with<T>(&mut self, len: usize, body: impl FnOnce(&mut [f32]) -> T) -> T {
        let mut buffer = self.take(len);
        let value = body(&mut buffer);
        self.give(buffer);
        value
    }

    /// The threads' own, of which there may be fewer than threads.
    pub(crate) fn take_workers(&mut self) -> Vec<Self> {
        std::mem::take(&mut self.workers)
    }

    /// Takes them back.
    pub(crate) fn give_workers(&mut self, workers: Vec<Self>) {
        self.workers = workers;
    }

    /// Floats that it holds.
    pub fn floats(&self) -> usize {
        let workers = self.workers.iter().map(Self::floats);
        self.free.iter().map(Buffer::capacity).chain(workers).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_grows_to_the_largest_need() {
        let mut scratch = Scratch::default();
        let (small, large) = (scratch.take(16), scratch.take(64));
        assert_eq!((small.len(), large.len()), (16, 64));
        let at = large.as_ptr();
        scratch.give(small);
        scratch.give(large);
        assert_eq!(scratch.floats(), 80);
        let again = scratch.take(33);
        assert_eq!((again.len(), again.as_ptr()), (33, at));
        scratch.give(again);
        // What does not fit replaces the largest piece.
        let larger = scratch.take(100);
        scratch.give(larger);
        assert_eq!(scratch.floats(), 16 + 112);
    }
}
