//! The gradient with respect to the input at strides above 1, class by class of its pixels.
//!
//! On one axis, pixel `a` of `dx` is reached from pixel `p` of `dy` by tap `u` where
//! `a + padding = p stride + u dilation`. Write `a + padding = m stride + r` with `r < stride`: the taps
//! that reach the class `r` are those with `u dilation = r` modulo the stride, and they read
//! `p = m - (u dilation - r) / stride`. Within a class, neighbours in `m` are neighbours in `p`: a
//! convolution at stride 1 whose outputs lie `stride` pixels apart.

use std::ops::Range;
use std::sync::Arc;

use crate::conv::ConvShape;
use crate::conv::kernel::{KernelView, inputs_of};
use crate::conv::method::{Convolution, Operands, Plan, Workers};
use crate::conv::pack::{Slot, pack};
use crate::gemm::{Finish, Panel, Panels, Place, Strip, run_strip};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, convert};

/// Products that a micro-kernel adds up in registers at a time, see `CHUNK` in `direct`.
const CHUNK: usize = 16;

/// Pixels of a class in a band, see `BAND` in `direct`.
const BAND: usize = 256;

/// Tasks to aim for, see `TASKS` in `direct`.
const TASKS: usize = 32;

/// Classes of a convolution's input pixels.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Phases {
    shape: ConvShape,
    dy: Layout,
    dx: Layout,
    /// `dy` as it is read: with a border as wide as the taps reach.
    source: Layout,
    classes: Vec<Class>,
}

/// The pixels of `dx` with the same rest on both axes.
#[derive(Clone, Debug)]
struct Class {
    /// Values of `m` on each axis.
    range: [Range<usize>; 2],
    rest: [usize; 2],
    /// The taps that reach the class, as indices into the kernel.
    taps: Vec<usize>,
    /// Offset of each (channel block of `dy`, tap) from the first of them, which is at `lead` before `m`.
    offsets: Vec<usize>,
    lead: [usize; 2],
    /// Rows of `m` in a band.
    rows: usize,
    panels: Panels,
}

/// Axis of a class.
struct Axis {
    range: Range<usize>,
    /// The taps, and how far before `m` each reads.
    taps: Vec<(usize, usize)>,
}

impl Axis {
    fn new(shape: &ConvShape, axis: usize, rest: usize) -> Self {
        let (stride, dilation, padding) = (shape.stride[axis], shape.dilation[axis], shape.padding[axis]);
        // m stride + rest lies in padding..padding + size.
        let from = |first: usize| first.saturating_sub(rest).div_ceil(stride);
        let reaching = |&u: &usize| u * dilation % stride == rest;
        let taps = (0..shape.kernel[axis]).filter(reaching).map(|u| (u, u * dilation / stride)).collect();
        Self { range: from(padding)..from(padding + shape.size[axis]), taps }
    }
}

impl Phases {
    pub(in crate::conv) fn prepare(cpu: &Cpu, of: &Convolution) -> Result<Arc<dyn Plan>, Error> {
        let Convolution { shape, input: dy, output: dx } = *of;
        if [&dy, &dx].iter().any(|layout| layout.block() != BLOCK) {
            let reason = format!("reads and writes blocked maps, not {dy:?} and {dx:?}");
            return Err(Error::Shape { what: "the gradient with respect to the input".into(), reason });
        }
        let axes = [0, 1].map(|axis| {
            let of = |rest| Axis::new(&shape, axis, rest);
            (0..shape.stride[axis]).map(of).collect::<Vec<_>>()
        });
        // The furthest that any tap reads before the first pixel of dy, and after the last.
        let beyond = axes.iter().enumerate().flat_map(|(axis, all)| {
            let size = if axis == 0 { dy.height() } else { dy.width() };
            all.iter().flat_map(move |one| {
                one.taps.iter().map(move |&(_, before)| {
                    before.saturating_sub(one.range.start).max((one.range.end).saturating_sub(before + size))
                })
            })
        });
        let border = beyond.max().unwrap_or(0);
        let source = if dy.border() >= border { dy } else { dy.with_border(border)? };
        let rests = (0..shape.stride[0]).flat_map(|y| (0..shape.stride[1]).map(move |x| [y, x]));
        let width = if shape.groups > 1 { 1 } else { cpu.isa().panel_blocks() };
        let panels = |taps: usize| {
            Panels::new([dx.blocks(), width], BLOCK, taps, |block, blocks| {
                inputs_of(&shape.exchanged(), block..block + blocks, BLOCK)
            })
        };
        let classes = rests
            .map(|rest| Class::new(&shape, &source, rest, [&axes[0][rest[0]], &axes[1][rest[1]]], panels))
            .collect();
        Ok(Arc::new(Self { shape, dy, dx, source, classes }))
    }

    /// Floats of the copy of `dy` with a border.
    fn copy(&self) -> usize {
        if self.source == self.dy { 0 } else { self.source.len() }
    }
}

impl Plan for Phases {
    /// Class by class.
    fn weights(&self) -> usize {
        self.classes.iter().map(|class| class.panels.floats).sum()
    }

    fn packs_for_reach(&self) -> bool {
        true
    }

    fn pack(&self, workers: Workers<'_>, kernels: KernelView<'_>, mut packed: &mut [f32]) {
        let mut classes = Vec::with_capacity(self.classes.len());
        for class in &self.classes {
            let (values, rest) = packed.split_at_mut(class.panels.floats);
            classes.push((&class.panels, values));
            packed = rest;
        }
        let slot = |tap| {
            let of = |(class, of): (usize, &Class)| {
                of.taps.iter().position(|&own| own == tap).map(|tap| Slot { class, tap })
            };
            self.classes.iter().enumerate().find_map(of).expect("every tap reaches a class")
        };
        pack(workers, kernels, classes, slot);
    }

