//! The gradient by the weights, added up at the points.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::{F4, Points};
use super::stages::{GradientStage, Grid, InputStage, Transformed};
use crate::conv::ConvShape;
use crate::conv::backward::{Operand, Outer, Place, Rows, Target, Task, run_outer};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Layout};

/// Outputs and points of a tile on an axis.
const M: usize = 4;
const N: usize = 6;
const TAPS: usize = 9;

/// The most tiles of a group: those of a panel and an output block at a position, 24 KiB, stay in the level
/// 1 cache. On a Zen 5 (128 channels on 8x8, batch 128, share of the peak): 2.85 at 128 tiles, 2.6 at 192
/// and 256.
const TOGETHER: usize = 128;

/// The most tiles that go through the pairs as one group.
const AT_ONCE: usize = 256;

/// Bytes of a group's transformed maps: they stay in the last level cache.
const MAPS_AT_HAND: usize = 8 << 20;

/// Tasks that the transforms are cut into.
const SHARES: usize = 32;

/// `dw = G^T (sum over tiles of (A dy A^T) * (B^T x B)) G` for F(4x4, 3x3), ready to run.
///
/// The workspace holds the transformed maps of a group, at most 8 MiB of them (or of one tile) where there
/// are several groups, and the sums: four times the weights, or 72 KiB a thread in [`Order::Pairs`]. For 512
/// channels on 7x7, batch 16, that is 9.6 MB with two threads.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WinogradGradient {
    shape: ConvShape,
    x: Layout,
    dy: Layout,
    grid: Grid,
    /// Tiles of all images.
    tiles: usize,
    /// Groups of tiles, which are transformed and multiplied one after the other.
    groups: usize,
    order: Order,
    /// All pairs of channel blocks, in one task or several.
    tasks: Vec<Task>,
}

/// In which order tiles are multiplied once they are transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Group by group, and position by position: the sums at all points are kept from group to group.
    Groups,
    /// All tiles are one group. The sums of a pair of channel blocks are complete in one go over them, and
    /// transformed to the taps before the next pair's: they need no room, and do not leave the cache.
    Pairs,
}

impl WinogradGradient {
    /// The Winograd forms apply.
    pub(in crate::conv) fn new(cpu: &Cpu, shape: ConvShape, x: Layout, dy: Layout) -> Self {
        let grid = Grid { down: dy.height().div_ceil(M), across: dy.width().div_ceil(M) };
        let tiles = shape.batch * grid.down * grid.across;
        let width = cpu.isa().panel_blocks();
        let (ins, outs) = (x.blocks(), dy.blocks());
        // Sums at the points, and transformed maps, in blocks of 16 floats a position.
        let (sums, maps) = (ins * outs * BLOCK, tiles * (ins + outs));
        if tiles <= AT_ONCE && sums > maps {
            let tasks = Task::all([outs, ins], width, [4, 1]);
            return Self { shape, x, dy, grid, tiles, groups: 1, order: Order::Pairs, tasks };
        }
        let fit = MAPS_AT_HAND / (N * N * (ins + outs) * BLOCK * size_of::<f32>());
        let groups = tiles.div_ceil(fit.clamp(1, TOGETHER));
        let tasks = Task::all([outs, ins], width, [outs, ins]);
        Self { shape, x, dy, grid, tiles, groups, order: Order::Groups, tasks }
    }

    /// Transformed inputs and gradients of a group, and floats of sums at the points: of all pairs of
    /// channel blocks, or of one.
    fn sizes(&self) -> (Transformed, Transformed, usize) {
        let of = |blocks| Transformed::new(blocks, self.tiles.div_ceil(self.groups));
        let sums = match self.order {
            Order::Groups => Sums::all(&self.tasks[0]),
            Order::Pairs => Sums::pair(&self.tasks[0]),
        };
        (of(self.x.blocks()), of(self.dy.blocks()), N * N * sums.position)
    }

