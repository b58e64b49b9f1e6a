//! The convolution as it is defined, as a matrix product that needs no rearranged input.

use std::ops::Range;
use std::sync::Arc;

use super::ConvShape;
use super::backward::{Phases, by_pixels};
use super::kernel::{KernelView, inputs_of};
use super::method::{Convolution, Method, Operands, Plan, Workers};
use super::pack::pack_panels;
use super::source::Source;
use crate::gemm::{Finish, Panels, Place, Strip, run_strip};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout};

/// Products that a micro-kernel adds up in registers before it turns to the next panel: the weights of
/// that many products and one panel (16 KiB for AVX2) stay in the level 1 cache while a band's strips
/// pass over them. Not measured: half of the smallest level 1 cache that is met.
const CHUNK: usize = 256;

/// Pixels of a band: what they have in a chunk's channels (256 KiB) stays in the level 2 cache while all
/// panels pass over them. Not measured: half of the smallest level 2 cache that is met.
const BAND: usize = 256;

/// Tasks to aim for, so that several threads have equal shares. Not a multiple of the threads: what is
/// computed must not depend on them. Not measured.
const TASKS: usize = 32;

/// Anything.
pub(super) const DIRECT: Method = Method {
    key: "direct",
    name: "direct",
    weights: 9,
    error: 1e-6,
    plain: true,
    wants_border: true,
    long_strips: false,
    settles: None,
    applies: |_, _| Ok(()),
    work: |load| Some(load.tiled(1, load.shape.taps()).at_points(0)),
    forward: Direct::prepare,
    by_input: Some(Phases::prepare),
    by_weights: Some(by_pixels),
};

/// A direct convolution, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    shape: ConvShape,
    input: Layout,
    output: Layout,
    source: Source,
    panels: Panels,
    /// Offset of each (input block, tap) from a pixel.
    offsets: Vec<usize>,
    rows: usize,
    bands: usize,
}

impl Direct {
    pub(super) fn prepare(cpu: &Cpu, of: &Convolution) -> Result<Arc<dyn Plan>, Error> {
        let Convolution { shape, input, output } = *of;
        let source = Source::new(&shape, input)?;
        let from = source.layout;
        let mut offsets = Vec::with_capacity(from.blocks() * shape.taps());
        for block in 0..from.blocks() {
            for (u, v) in (0..shape.kernel[0]).flat_map(|u| (0..shape.kernel[1]).map(move |v| (u, v))) {
                let (y, x) = (u * shape.dilation[0], v * shape.dilation[1]);
                offsets.push(block * from.plane() + y * from.row() + x * from.block());
            }
        }
        // A panel reads the input blocks in which the groups of its channels lie, so a grouped convolution
        // is a dense one on few blocks; its weights are zero where a block holds another group's channels.
        // Two blocks of different groups share no input: together each would multiply the other's zeros.
        let width = if shape.groups > 1 { 1 } else { cpu.isa().panel_blocks() };
        let depth = from.block();
        let panels = Panels::new([output.blocks(), width], depth, shape.taps(), |block, blocks| {
            inputs_of(&shape, block..block + blocks, depth)
        });
        let rows = (BAND / output.width()).clamp(1, output.height());
        let bands = output.height().div_ceil(rows);
        Ok(Arc::new(Self { shape, input, output, source, panels, offsets, rows, bands }))
    }

    /// Evenness of the pixels: true where one that follows another in the output does so at the same distance in the
    /// source and in the residual even from one row to the next, so that a band is a single strip.
    fn is_flat(&self, finish: &Finish<'_>) -> bool {
        let from = self.source.layout;
        let across = self.output.width() * self.source.stride[1] * from.block();
        self.source.stride[0] * from.row() == across && self.output.border() == 0 && finish.is_flat()
    }
}

impl Plan for Direct {
    fn weights(&self) -> usize {
        self.panels.floats
    }

    fn pack(&self, workers: Workers<'_>, kernels: KernelView<'_>, packed: &mut [f32]) {
        pack_panels(workers, kernels, &self.panels, packed);
    }

    /// Bands of rows.
    fn bands(&self) -> usize {
        self.shape.batch * self.bands
    }

    fn scratch(&self, _: usize) -> usize {
        self.source.scratch()
    }

    fn run(&self, cpu: &Cpu, operands: Operands<'_>) {
        let Operands { x, weights, finish, y, scratch } = operands;
        let x = self.source.read(cpu, x, self.input, &mut scratch[..self.source.scratch()]);
        let output = Parts::new(y);
        let panels = self.panels.list.len();
        let groups = TASKS.div_ceil(self.bands()).min(panels);
        cpu.pool().for_each(self.bands() * groups, |task, _| {
            let (band, group) = (task / groups, task % groups);
            let share = |i: usize| i * panels / groups;
            let panels_of = share(group)..share(group + 1);
            cpu.isa().run(Band { conv: self, x, weights, panels_of, finish, output, band });
        });
    }
}

/// A band of rows of one image, for a range of panels.
struct Band<'a> {
    conv: &'a Direct,
    x: &'a [f32],
    weights: &'a [f32],
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
        let panels = &conv.panels.list[self.panels_of.clone()];
        let longest = panels.iter().map(|panel| panel.entries).max().unwrap_or(0);
        let chunks = (longest * conv.panels.depth).div_ceil(CHUNK);
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
                        depth: conv.panels.depth,
                        weights: conv.panels.of(self.weights, panel, entries.clone()),
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
    /// Offset of the first tap of the first pixel of output row `y` in the source.
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
