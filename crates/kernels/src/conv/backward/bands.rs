//! Where the sums of weight gradients lie, and how the bands of pixels are added up.

use std::ops::Range;

use crate::conv::ConvShape;
use crate::conv::kernel::inputs_of;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Layout};

/// Tasks to aim for, so that several threads have equal shares. Not a multiple of the threads: what is
/// computed must not depend on them. Not measured.
const TASKS: usize = 16;

/// The fewest pixels, or tiles' points, of a band: with fewer, its sums cost more than its products. By
/// that count; not measured.
const FEWEST: usize = 256;

/// Gradients `[band][out channel][input channel][tap]`, a band for each part of the pixels.
///
/// A row holds all channels of the input blocks that the output block reads. Where that is a row of the
/// weights, the first band is the result itself; else (groups, or channels that do not fill their last
/// block) all bands are partial sums.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Bands {
    shape: ConvShape,
    /// Channels of an input block.
    depth: usize,
    /// The input blocks that each output block reads, and where its rows start in a band.
    blocks: Vec<(Range<usize>, usize)>,
    /// Floats of a band.
    len: usize,
    count: usize,
    in_place: bool,
}

impl Bands {
    pub(super) fn new(shape: ConvShape, x: &Layout, dy: &Layout) -> Self {
        let (depth, taps) = (x.block(), shape.taps());
        let (mut blocks, mut len) = (Vec::new(), 0);
        for block in 0..dy.blocks() {
            let reads = inputs_of(&shape, block..block + 1, depth);
            let rows = BLOCK.min(shape.out_channels - block * BLOCK);
            blocks.push((reads.clone(), len));
            len += rows * reads.len() * depth * taps;
        }
        let in_place = shape.groups == 1 && shape.in_channels.is_multiple_of(depth);
        Self { shape, depth, blocks, len, count: 1, in_place }
    }

    /// Cuts `chunks` chunks of pixels, `work` pixels in all, into as many bands as make [`TASKS`] tasks of
    /// `tasks` tasks each, but no more than they are worth. Rather fewer bands than bands of different sizes.
    pub(in crate::conv) fn cut(&mut self, tasks: usize, chunks: usize, work: usize) {
        let most = TASKS.div_ceil(tasks).min(work / FEWEST).clamp(1, chunks);
        let even = (most.div_ceil(2)..=most).rev().find(|&count| chunks.is_multiple_of(count));
        self.count = even.unwrap_or(most);
    }

    /// Sufficiency of `tasks` tasks of each band.
    pub(super) fn suffice(&self, tasks: usize) -> bool {
        self.count * tasks >= TASKS
    }

    pub(in crate::conv) fn count(&self) -> usize {
        self.count
    }

    /// The part of band `band` of `len` things.
    pub(in crate::conv) fn share(&self, band: usize, len: usize) -> Range<usize> {
        band * len / self.count..(band + 1) * len / self.count
    }

    /// The input blocks that output block `block` reads.
    pub(super) fn reads(&self, block: usize) -> Range<usize> {
        self.blocks[block].0.clone()
    }

    /// Output channels of block `block`.
    pub(in crate::conv) fn rows(&self, block: usize) -> usize {
        BLOCK.min(self.shape.out_channels - block * BLOCK)
    }

    /// Floats from a row of output block `block` to the next.
    pub(in crate::conv) fn row(&self, block: usize) -> usize {
        self.blocks[block].0.len() * self.depth * self.shape.taps()
    }

    /// Floats of workspace.
    pub(super) fn workspace(&self) -> usize {
        (self.count - usize::from(self.in_place)) * self.len
    }

    /// The bands in `dw` and in the workspace `partial`.
    pub(super) fn target<'a>(&'a self, dw: &'a mut [f32], partial: &'a mut [f32]) -> Target<'a> {
        Target { bands: self, dw: Parts::new(dw), partial: Parts::new(partial) }
    }
}

/// Destination of weight gradients.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Target<'a> {
    pub(in crate::conv) bands: &'a Bands,
    dw: Parts<'a>,
    partial: Parts<'a>,
}

impl<'a> Target<'a> {
    /// Start of the first row of output block `out` in band `band`, and the slice that it lies in, at input block
    /// `block`; the rows are [`Bands::row`] floats apart.
    pub(in crate::conv) fn at(&self, band: usize, out: usize, block: usize) -> (Parts<'a>, usize) {
        let Bands { blocks, depth, shape, .. } = self.bands;
        let (reads, start) = &blocks[out];
        let at = start + (block - reads.start) * depth * shape.taps();
        match band.checked_sub(usize::from(self.bands.in_place)) {
            None => (self.dw, at),
            Some(band) => (self.partial, band * self.bands.len + at),
        }
    }

    /// Adds up the bands, in their order.
    pub(super) fn gather(&self, cpu: &Cpu) {
        let Bands { shape, count, in_place, .. } = self.bands;
        if *in_place && *count == 1 {
            return;
        }
        cpu.pool().for_each(shape.out_channels, |channel, _| {
            cpu.isa().run(Row { target: self, channel });
        });
    }
}

/// The row of one output channel.
struct Row<'a> {
    target: &'a Target<'a>,
    channel: usize,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Bands { shape, depth, blocks, count, in_place, .. } = self.target.bands;
        let [ins, outs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
        let (taps, block) = (shape.taps(), self.channel / BLOCK);
        // The channels of the blocks that are read start before those of the group.
        let skip = (self.channel / outs * ins - blocks[block].0.start * depth) * taps;
        let len = ins * taps;
        // SAFETY: every output channel is one task's, and nothing else writes now.
        let dw = unsafe { self.target.dw.part(self.channel * len..(self.channel + 1) * len) };
        for band in usize::from(*in_place)..*count {
            let (from, at) = self.target.at(band, block, blocks[block].0.start);
            let at = at + self.channel % BLOCK * self.target.bands.row(block) + skip;
            // SAFETY: as above.
            let from = unsafe { from.part(at..at + len) };
            if band == 0 {
                dw.copy_from_slice(from);
            } else {
                dw.iter_mut().zip(from).for_each(|(sum, other)| *sum += *other);
            }
        }
    }
}

/// Puts the sums of one output channel and one input block, of which those of a tap lie `tap` floats
/// after those of the tap before, into the order of the weights: `to[channel][tap]`.
///
/// # Panics
/// Where `from` has no channel block for each of `taps` taps, or `to` none of `taps` taps.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the array in registers")]
pub(super) fn taps_last<S: Simd>(s: S, from: &[f32], tap: usize, taps: usize, to: &mut [f32]) {
    assert!((taps - 1) * tap + BLOCK <= from.len() && taps * BLOCK <= to.len());
    if taps == 9 {
        for lane in (0..BLOCK).step_by(S::LANES) {
            let mut sums = [s.zero(); 9];
            // SAFETY: the last tap and the last channel were checked to lie in the slices.
            unsafe {
                for u in 0..9 {
                    sums[u] = s.load(from.as_ptr().add(u * tap + lane));
                }
                s.weave(to.as_mut_ptr().add(9 * lane), sums);
            }
        }
        return;
    }
    for u in 0..taps {
        for i in 0..BLOCK {
            to[i * taps + u] = from[u * tap + i];
        }
    }
}
