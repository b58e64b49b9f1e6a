//! The gradient with respect to the weights, added up at the points.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::maps::Maps;
use super::pairs::{Filled, Pairs};
use super::points::F4;
use super::taps::{self, M, N, OutputRows, finish};
use super::tiles::{Grid, Part, Transformed};
use super::transforms::{Gradients, Inputs, TransformStage};
use crate::conv::backward::{Bands, Outer, Place, Target, Task, run_outer};
use crate::conv::method::{Convolution, GradientPlan};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout};

/// The most tiles of a group: those of a panel and an output block at a position, 24 KiB, stay in the level
/// 1 cache. On a Zen 5 (128 channels on 8x8, batch 128, share of the peak): 2.85 at 128 tiles, 2.6 at 192
/// and 256.
const TOGETHER: usize = 128;

/// The most tiles that go through the pairs as one group. With 128 and with 1024 the
/// eleven 3x3 layers of `cargo bench --bench conv '3x3/1 weights'` have 0.97 and 0.99 of the rate by the median, within
/// the noise (AVX-512, two threads, in turns).
const AT_ONCE: usize = 256;

/// Bytes of a group's transformed maps: they stay in the last level cache. With 2 and with 32 MiB the same
/// layers have 0.99 and 1.00 of the rate by the median. A bound of the workspace, not of what can be computed.
const MAPS_AT_HAND: usize = 8 << 20;

/// Tasks that the transforms are cut into, at least: many for few threads, and no function of theirs. With
/// 8 and with 128 the same layers have 0.99 and 0.98 of the rate by the median. No result depends on it.
const SHARES: usize = 32;

/// `dw = G^T (sum over tiles of (A dy A^T) * (B^T x B)) G` for F(4x4, 3x3), ready to run.
///
/// The workspace holds the transformed maps of a group, at most 8 MiB of them (or of one tile) where there
/// are several groups, and the sums: four times the weights, or 38 KiB a thread in [`Order::Pairs`]. For 512
/// channels on 7x7, batch 16, that is 9.5 MB with two threads.
#[derive(Clone, Debug)]
pub(super) struct WinogradGradient {
    padding: [usize; 2],
    x: Layout,
    dy: Layout,
    grid: Grid,
    /// Tiles of all images.
    tiles: usize,
    /// Groups of tiles, which are transformed and multiplied one after the other.
    groups: usize,
    order: Order,
    /// Pairs of channel blocks, in one task or several.
    tasks: Vec<Task>,
}

/// Order in which tiles are multiplied once they are transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Group by group, and position by position: the sums at all points are kept from group to group.
    Groups,
    /// One group of all tiles. The sums of a pair of channel blocks are complete in one go over them, and
    /// transformed to the taps before the next pair's: they need no room, and do not leave the cache.
    Pairs,
}

impl WinogradGradient {
    /// The Winograd forms apply.
    pub(super) fn prepare(
        cpu: &Cpu,
        of: &Convolution,
        _: &mut Bands,
    ) -> Result<Arc<dyn GradientPlan>, Error> {
        Ok(Arc::new(Self::new(cpu, of)))
    }

    fn new(cpu: &Cpu, of: &Convolution) -> Self {
        let Convolution { shape, input: x, output: dy } = *of;
        let (padding, grid) = (shape.padding, Grid::of(&dy, M));
        let tiles = shape.batch * grid.down * grid.across;
        let width = cpu.isa().panel_blocks();
        let (ins, outs) = (x.blocks(), dy.blocks());
        // Sums at the points, and transformed maps, in blocks of 16 floats a position.
        let (sums, maps) = (ins * outs * BLOCK, tiles * (ins + outs));
        if tiles <= AT_ONCE && sums > maps {
            let tasks = Task::all([outs, ins], width, [4, 1]);
            return Self { padding, x, dy, grid, tiles, groups: 1, order: Order::Pairs, tasks };
        }
        let fit = MAPS_AT_HAND / (N * N * (ins + outs) * BLOCK * size_of::<f32>());
        let groups = tiles.div_ceil(fit.clamp(1, TOGETHER));
        let tasks = Task::all([outs, ins], width, [outs, ins]);
        Self { padding, x, dy, grid, tiles, groups, order: Order::Groups, tasks }
    }

