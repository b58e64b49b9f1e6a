//! The gradient with respect to the weights as a matrix product over pixels, for blocked inputs.

use std::ops::Range;
use std::sync::Arc;

use super::bands::{Bands, Target, taps_last};
use super::chunks::{Chunk, Chunks};
use super::outer::{Operand, Outer, Place, Rows, run_outer};
use super::planar::PlanarGradient;
use super::tasks::Task;
use crate::conv::ConvShape;
use crate::conv::method::{Convolution, GradientPlan};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout};

/// The most output blocks and input panels of a task: a chunk of them is fetched while the last is computed, and both
/// stay in the level 2 cache beside the sums. When inputs were read once for every 32 output channels, 16x256->512@56
/// 1x1/2 had 0.34 of the peak in place of 0.65, 16x256->128@56 0.45 in place of 0.63 (AVX-512, two threads). With 8
/// and 32 the fifteen 1x1 layers of `cargo bench --bench conv '1x1' weights 16x` have 1.05 and 1.00 of the rate by the
/// median, within the noise. 16 blocks of 16 channels of a chunk of 256 pixels are 256 KiB, half of the
/// smallest level 2 cache that is met, and sums are added in the same order for every value.
const GROUP: usize = 16;

/// Most prefetches of a line of the cache. Spread so, 64 to 64 channels on 56x56 at batch 16 have 0.77 and 0.80 of
/// the peak for 0.73 and 0.76 (AVX-512, two threads, in turns). With 2 and 8 the layers
/// named above have 0.96 of the rate by the median. Prefetches change no result.
const SPREAD: usize = 4;

/// The gradient as it is defined, of blocked or planar inputs.
pub(in crate::conv) fn by_pixels(
    cpu: &Cpu,
    of: &Convolution,
    bands: &mut Bands,
) -> Result<Arc<dyn GradientPlan>, Error> {
    let Convolution { shape, input: x, output: dy } = *of;
    let padding = shape.padding.into_iter().max().unwrap_or(0);
    let x = if x.border() >= padding { x } else { x.with_border(padding)? };
    Ok(match x.block() {
        1 => Arc::new(PlanarGradient::new(cpu, shape, [x, dy], bands)),
        _ => Arc::new(DirectGradient::new(cpu, shape, [x, dy], bands)),
    })
}

/// The gradient as it is defined, ready to run.
///
/// The gradients with respect to the outputs are broadcast, and input channels lie in the vectors, as they lie in the
/// weights: where the kernel has one tap, the last chunk's sums are stored where they belong.
#[derive(Clone, Debug)]
pub(super) struct DirectGradient {
    shape: ConvShape,
    x: Layout,
    chunks: Chunks,
    /// The tasks of a band.
    tasks: Vec<Task>,
    /// Completeness after one chunk: true where a band has no more, so that no sums have to be kept until the next.
    single: bool,
}

impl DirectGradient {
    /// `x` has a border as wide as the padding.
    fn new(cpu: &Cpu, shape: ConvShape, [x, dy]: [Layout; 2], bands: &mut Bands) -> Self {
        let chunks = Chunks::new(shape, x, dy);
        let tasks = if shape.groups > 1 {
            let of = |out| Task { outs: out..out + 1, ins: bands.reads(out), width: 1 };
            let tasks = (0..dy.blocks()).map(of).collect::<Vec<_>>();
            bands.cut(tasks.len(), chunks.len(), chunks.pixels());
            tasks
        } else {
            let width = cpu.isa().panel_blocks();
            let pair = shape.taps() * BLOCK * width * BLOCK * size_of::<f32>();
            let mut pairs = (cpu.level2_bytes() / 4 / pair).max(1);
            let blocks = [dy.blocks(), x.blocks()];
            let mut tasks = cut_channels(blocks, width, pairs);
            bands.cut(tasks.len(), chunks.len(), chunks.pixels());
            while pairs > 1 && !bands.suffice(tasks.len()) {
                pairs /= 2;
                tasks = cut_channels(blocks, width, pairs);
            }
            tasks
        };
        let single = bands.count() == chunks.len();
        Self { shape, x, chunks, tasks, single }
    }

    /// Floats of a panel's and an output block's sums.
    fn pair(&self) -> usize {
        self.shape.taps() * BLOCK * self.tasks[0].width * BLOCK
    }

