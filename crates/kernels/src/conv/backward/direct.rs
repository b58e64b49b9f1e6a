//! The gradient by the weights as a matrix product over pixels.

use std::ops::Range;

use super::outer::{Outer, run_outer};
use super::weights::{PanelSums, PartialSums};
use crate::conv::ConvShape;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, KernelError, Layout, convert};

/// Pixels of a chunk: the gradients of that many (16 KiB for a panel of two blocks) stay in the level 1
/// cache while the taps and input channels pass over them.
const CHUNK: usize = 128;

/// The gradient as it is defined, ready to run.
#[derive(Clone, Debug)]
pub(super) struct DirectGradient {
    shape: ConvShape,
    x: Layout,
    dy: Layout,
    /// `x` as it is read: with a border as wide as the padding.
    source: Layout,
    /// Rows of a chunk.
    rows: usize,
    /// The tasks of a band: the panels and the input blocks whose sums stay in the level 2 cache.
    tasks: Vec<(Range<usize>, Range<usize>)>,
    /// Where each (channel, tap) of a planar input lies from a pixel.
    offsets: Vec<usize>,
}

impl DirectGradient {
    pub(super) fn new(
        cpu: &Cpu,
        shape: ConvShape,
        x: Layout,
        dy: Layout,
        sums: &PartialSums,
    ) -> Result<Self, KernelError> {
        let padding = shape.padding.into_iter().max().unwrap_or(0);
        let source = if x.border() >= padding { x } else { x.with_border(padding)? };
        let rows = (CHUNK / dy.width()).clamp(1, dy.height());
        let planar = x.block() == 1;
        let tasks = if planar || shape.groups > 1 {
            sums.panels.iter().enumerate().map(|(i, panel)| (i..i + 1, panel.reads.clone())).collect()
        } else {
            let block = shape.taps() * BLOCK * sums.panels[0].blocks.len() * BLOCK * size_of::<f32>();
            groups(cpu.level2_bytes() / 4 / block, sums.panels.len(), x.blocks())
        };
        let mut offsets = Vec::new();
        if planar {
            let taps = |channel| (0..shape.taps()).map(move |tap| (channel, tap));
            offsets = (0..x.channels())
                .flat_map(taps)
                .map(|(channel, tap)| channel * source.plane() + Self::tap(&shape, &source, tap))
                .collect();
        }
        Ok(Self { shape, x, dy, source, rows, tasks, offsets })
    }

    /// Where tap `tap` lies from a pixel's first.
    fn tap(shape: &ConvShape, source: &Layout, tap: usize) -> usize {
        let (u, v) = (tap / shape.kernel[1] * shape.dilation[0], tap % shape.kernel[1] * shape.dilation[1]);
        u * source.row() + v * source.block()
    }

    /// Tasks of a band.
    pub(super) fn pairs(&self) -> usize {
        self.tasks.len()
    }

    /// Chunks of pixels, the most bands that there can be.
    pub(super) fn chunks(&self) -> usize {
        self.dy.batch() * self.dy.height().div_ceil(self.rows)
    }

    /// Floats of the copy of `x` with a border.
    pub(super) fn scratch(&self) -> usize {
        if self.source == self.x { 0 } else { self.source.len() }
    }

    /// Computes the partial sums; lengths have been checked.
    pub(super) fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        dy: &[f32],
        sums: &PartialSums,
        partial: &mut [f32],
        scratch: &mut [f32],
    ) {
        let copy = &mut scratch[..self.scratch()];
        let x = if copy.is_empty() {
            x
        } else {
            let copied = convert(cpu, x, self.x, copy, self.source);
            copied.expect("the maps are the same and the lengths were checked");
            copy
        };
        let target = Parts::new(partial);
        let chunks = self.chunks();
        cpu.pool().for_each(sums.bands * self.tasks.len(), |task, _| {
            let (band, task) = (task / self.tasks.len(), &self.tasks[task % self.tasks.len()]);
            let panels = &sums.panels[task.0.clone()];
            let (taps, depth) = (self.shape.taps(), self.source.block());
            for panel in panels {
                let [start, end] = [task.1.start, task.1.end]
                    .map(|block| band * sums.band + panel.index(block, 0, taps, depth));
                // SAFETY: the bands, panels and input blocks of a task are its own.
                unsafe { target.part(start..end) }.fill(0.0);
            }
            let chunks = band * chunks / sums.bands..(band + 1) * chunks / sums.bands;
            let sums_at = band * sums.band;
            cpu.isa().run(Share {
                plan: self,
                x,
                dy,
                panels,
                blocks: task.1.clone(),
                chunks,
                target,
                sums_at,
            });
        });
    }
}