    /// Floats of workspace for `threads` threads.
    pub(in crate::conv) fn scratch(&self, threads: usize) -> usize {
        let (inputs, gradients, sums) = self.sizes();
        let sums = if self.order == Order::Pairs { sums * threads } else { sums };
        N * N * (inputs.position + gradients.position) + sums
    }

    /// Computes the gradient; lengths have been checked.
    pub(in crate::conv) fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        dy: &[f32],
        target: Target<'_>,
        scratch: &mut [f32],
    ) {
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

/// One computation of a gradient.
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
        let WinogradGradient { shape: ConvShape { padding, .. }, x, dy, grid, .. } = *self.plan;
        let (ins, outs) = (x.blocks(), dy.blocks());
        let shares = SHARES.div_ceil(ins + outs).min(tiles.len());
        let [inputs, gradients] = [inputs, gradients].map(Parts::new);
        let points = PhantomData;
        self.cpu.pool().for_each(shares * (ins + outs), |task, _| {
            let (block, share) = (task / shares, task % shares);
            let cut = |share: usize| tiles.start + share * tiles.len() / shares;
            let (first, tiles) = ((tiles.start, 0), cut(share)..cut(share + 1));
            match block.checked_sub(ins) {
                None => self.cpu.isa().run(InputStage::<F4, M, N> {
                    points,
                    x: self.x,
                    layout: x,
                    padding,
                    grid,
                    tiles,
                    blocks: block..block + 1,
                    target: inputs,
                    shape: self.from,
                    first,
                }),
                Some(block) => self.cpu.isa().run(GradientStage::<F4, M, N> {
                    points,
                    dy: self.dy,
                    layout: dy,
                    grid,
                    tiles,
                    blocks: block..block + 1,
                    target: gradients,
                    shape: self.to,
                    first,
                }),
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
        self.cpu.pool().for_each(tasks.len(), |task, worker| {
            // SAFETY: no two tasks that run at the same time have the same worker.
            let points = unsafe { points.part(worker * len..(worker + 1) * len) };
            self.cpu.isa().run(Pairs { maps, task: &tasks[task], points, target });
        });
    }
}

/// The transformed maps of a group of tiles.
#[derive(Clone, Copy)]
struct Maps<'a> {
    inputs: &'a [f32],
    gradients: &'a [f32],
    from: Transformed,
    to: Transformed,
    tiles: usize,
}

impl<'a> Maps<'a> {
    #[inline(always)]
    fn input(&self, position: usize, block: usize) -> Operand<'a> {
        let at = position * self.from.position + block * self.from.block();
        Operand { values: self.inputs, at, line: 0, step: BLOCK }
    }

    #[inline(always)]
    fn gradient(&self, position: usize, block: usize) -> Operand<'a> {
        let at = position * self.to.position + block * self.to.block();
        Operand { values: self.gradients, at, line: 0, step: BLOCK }
    }

    /// The products at position `position` of an output block and a panel.
    #[inline(always)]
    fn outer(&self, position: usize, out: usize, panel: &Range<usize>, to: Place<'a>) -> Outer<'a> {
        Outer {
            left: self.gradient(position, out),
            rows: Rows::Block(BLOCK),
            right: self.input(position, panel.start),
            right_block: self.from.block(),
            blocks: panel.len(),
            lines: 1,
            pixels: self.tiles,
            from: None,
            to,
            ahead: [None; 2],
        }
    }
}

/// Where the sums at the points lie: `[position][panel][out block][16 out channels][channels of the panel]`.
#[derive(Clone, Copy)]
struct Sums {
    position: usize,
    outs: usize,
    /// Floats of a row: the channels of a panel.
    row: usize,
}

impl Sums {
    /// Of all pairs of a task. Positions are kept off the powers of two, as those of maps are.
    fn all(task: &Task) -> Self {
        let (outs, row) = (task.outs.len(), task.width * BLOCK);
        Self { position: task.panels() * outs * BLOCK * row + BLOCK, outs, row }
    }