    /// Floats of the sums that a task keeps.
    fn kept(&self) -> usize {
        let of = |task: &Task| if self.single { 1 } else { task.outs.len() * task.panels() };
        self.pair() * self.tasks.iter().map(of).max().unwrap_or(0)
    }
}

impl GradientPlan for DirectGradient {
    fn source(&self) -> Layout {
        self.x
    }

    fn scratch(&self, threads: usize) -> usize {
        self.kept() * threads
    }

    fn run(&self, cpu: &Cpu, x: &[f32], dy: &[f32], target: Target<'_>, scratch: &mut [f32]) {
        let (scratch, len) = (Parts::new(scratch), self.kept());
        cpu.pool().for_each(target.bands.count() * self.tasks.len(), |task, worker| {
            let (band, task) = (task / self.tasks.len(), &self.tasks[task % self.tasks.len()]);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let sums = Parts::new(unsafe { scratch.part(worker * len..(worker + 1) * len) });
            let chunks = target.bands.share(band, self.chunks.len());
            cpu.isa().run(Share { plan: self, x, dy, task, chunks, sums, target, band });
        });
    }
}

/// Tasks of about `pairs` pairs of output blocks and input panels: about as many of both.
fn cut_channels(blocks: [usize; 2], width: usize, pairs: usize) -> Vec<Task> {
    let outs = pairs.isqrt().next_power_of_two().min(GROUP).min(blocks[0]);
    let panels = (pairs / outs).clamp(1, GROUP);
    Task::all(blocks, width, [outs, panels])
}

/// Some chunks of pixels, for some output blocks and some input blocks.
struct Share<'a> {
    plan: &'a DirectGradient,
    x: &'a [f32],
    dy: &'a [f32],
    task: &'a Task,
    chunks: Range<usize>,
    /// `[panel][out block][tap][16 out channels][channels of the panel]`.
    sums: Parts<'a>,
    target: Target<'a>,
    band: usize,
}

impl Kernel for Share<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let DirectGradient { shape, chunks, single, .. } = self.plan;
        let taps = shape.taps();
        if *single && taps > 1 {
            return self.pairs(s, &chunks.get(self.chunks.start));
        }
        for index in self.chunks.clone() {
            let chunk = chunks.get(index);
            let (first, last) = (index == self.chunks.start, index + 1 == self.chunks.end);
            let next = (!last).then(|| chunks.get(index + 1));
            let mut slot = 0;
            for panel in 0..self.task.panels() {
                for tap in 0..taps {
                    for out in self.task.outs.clone() {
                        let kept = self.kept(panel, out, tap);
                        let outer = Outer {
                            ahead: [slot, slot + 1].map(|slot| self.ahead(&chunk, next.as_ref(), slot)),
                            from: (!first).then_some(kept),
                            to: if last && taps == 1 { self.weights(panel, out) } else { kept },
                            ..self.outer(&chunk, panel, out, tap)
                        };
                        slot += 2;
                        // SAFETY: a task's sums and weights are its own.
                        unsafe { run_outer(s, &outer) }
                    }
                }
                if last && taps > 1 {
                    self.task.outs.clone().for_each(|out| self.finish(s, panel, out));
                }
            }
        }
    }
}

impl<'a> Share<'a> {
    /// The only chunk, pair by pair of panels and output blocks: a pair's sums at all taps stay in the level 1
    /// cache until they are put where they belong.
    #[inline(always)]
    fn pairs<S: Simd>(&self, s: S, chunk: &Chunk) {
        for panel in 0..self.task.panels() {
            for out in self.task.outs.clone() {
                for tap in 0..self.plan.shape.taps() {
                    // SAFETY: a task's sums are its own.
                    unsafe { run_outer(s, &self.outer(chunk, panel, out, tap)) }
                }
                self.finish(s, panel, out);
            }
        }
    }