    /// Transformed inputs and gradients of a group, and floats of sums at the points: of all pairs of
    /// channel blocks, or of one.
    fn sizes(&self) -> (Transformed, Transformed, usize) {
        let of = |blocks| Transformed::new(blocks, self.tiles.div_ceil(self.groups));
        let sums = match self.order {
            Order::Groups => N * N * Sums::all(&self.tasks[0]).position,
            Order::Pairs => Pairs::sums(self.tasks[0].width),
        };
        (of(self.x.blocks()), of(self.dy.blocks()), sums)
    }
}

impl GradientPlan for WinogradGradient {
    fn source(&self) -> Layout {
        self.x
    }

    fn scratch(&self, threads: usize) -> usize {
        let (inputs, gradients, sums) = self.sizes();
        let sums = if self.order == Order::Pairs { sums * threads } else { sums };
        N * N * (inputs.position + gradients.position) + sums
    }

    fn run(&self, cpu: &Cpu, x: &[f32], dy: &[f32], target: Target<'_>, scratch: &mut [f32]) {
        let (from, to, _) = self.sizes();
        let (inputs, rest) = scratch.split_at_mut(N * N * from.position);
        let (gradients, points) = rest.split_at_mut(N * N * to.position);
        let run = Run { plan: self, cpu, x, dy, from, to };
        for group in 0..self.groups {
            let tiles = group * self.tiles / self.groups..(group + 1) * self.tiles / self.groups;
            run.transform(tiles.clone(), inputs, gradients);
            let maps = Maps { inputs, gradients, from, to, tiles: tiles.len() };
            match self.order {
                Order::Groups => run.add(maps, points, group > 0),
                Order::Pairs => run.pairs(maps, points, target),
            }
        }
        if self.order == Order::Groups {
            run.finish(points, target);
        }
    }
}

/// Run of a gradient.
struct Run<'a> {
    plan: &'a WinogradGradient,
    cpu: &'a Cpu,
    x: &'a [f32],
    dy: &'a [f32],
    from: Transformed,
    to: Transformed,
}

impl Run<'_> {
    /// Transforms the tiles `tiles` of both maps.
    fn transform(&self, tiles: Range<usize>, inputs: &mut [f32], gradients: &mut [f32]) {
        let WinogradGradient { padding, x, dy, grid, .. } = *self.plan;
        let (ins, outs) = (x.blocks(), dy.blocks());
        let shares = SHARES.div_ceil(ins + outs).min(tiles.len());
        let [inputs, gradients] = [inputs, gradients].map(Parts::new);
        let (isa, points) = (self.cpu.isa(), PhantomData);
        self.cpu.pool().for_each(shares * (ins + outs), |task, _| {
            let (block, share) = (task / shares, task % shares);
            let cut = |share: usize| tiles.start + share * tiles.len() / shares;
            let part = |block: usize, data: Transformed| Part {
                tiles: cut(share)..cut(share + 1),
                blocks: block..block + 1,
                data,
                first: (tiles.start, 0),
            };
            match block.checked_sub(ins) {
                None => {
                    let maps = Inputs::<F4, M, N> { points, x: self.x, layout: x, padding };
                    let part = part(block, self.from);
                    isa.run(TransformStage { maps, grid, part, target: inputs });
                }
                Some(block) => {
                    let maps = Gradients::<F4, M, N> { points, dy: self.dy, layout: dy };
                    let part = part(block, self.to);
                    isa.run(TransformStage { maps, grid, part, target: gradients });
                }
            }
        });
    }

    /// Adds the products of a group to the sums at the points, of which there are none yet unless `add`.
    fn add(&self, maps: Maps<'_>, points: &mut [f32], add: bool) {
        let (points, task) = (Parts::new(points), &self.plan.tasks[0]);
        self.cpu.pool().for_each(N * N, |position, _| {
            self.cpu.isa().run(Products { maps, task, position, points, add });
        });
    }

    /// Transforms the sums at the points to those of the taps.
    fn finish(&self, points: &[f32], target: Target<'_>) {
        let task = &self.plan.tasks[0];
        self.cpu.pool().for_each(task.outs.len(), |out, _| {
            self.cpu.isa().run(Finish { task, points, target, out });
        });
    }

    /// Computes the pairs of every task from beginning to end.
    fn pairs(&self, maps: Maps<'_>, points: &mut [f32], target: Target<'_>) {
        let (tasks, len) = (&self.plan.tasks, self.plan.sizes().2);
        let points = Parts::new(points);
        let filled = Filled::new(maps.tiles, self.plan.grid, &self.plan.dy);
        self.cpu.pool().for_each(tasks.len(), |task, worker| {
            // SAFETY: no two tasks that run at the same time have the same worker.
            let points = unsafe { points.part(worker * len..(worker + 1) * len) };
            self.cpu.isa().run(Pairs { maps, task: &tasks[task], points, target, filled });
        });
    }
}

