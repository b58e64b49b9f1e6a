//! The gradient with respect to the weights as a matrix product over pixels, for planar inputs: those of stems.

use std::ops::Range;

use super::bands::{Bands, Target};
use super::chunks::{Chunk, Chunks};
use super::outer::{Operand, Outer, Place, Rows, run_outer};
use crate::conv::ConvShape;
use crate::conv::method::GradientPlan;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Layout};

/// The gradient of a convolution with few input channels, ready to run.
///
/// The input's pixels are broadcast, a row of sums for each (channel, tap), and output channels lie in
/// the vectors.
#[derive(Clone, Debug)]
pub(super) struct PlanarGradient {
    x: Layout,
    dy: Layout,
    chunks: Chunks,
    panels: Vec<Panel>,
}

/// Some output channel blocks, and where each (channel, tap) that they read lies from a pixel.
#[derive(Clone, Debug)]
struct Panel {
    blocks: Range<usize>,
    offsets: Vec<usize>,
}

impl PlanarGradient {
    /// `x` has a border as wide as the padding.
    pub(super) fn new(cpu: &Cpu, shape: ConvShape, [x, dy]: [Layout; 2], bands: &mut Bands) -> Self {
        let chunks = Chunks::new(shape, x, dy);
        let width = if shape.groups > 1 { 1 } else { cpu.isa().panel_blocks() };
        let offsets = |channel: usize| {
            let chunks = &chunks;
            (0..shape.taps()).map(move |tap| channel * x.plane() + chunks.tap(tap))
        };
        let panel = |first: usize| Panel {
            blocks: first..(first + width).min(dy.blocks()),
            offsets: bands.reads(first).flat_map(offsets).collect(),
        };
        let panels: Vec<_> = (0..dy.blocks()).step_by(width).map(panel).collect();
        bands.cut(panels.len(), chunks.len(), chunks.pixels());
        Self { x, dy, chunks, panels }
    }

    /// Floats of the sums of a task.
    fn sums(&self) -> usize {
        self.panels.iter().map(|panel| panel.offsets.len() * panel.blocks.len() * BLOCK).max().unwrap_or(0)
    }
}

impl GradientPlan for PlanarGradient {
    fn source(&self) -> Layout {
        self.x
    }

    fn scratch(&self, threads: usize) -> usize {
        self.sums() * threads
    }

    fn run(&self, cpu: &Cpu, x: &[f32], dy: &[f32], target: Target<'_>, scratch: &mut [f32]) {
        let (scratch, len) = (Parts::new(scratch), self.sums());
        cpu.pool().for_each(target.bands.count() * self.panels.len(), |task, worker| {
            let (band, panel) = (task / self.panels.len(), &self.panels[task % self.panels.len()]);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let sums = unsafe { scratch.part(worker * len..(worker + 1) * len) };
            let chunks = target.bands.share(band, self.chunks.len());
            cpu.isa().run(Share { plan: self, x, dy, panel, chunks, sums: Parts::new(sums) });
            let width = panel.blocks.len() * BLOCK;
            for (index, block) in panel.blocks.clone().enumerate() {
                let (rows, row) = (target.bands.rows(block), target.bands.row(block));
                let (part, at) = target.at(band, block, target.bands.reads(block).start);
                for channel in 0..rows {
                    // SAFETY: every output channel's row in a band is one task's.
                    let to = unsafe { part.part(at + channel * row..at + (channel + 1) * row) };
                    let sums = sums[index * BLOCK + channel..].iter().step_by(width);
                    to.iter_mut().zip(sums).for_each(|(to, &sum)| *to = sum);
                }
            }
        });
    }
}

/// Some chunks of pixels, for one panel.
struct Share<'a> {
    plan: &'a PlanarGradient,
    x: &'a [f32],
    dy: &'a [f32],
    panel: &'a Panel,
    chunks: Range<usize>,
    /// `[channel and tap][channels of the panel]`.
    sums: Parts<'a>,
}

impl Kernel for Share<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let PlanarGradient { dy, chunks, .. } = self.plan;
        let Panel { blocks, offsets } = self.panel;
        let gradient = |chunk: &Chunk, block: usize| chunks.gradient(self.dy, chunk, block);
        for index in self.chunks.clone() {
            let chunk = chunks.get(index);
            let next = (index + 1 < self.chunks.end).then(|| chunks.get(index + 1));
            let ahead = |block: usize| -> Option<Operand<'_>> {
                next.as_ref().map(|next| gradient(next, block.min(blocks.end - 1)))
            };
            let to = Place { sums: self.sums, at: 0, row: blocks.len() * BLOCK, block: BLOCK };
            let outer = Outer {
                left: chunks.input(self.x, &chunk, 0, 0),
                rows: Rows::At(offsets),
                right: gradient(&chunk, blocks.start),
                right_block: dy.plane(),
                blocks: blocks.len(),
                lines: chunk.lines,
                pixels: chunk.pixels,
                from: (index > self.chunks.start).then_some(to),
                to,
                ahead: [ahead(blocks.start), ahead(blocks.start + 1)],
            };
            // SAFETY: a task's sums are its own.
            unsafe { run_outer(s, &outer) }
        }
    }
}