    /// Of one pair.
    fn pair(task: &Task) -> Self {
        let row = task.width * BLOCK;
        Self { position: BLOCK * row + BLOCK, outs: 1, row }
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
            finish(s, &points[sums.at(panel, out)..], sums, (out, task.panel(panel)), target);
        }
    }
}

/// All products of a task's pairs of channel blocks, one pair after the other.
struct Pairs<'a> {
    maps: Maps<'a>,
    task: &'a Task,
    points: &'a mut [f32],
    target: Target<'a>,
}

impl Kernel for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { maps, task, points, target } = self;
        let sums = Sums::pair(task);
        for panel in 0..task.panels() {
            let blocks = task.panel(panel);
            for out in task.outs.clone() {
                let parts = Parts::new(points);
                for position in 0..N * N {
                    target.fetch(s, out, blocks.clone(), position);
                    let outer = maps.outer(position, out, &blocks, sums.place(parts, position, 0));
                    let ahead = [Some(maps.gradient((position + 1) % (N * N), out)), None];
                    // SAFETY: the sums are this task's own.
                    unsafe { run_outer(s, &Outer { ahead, ..outer }) }
                }
                finish(s, points, sums, (out, blocks.clone()), target);
            }
        }
    }
}

/// `G^T u G` of the sums of an output block and a panel, put where they belong.
#[inline(always)]
fn finish<S: Simd>(
    s: S,
    points: &[f32],
    sums: Sums,
    (out, blocks): (usize, Range<usize>),
    target: Target<'_>,
) {
    for i in 0..target.bands.rows(out) {
        for (index, block) in blocks.clone().enumerate() {
            let (rows, at) = target.at(0, out, block);
            let at = at + i * target.bands.row(out);
            // SAFETY: the rows of a task's output blocks are its own at its input blocks.
            let to = unsafe { rows.part(at..at + TAPS * BLOCK) };
            for lane in (0..BLOCK).step_by(S::LANES) {
                let taps = to_taps(s, &points[i * sums.row + index * BLOCK + lane..], sums.position);
                // SAFETY: the part has the taps of all channels of the block.
                unsafe { s.weave(to.as_mut_ptr().add(TAPS * lane), taps) };
            }
        }
    }
}

/// `G^T u G` of vectors that lie `position` floats apart.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
fn to_taps<S: Simd>(s: S, points: &[f32], position: usize) -> [S::V; TAPS] {
    assert!((N * N - 1) * position + S::LANES <= points.len());
    let mut half = [[s.zero(); N]; 3];
    for j in 0..N {
        let mut column = [s.zero(); N];
        for i in 0..N {
            // SAFETY: the last position was checked.
            column[i] = unsafe { s.load(points.as_ptr().add((i * N + j) * position)) };
        }
        let column = kernel(s, column);
        for row in 0..3 {
            half[row][j] = column[row];
        }
    }
    let mut taps = [s.zero(); TAPS];
    for row in 0..3 {
        let row_taps = kernel(s, half[row]);
        for column in 0..3 {
            taps[3 * row + column] = row_taps[column];
        }
    }
    taps
}

/// `G^T u`: the points p and -p, which are neighbours, share the even and the odd powers.
#[inline(always)]
fn kernel<S: Simd>(s: S, u: [S::V; N]) -> [S::V; 3] {
    let g = |point: usize, tap: usize| s.splat(<F4 as Points<M, N>>::G[point][tap] as f32);
    let (even_a, odd_a) = (s.add(u[1], u[2]), s.sub(u[1], u[2]));
    let (even_b, odd_b) = (s.add(u[3], u[4]), s.sub(u[3], u[4]));
    [
        s.fma(g(0, 0), u[0], s.fma(g(1, 0), even_a, s.mul(g(3, 0), even_b))),
        s.fma(g(1, 1), odd_a, s.mul(g(3, 1), odd_b)),
        s.fma(g(1, 2), even_a, s.fma(g(3, 2), even_b, u[5])),
    ]
}