    /// None: no batch normalisation reads a gradient's sums.
    fn bands(&self) -> usize {
        0
    }

    fn scratch(&self, _: usize) -> usize {
        self.copy()
    }

    fn run(&self, cpu: &Cpu, operands: Operands<'_>) {
        let Operands { x: dy, weights, finish, y: dx, scratch } = operands;
        let copy = &mut scratch[..self.copy()];
        let dy = if copy.is_empty() {
            dy
        } else {
            let copied = convert(cpu, dy, self.dy, copy, self.source);
            copied.expect("the maps are the same and the lengths were checked");
            copy
        };
        let (output, mut rest) = (Parts::new(dx), weights);
        for class in &self.classes {
            let (weights, behind) = rest.split_at(class.panels.floats);
            rest = behind;
            let bands = self.shape.batch * class.range[0].len().div_ceil(class.rows);
            if bands == 0 || class.range[1].is_empty() {
                continue;
            }
            let panels = class.panels.list.len();
            let groups = TASKS.div_ceil(bands).min(panels);
            cpu.pool().for_each(bands * groups, |task, _| {
                let (band, group) = (task / groups, task % groups);
                let share = |i: usize| i * panels / groups;
                let panels_of = share(group)..share(group + 1);
                cpu.isa().run(Band { phases: self, class, dy, weights, panels_of, finish, output, band });
            });
        }
        cpu.pool().for_each(self.dx.batch() * self.dx.blocks(), |plane, _| {
            let (n, block) = (plane / self.dx.blocks(), plane % self.dx.blocks());
            // SAFETY: the classes write no border, and every plane's is cleared once.
            unsafe { self.dx.clear_border(output, n, block, 0..self.dx.height()) }
        });
    }
}

impl Class {
    fn new(
        shape: &ConvShape,
        source: &Layout,
        rest: [usize; 2],
        axes: [&Axis; 2],
        panels: impl Fn(usize) -> Panels,
    ) -> Self {
        let lead = axes.map(|axis| axis.taps.iter().map(|&(_, before)| before).max().unwrap_or(0));
        let reads: Vec<_> =
            axes[0].taps.iter().flat_map(|&y| axes[1].taps.iter().map(move |&x| (y, x))).collect();
        let offset = |block: usize, (y, x): (usize, usize)| {
            block * source.plane() + (lead[0] - y) * source.row() + (lead[1] - x) * BLOCK
        };
        let per_block = |block| reads.iter().map(move |&((_, y), (_, x))| offset(block, (y, x)));
        Self {
            range: axes.map(|axis| axis.range.clone()),
            rest,
            taps: reads.iter().map(|&((y, _), (x, _))| y * shape.kernel[1] + x).collect(),
            offsets: (0..source.blocks()).flat_map(per_block).collect(),
            lead,
            rows: (BAND / axes[1].range.len().max(1)).max(1),
            panels: panels(reads.len()),
        }
    }
}

/// A band of rows of one class and one image, for a range of panels.
struct Band<'a> {
    phases: &'a Phases,
    class: &'a Class,
    dy: &'a [f32],
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
        let class = self.class;
        let bands = class.range[0].len().div_ceil(class.rows);
        let (n, first) = (self.band / bands, class.range[0].start + self.band % bands * class.rows);
        let rows = first..(first + class.rows).min(class.range[0].end);
        let panels = &class.panels.list[self.panels_of.clone()];
        let longest = panels.iter().map(|panel| panel.entries).max().unwrap_or(0);
        let chunks = longest.div_ceil(CHUNK).max(1);
        for chunk in 0..chunks {
            for panel in panels {
                let entries = chunk * panel.entries / chunks..(chunk + 1) * panel.entries / chunks;
                for m in rows.clone() {
                    let strip = self.strip(n, m, panel, entries.clone(), chunk, chunks);
                    // SAFETY: the pixels of a class, and the rows and channels of a task, are its own.
                    unsafe { run_strip(s, &strip) }
                }
            }
        }
    }
}

impl Band<'_> {
    fn strip(
        &self,
        n: usize,
        m: usize,
        panel: &Panel,
        entries: Range<usize>,
        chunk: usize,
        chunks: usize,
    ) -> Strip<'_> {
        let Phases { shape, source, dx, .. } = self.phases;
        let class = self.class;
        let columns = &class.range[1];
        // Pixel a = m stride + rest - padding of dx.
        let pixel = |m: usize, axis: usize| m * shape.stride[axis] + class.rest[axis] - shape.padding[axis];
        let (y, x) = (pixel(m, 0), pixel(columns.start, 1));
        let at = |m: usize, lead: usize| m + source.border() - lead;
        let origin = n * source.image()
            + at(m, class.lead[0]) * source.row()
            + at(columns.start, class.lead[1]) * BLOCK;
        let offsets = &class.offsets[panel.first..][entries.clone()];
        let residual_at = self.finish.residual_at(n, panel.block, y, x);
        let place = Place { channel: panel.block * BLOCK, residual_at, band: 0 };
        Strip {
            input: self.dy,
            origin: if offsets.is_empty() { 0 } else { origin },
            row_stride: if offsets.is_empty() { 0 } else { BLOCK },
            rows: columns.len(),
            offsets,
            reach: offsets.iter().copied().max().unwrap_or(0),
            depth: BLOCK,
            weights: class.panels.of(self.weights, panel, entries),
            output: self.output,
            at: dx.index(n, panel.block, y, x),
            block_stride: dx.plane(),
            step: shape.stride[1] * BLOCK,
            blocks: panel.blocks,
            add: chunk > 0,
            finish: (chunk + 1 == chunks).then_some((self.finish, place)),
        }
    }
}