/// Cuts `panels` and `blocks` into tasks of at most `pairs` pairs: as many panels together as blocks, so
/// that the input passes by rarely, up to 4 and 16.
fn groups(pairs: usize, panels: usize, blocks: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let across = pairs.isqrt().clamp(1, 4).min(panels);
    let down = (pairs / across).clamp(1, 16).min(blocks);
    let cut = |len: usize, by: usize| {
        let parts = len.div_ceil(by);
        (0..parts).map(move |part| part * len / parts..(part + 1) * len / parts)
    };
    cut(panels, across)
        .flat_map(|panels| cut(blocks, down).map(move |blocks| (panels.clone(), blocks)))
        .collect()
}

/// Some chunks of pixels, for some panels and some input blocks.
struct Share<'a> {
    plan: &'a DirectGradient,
    x: &'a [f32],
    dy: &'a [f32],
    panels: &'a [PanelSums],
    blocks: Range<usize>,
    chunks: Range<usize>,
    target: Parts<'a>,
    /// Where the band's sums start.
    sums_at: usize,
}

impl Kernel for Share<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let DirectGradient { shape, dy, source, .. } = self.plan;
        let per_image = dy.height().div_ceil(self.plan.rows);
        for chunk in self.chunks.clone() {
            let (n, first) = (chunk / per_image, chunk % per_image * self.plan.rows);
            let rows = self.plan.rows.min(dy.height() - first);
            if source.block() == 1 {
                for panel in self.panels {
                    let outer = self.outer(n, first, rows, (panel, panel.reads.start), 0);
                    // SAFETY: a task's sums are its own.
                    unsafe { run_outer(s, &Outer { offsets: Some(&self.plan.offsets), ..outer }) }
                }
                continue;
            }
            for block in self.blocks.clone() {
                for tap in 0..shape.taps() {
                    for panel in self.panels {
                        // SAFETY: as above.
                        unsafe { run_outer(s, &self.outer(n, first, rows, (panel, block), tap)) }
                    }
                }
            }
        }
    }
}

impl Share<'_> {
    /// The products of an input block at tap `tap` with `rows` rows of a panel's gradients from `first` on.
    #[inline(always)]
    fn outer(
        &self,
        n: usize,
        first: usize,
        rows: usize,
        (panel, block): (&PanelSums, usize),
        tap: usize,
    ) -> Outer<'_> {
        let DirectGradient { shape, dy, source, .. } = self.plan;
        let [top, left] = shape.padding.map(|padding| source.border() - padding);
        let origin = n * source.image()
            + block * source.plane()
            + (first * shape.stride[0] + top) * source.row()
            + left * source.block();
        let (x_row, x_step) = (shape.stride[0] * source.row(), shape.stride[1] * source.block());
        // Where a row of both follows the last without a gap, they are one.
        let width = dy.width();
        let flat = x_row == width * x_step && dy.border() == 0;
        Outer {
            x: self.x,
            x_at: origin + DirectGradient::tap(shape, source, tap),
            x_row,
            x_step,
            offsets: None,
            y: self.dy,
            y_at: dy.index(n, panel.blocks.start, first, 0),
            y_row: dy.row(),
            y_block: dy.plane(),
            rows: if flat { 1 } else { rows },
            pixels: if flat { rows * width } else { width },
            blocks: panel.blocks.len(),
            sums: self.target,
            sums_at: self.sums_at + panel.index(block, tap, shape.taps(), source.block()),
        }
    }
}
