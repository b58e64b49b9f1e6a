//! A batch a few images at a time.
//!
//! Between two normalisations every image is on its own. A thread takes a few images through all passes that
//! stand there (normalise, convolve, both gradients, the sums for the next normalisation), and what one pass
//! writes the next reads from the cache.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::resources::Resources;
use super::shape::{BlockShape, wrong};
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsRef, Scratch};

/// Share of a core's level 2 cache, one in `SHARE`, that the widest map of a group takes. On two cores of a Zen 5 with
/// 1 MiB each, steps of `small` and `cifar_resnet20` at batch 128 take as long with a quarter to all of it, 1% and 5%
/// more with twice as much, 5% and 9% with four times.
const SHARE: usize = 2;

/// Least size of a group's widest map, in sizes of the weights: they are read for every group,
/// and the gradient with respect to them is written for every group. From 2 to 8 made no difference to `small` and
/// `cifar_resnet20`, from 1 to 4 none to `resnet18` and `resnet50`.
const OVER_WEIGHTS: usize = 2;

/// A batch cut into groups of equally many images. What is computed depends on the groups, and they do not
/// depend on the number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Groups {
    /// Images of a group.
    pub(super) images: usize,
    pub(super) count: usize,
}

impl Groups {
    /// Groups for a block on maps of layout `x`.
    pub(super) fn new(cpu: &Cpu, shape: &BlockShape, x: &Layout) -> Result<Self, Error> {
        let convs = shape.branch(x)?;
        let (mut widest, mut weights) = (x.image(), 0);
        for conv in &convs {
            let [height, width] = conv.output()?;
            let maps = Layout::blocked(conv.batch, conv.out_channels, height, width)?;
            widest = widest.max(maps.with_border(conv.kernel[0] / 2)?.image());
            weights = weights.max(conv.weights());
        }
        let at_hand = cpu.level2_bytes() / size_of::<f32>() / SHARE / widest;
        Ok(Self::dividing(x.batch(), at_hand.max((OVER_WEIGHTS * weights).div_ceil(widest))))
    }

    /// Groups of the most images below `most` that divide the batch; one group where that would make many more.
    fn dividing(batch: usize, most: usize) -> Self {
        let most = most.clamp(1, batch);
        let images = (most.div_ceil(2)..=most).rev().find(|&images| batch.is_multiple_of(images));
        let images = images.unwrap_or(batch);
        Self { images, count: batch / images }
    }

    /// Groups of `images` images.
    pub(super) fn of_images(images: usize, batch: usize) -> Result<Self, Error> {
        if images == 0 || !batch.is_multiple_of(images) {
            return Err(wrong(format!("{images} images at a time do not divide a batch of {batch}")));
        }
        Ok(Self { images, count: batch / images })
    }

    /// Calls `body` for every group: each on a thread of its own where there are enough groups, else one after
    /// the other on all threads.
    pub(super) fn each(
        &self,
        on: &mut Resources<'_>,
        body: impl Fn(&mut Resources<'_>, usize) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let threads = on.cpu.pool().threads();
        if !self.count.is_multiple_of(threads) && self.count < 4 * threads {
            return (0..self.count).try_for_each(|group| body(on, group));
        }
        let alone = on.cpu.alone()?;
        let workers: Vec<_> = on.scratch.workers(threads).into_iter().map(Mutex::new).collect();
        let failed = Mutex::new(None);
        on.cpu.pool().for_each(self.count, |group, worker| {
            let mut scratch = lock(&workers[worker]);
            if let Err(error) = body(&mut Resources { cpu: &alone, scratch: &mut scratch }, group) {
                lock(&failed).get_or_insert(error);
            }
        });
        let back =
            workers.into_iter().map(|worker| worker.into_inner().unwrap_or_else(PoisonError::into_inner));
        on.scratch.give_workers(back.collect());
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// Maps of a group of images, by the layout that every group has.
pub(super) fn part(maps: &[f32], of_group: Layout, group: usize) -> MapsRef<'_> {
    MapsRef::new(&maps[group * of_group.len()..][..of_group.len()], of_group)
}

/// Slices of the groups: memory cut into parts, of which the task of a group writes its own.
pub(super) struct GroupSlices<'a> {
    slice: Parts<'a>,
    len: usize,
    taken: Vec<AtomicBool>,
}

/// Slice of a group, taken until it is dropped.
pub(super) struct GroupSlice<'a> {
    part: &'a mut [f32],
    taken: &'a AtomicBool,
}