    /// The products of the pixels of `chunk` without their sums.
    #[inline(always)]
    fn outer(&self, chunk: &Chunk, panel: usize, out: usize, tap: usize) -> Outer<'a> {
        let DirectGradient { x, chunks, .. } = self.plan;
        let blocks = self.task.panel(panel);
        Outer {
            left: chunks.gradient(self.dy, chunk, out),
            rows: Rows::Block(self.target.bands.rows(out)),
            right: chunks.input(self.x, chunk, blocks.start, tap),
            right_block: x.plane(),
            blocks: blocks.len(),
            lines: chunk.lines,
            pixels: chunk.pixels,
            from: None,
            to: self.kept(panel, out, tap),
            ahead: [None; 2],
        }
    }

    /// Place of the sums of a panel, an output block and a tap until they are complete.
    #[inline(always)]
    fn kept(&self, panel: usize, out: usize, tap: usize) -> Place<'a> {
        let pair = panel * self.task.outs.len() + out - self.task.outs.start;
        let pair = if self.plan.single { 0 } else { pair };
        let row = self.task.width * BLOCK;
        let at = pair * self.plan.pair() + tap * BLOCK * row;
        Place { sums: self.sums, at, row, block: BLOCK }
    }

    /// Final place of the sums, for kernels of one tap.
    #[inline(always)]
    fn weights(&self, panel: usize, out: usize) -> Place<'a> {
        let (sums, at) = self.target.at(self.band, out, self.task.panel(panel).start);
        Place { sums, at, row: self.target.bands.row(out), block: BLOCK }
    }

    /// Prefetch of slot `slot` for the next chunk: first the input blocks, then the gradients.
    #[inline(always)]
    fn ahead(&self, chunk: &Chunk, next: Option<&Chunk>, slot: usize) -> Option<Operand<'a>> {
        let (next, Task { outs, ins, .. }) = (next?, self.task);
        let DirectGradient { chunks, .. } = self.plan;
        if self.plan.shape.taps() == 1 && self.plan.shape.stride == [1, 1] {
            return self.spread(next, slot);
        }
        // Pieces of a block's pixels, of as many lines of the cache as the slot's tile has pixels.
        let pieces = if self.plan.shape.taps() == 1 {
            1
        } else {
            chunks.span(next).div_ceil(chunk.lines * chunk.pixels)
        };
        if let Some(out) = slot.checked_sub(ins.len() * pieces) {
            return (out < outs.len()).then(|| chunks.gradient(self.dy, next, outs.start + out));
        }
        let pixels = chunks.input(self.x, next, ins.start + slot / pieces, 0);
        if pieces == 1 {
            return Some(pixels);
        }
        let at = pixels.at + slot % pieces * chunk.lines * chunk.pixels * BLOCK;
        Some(Operand { at, line: chunk.pixels * BLOCK, step: BLOCK, ..pixels })
    }

    /// Prefetch where all slots together have more pixels than there are to fetch: every line of the cache is asked for
    /// several times in a row, so that memory is as busy at the end of a chunk as at its beginning.
    #[inline(always)]
    fn spread(&self, next: &Chunk, slot: usize) -> Option<Operand<'a>> {
        let Task { outs, ins, .. } = self.task;
        let DirectGradient { chunks, .. } = self.plan;
        let slots = 2 * self.task.panels() * outs.len();
        let parts = 1 << (slots / (ins.len() + outs.len())).clamp(1, SPREAD).ilog2();
        let (block, part) = (slot / parts, slot % parts);
        let pixels = match block.checked_sub(ins.len()) {
            None => chunks.input(self.x, next, ins.start + block, 0),
            Some(out) if out < outs.len() => chunks.gradient(self.dy, next, outs.start + out),
            Some(_) => return None,
        };
        let at = pixels.at + part * next.pixels.div_ceil(parts) * pixels.step;
        Some(Operand { at, step: pixels.step / parts, ..pixels })
    }

    /// Puts the sums of a panel and an output block, which are complete, where they belong.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, panel: usize, out: usize) {
        let taps = self.plan.shape.taps();
        let (from, row) = (self.kept(panel, out, 0), self.target.bands.row(out));
        // SAFETY: a task's sums are its own.
        let sums = unsafe { self.sums.part(from.at..from.at + self.plan.pair()) };
        for (index, block) in self.task.panel(panel).enumerate() {
            let (target, at) = self.target.at(self.band, out, block);
            for i in 0..self.target.bands.rows(out) {
                let at = at + i * row;
                // SAFETY: so are the rows' parts for an input block.
                let to = unsafe { target.part(at..at + taps * BLOCK) };
                taps_last(s, &sums[i * from.row + index * BLOCK..], BLOCK * from.row, taps, to);
            }
        }
    }
}
