//! The convolution as it is defined, as a matrix product that needs no rearranged input.

use std::ops::Range;

use super::ConvShape;
use super::kernel::inputs_of;

use super::source::Source;
use crate::gemm::{Finish, Panels, Place, Strip, run_strip};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, KernelError, Layout};

/// Products that a micro-kernel adds up in registers before it turns to the next panel: the weights of
/// that many products and one panel (16 KiB for AVX2) stay in the level 1 cache while a band's strips
/// pass over them.
const CHUNK: usize = 256;

/// Pixels of a band: what they have in a chunk's channels (256 KiB) stays in the level 2 cache while all
/// panels pass over them.
const BAND: usize = 256;

/// Tasks to aim for, so that several threads have equal shares. Not a multiple of the threads: what is
/// computed must not depend on them.
const TASKS: usize = 32;

/// A direct convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    shape: ConvShape,
    input: Layout,
    output: Layout,
    source: Source,
    /// Where each (input block, tap) lies from a pixel.
    offsets: Vec<usize>,
    rows: usize,
    bands: usize,
}

impl Direct {
    pub(super) fn new(shape: ConvShape, input: Layout, output: Layout) -> Result<Self, KernelError> {
        let source = Source::new(&shape, input)?;
        let from = source.layout;
        let mut offsets = Vec::with_capacity(from.blocks() * shape.taps());
        for block in 0..from.blocks() {
            for (u, v) in (0..shape.kernel[0]).flat_map(|u| (0..shape.kernel[1]).map(move |v| (u, v))) {
                let (y, x) = (u * shape.dilation[0], v * shape.dilation[1]);
                offsets.push(block * from.plane() + y * from.row() + x * from.block());
            }
        }
        let rows = (BAND / output.width()).clamp(1, output.height());
        let bands = output.height().div_ceil(rows);
        Ok(Self { shape, input, output, source, offsets, rows, bands })
    }

    /// Room for the weights, in panels of `width` blocks.
    ///
    /// A panel reads the input blocks in which the groups of its channels lie, so a grouped convolution
    /// is a dense one on few blocks; its weights are zero where a block holds another group's channels.
    pub(super) fn panels(&self, width: usize) -> Panels {
        let shape = &self.shape;
        let depth = self.source.layout.block();
        // Two blocks of different groups share no input: together each would multiply the other's zeros.
        let width = if shape.groups > 1 { 1 } else { width };
        Panels::zeroed([self.output.blocks(), width], depth, shape.taps(), |block, blocks| {
            inputs_of(shape, block..block + blocks, depth)
        })
    }

    /// Floats of workspace.
    pub(super) fn scratch(&self) -> usize {
        self.source.scratch()
    }

    /// Bands of rows, each of which has its own sums.
    pub(super) fn bands(&self) -> usize {
        self.shape.batch * self.bands
    }

    /// Computes `y`; lengths have been checked.
    pub(super) fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        panels: &Panels,
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let x = self.source.read(cpu, x, self.input, &mut scratch[..self.source.scratch()]);
        let output = Parts::new(y);
        let groups = TASKS.div_ceil(self.bands()).min(panels.list.len());
        cpu.pool().for_each(self.bands() * groups, |task, _| {
            let (band, group) = (task / groups, task % groups);
            let share = |i: usize| i * panels.list.len() / groups;
            let panels_of = share(group)..share(group + 1);
            cpu.isa().run(Band { conv: self, x, panels, panels_of, finish, output, band });
        });
    }

    /// Whether a pixel that follows another in the output does so at the same distance in the source
    /// and in the residual even from one row to the next, so that a band is a single strip.
    fn is_flat(&self, finish: &Finish<'_>) -> bool {
        let from = self.source.layout;
        let across = self.output.width() * self.source.stride[1] * from.block();
        self.source.stride[0] * from.row() == across && self.output.border() == 0 && finish.is_flat()
    }
}

/// A band of rows of one image, for a range of panels.
struct Band<'a> {
    conv: &'a Direct,
    x: &'a [f32],
    panels: &'a Panels,
    panels_of: Range<usize>,
    finish: &'a Finish<'a>,
    output: Parts<'a>,
    band: usize,
}

impl Kernel for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let conv = self.conv;
        let (n, first) = (self.band / conv.bands, self.band % conv.bands * conv.rows);
        let rows = first..(first + conv.rows).min(conv.output.height());
        let (width, strips) = if conv.is_flat(self.finish) {
            (rows.len() * conv.output.width(), first..first + 1)
        } else {
            (conv.output.width(), rows.clone())
        };
        let panels = &self.panels.list[self.panels_of.clone()];
        let longest = panels.iter().map(|panel| panel.entries).max().unwrap_or(0);
        let chunks = (longest * self.panels.depth).div_ceil(CHUNK);
        for chunk in 0..chunks {
            for panel in panels {
                let entries = chunk * panel.entries / chunks..(chunk + 1) * panel.entries / chunks;
                let offsets = &conv.offsets[panel.first..][entries.clone()];
                let last = chunk + 1 == chunks;
                for y in strips.clone() {
                    let finish = last.then(|| (self.finish, self.place(n, panel.block, y)));
                    let strip = Strip {
                        input: self.x,
                        origin: self.origin(n, y),
                        row_stride: conv.source.stride[1] * conv.source.layout.block(),
                        rows: width,
                        offsets,
                        reach: conv.offsets[conv.offsets.len() - 1],
                        depth: self.panels.depth,
                        weights: self.panels.of(panel, entries.clone()),
                        output: self.output,
                        at: conv.output.index(n, panel.block, y, 0),
                        block_stride: conv.output.plane(),
                        step: BLOCK,
                        blocks: panel.blocks,
                        add: chunk > 0,
                        finish,
                    };
                    // SAFETY: the rows and channels of a task are its own, and so are its band's sums
                    // of these channels.
                    unsafe { run_strip(s, &strip) }
                }
            }
        }
        for panel in panels {
            for block in panel.block..panel.block + panel.blocks {
                // SAFETY: as above; the border beside and beyond a band's rows goes with the band.
                unsafe { conv.output.clear_border(self.output, n, block, rows.clone()) }
            }
        }
    }
}

impl Band<'_> {
    /// Where the first tap of the first pixel of output row `y` lies in the source.
    fn origin(&self, n: usize, y: usize) -> usize {
        let Source { layout: from, stride, .. } = self.conv.source;
        let [top, left] = self.conv.shape.padding.map(|padding| from.border() - padding.min(from.border()));
        n * from.image() + (y * stride[0] + top) * from.row() + left * from.block()
    }

    fn place(&self, n: usize, block: usize, y: usize) -> Place {
        let residual_at = self.finish.residual_at(n, block, y, 0);
        Place { channel: block * BLOCK, residual_at, band: self.band }
    }
}