impl<'a> GroupSlices<'a> {
    /// Parts of `len` floats; the last may be shorter.
    pub(super) fn new(slice: &'a mut [f32], len: usize) -> Self {
        let len = len.max(1);
        let taken = (0..slice.len().div_ceil(len)).map(|_| AtomicBool::new(false)).collect();
        Self { slice: Parts::new(slice), len, taken }
    }

    /// The part of a group.
    ///
    /// # Panics
    /// If somebody has it, or there is none.
    pub(super) fn take(&self, group: usize) -> GroupSlice<'_> {
        let taken = &self.taken[group];
        assert!(!taken.swap(true, Ordering::Acquire), "the part of group {group} is in use");
        let start = group * self.len;
        // SAFETY: the parts do not overlap, and a flag keeps each from being taken twice at a time.
        let part = unsafe { self.slice.part(start..(start + self.len).min(self.slice.len())) };
        GroupSlice { part, taken }
    }
}

impl Drop for GroupSlice<'_> {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl Deref for GroupSlice<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.part
    }
}

impl DerefMut for GroupSlice<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.part
    }
}

/// Locks; what a panic left behind such a lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `body` with a part of a gradient for each group, and adds the parts up into `gradient`, in the order of
/// the groups. A single group fills the gradient itself.
pub(super) fn summed<T>(
    on: &mut Resources<'_>,
    groups: &Groups,
    gradient: &mut [f32],
    body: impl FnOnce(&mut Resources<'_>, &GroupSlices<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let len = gradient.len();
    if groups.count == 1 || len == 0 {
        return body(on, &GroupSlices::new(gradient, len));
    }
    let mut parts = on.scratch.take(groups.count * len);
    let value = body(on, &GroupSlices::new(&mut parts, len));
    add_up(on.cpu, &parts, gradient);
    on.scratch.give(parts);
    value
}

/// Floats of a task.
const CHUNK: usize = 8 << 10;

/// The sum of the parts, each as long as `sum`.
fn add_up(cpu: &Cpu, parts: &[f32], sum: &mut [f32]) {
    let len = sum.len();
    let chunks = GroupSlices::new(sum, CHUNK);
    cpu.pool().for_each(chunks.taken.len(), |chunk, _| {
        let sum = &mut *chunks.take(chunk);
        cpu.isa().run(Add { parts: &parts[chunk * CHUNK..], len, sum });
    });
}

struct Add<'a> {
    parts: &'a [f32],
    len: usize,
    sum: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    /// Plain Rust that becomes vectors.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let count = self.sum.len();
        for (at, part) in self.parts.chunks(self.len).enumerate() {
            let pairs = self.sum.iter_mut().zip(&part[..count]);
            if at == 0 {
                pairs.for_each(|(sum, &part)| *sum = part);
            } else {
                pairs.for_each(|(sum, &part)| *sum += part);
            }
        }
    }
}

impl Scratch {
    /// Scratch memory of each of `threads` threads, kept from loop to loop.
    fn workers(&mut self, threads: usize) -> Vec<Scratch> {
        let mut workers = self.take_workers();
        workers.resize_with(threads.max(workers.len()), Scratch::default);
        workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_divide_the_batch() {
        for (batch, most, images) in
            [(128, 4, 4), (128, 7, 4), (100, 4, 4), (100, 3, 2), (7, 3, 7), (5, 9, 5)]
        {
            assert_eq!(
                Groups::dividing(batch, most),
                Groups { images, count: batch / images },
                "{batch} {most}"
            );
        }
    }

    #[test]
    fn gradients_are_added_up_in_the_order_of_the_groups() {
        let cpu = Cpu::new(2).unwrap();
        let (groups, len) = (Groups { images: 1, count: 3 }, CHUNK + 5);
        let mut scratch = Scratch::default();
        let mut sum = vec![f32::NAN; len];
        summed(&mut Resources { cpu: &cpu, scratch: &mut scratch }, &groups, &mut sum, |on, parts| {
            groups.each(on, |_, group| {
                parts.take(group).iter_mut().enumerate().for_each(|(i, v)| *v = (group * len + i) as f32);
                Ok(())
            })
        })
        .unwrap();
        assert!(sum.iter().enumerate().all(|(i, &v)| v == (3 * len + 3 * i) as f32));
    }
}