/// Layout of the sums of a task's pairs: `[position][panel][out block][16 out channels][channels of the panel]`.
#[derive(Clone, Copy)]
struct Sums {
    position: usize,
    outs: usize,
    /// Floats of a row: the channels of a panel.
    row: usize,
}

impl Sums {
    /// Positions are kept off the powers of two, as those of maps are.
    fn all(task: &Task) -> Self {
        let (outs, row) = (task.outs.len(), task.width * BLOCK);
        Self { position: task.panels() * outs * BLOCK * row + BLOCK, outs, row }
    }

    #[inline(always)]
    fn at(&self, panel: usize, out: usize) -> usize {
        (panel * self.outs + out) * BLOCK * self.row
    }

    #[inline(always)]
    fn place<'a>(&self, points: Parts<'a>, position: usize, at: usize) -> Place<'a> {
        Place { sums: points, at: position * self.position + at, row: self.row, block: BLOCK }
    }
}

/// The products of a group at one position.
struct Products<'a> {
    maps: Maps<'a>,
    task: &'a Task,
    position: usize,
    points: Parts<'a>,
    add: bool,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { maps, task, position, points, add } = self;
        let sums = Sums::all(task);
        let (ins, outs) = (task.ins.len(), task.outs.len());
        let mut slot = 0;
        for panel in 0..task.panels() {
            for out in task.outs.clone() {
                let to = sums.place(points, position, sums.at(panel, out));
                let outer = maps.outer(position, out, &task.panel(panel), to);
                // The next position is most likely this thread's next.
                let ahead = |slot: usize| match slot.checked_sub(ins) {
                    None => Some(maps.input((position + 1) % (N * N), slot)),
                    Some(out) => (out < outs).then(|| maps.gradient((position + 1) % (N * N), out)),
                };
                let ahead = [ahead(slot), ahead(slot + 1)];
                slot += 2;
                // SAFETY: the sums at a position are one task's.
                unsafe { run_outer(s, &Outer { from: add.then_some(to), ahead, ..outer }) }
            }
        }
    }
}

/// Transforms the sums of an output block.
struct Finish<'a> {
    task: &'a Task,
    points: &'a [f32],
    target: Target<'a>,
    out: usize,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { task, points, target, out } = self;
        let sums = Sums::all(task);
        for panel in 0..task.panels() {
            let at = sums.at(panel, out);
            let sums = taps::Sums { values: &points[at..], position: sums.position, row: sums.row };
            let rows = OutputRows { block: out, rows: 0..target.bands.rows(out) };
            let blocks = task.panel(panel);
            match blocks.len() * BLOCK / S::LANES {
                1 => finish::<S, 1>(s, sums, rows, blocks.start, target),
                2 => finish::<S, 2>(s, sums, rows, blocks.start, target),
                _ => finish::<S, 4>(s, sums, rows, blocks.start, target),
            }
        }
    }
}
