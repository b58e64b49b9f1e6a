//! The gradient by the weights, added up at the points.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::{F4, Points};
use super::stages::{GradientStage, Grid, InputStage, Transformed};
use crate::conv::ConvShape;
use crate::conv::backward::{Bands, Operand, Outer, Place, Rows, Target, Task, run_outer};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Layout};

/// Outputs and points of a tile on an axis.
const M: usize = 4;
const N: usize = 6;
const TAPS: usize = 9;

/// Channel blocks of the input whose sums are kept in the level 2 cache, and of the output.
const GROUP: usize = 4;

/// The fewest tiles of a block: fewer, and loading and storing the sums costs more than what the cache
/// saves (64 channels on 16x16, Zen 5: 1105 GFLOP/s at 17 tiles, 1212 at 32).
const FEWEST: usize = 32;

/// Bytes of transformed maps that may wait for their products: they stay in the last level cache.
const MAPS_AT_HAND: usize = 20 << 20;

/// Tasks that the transforms are cut into where they come first.
const SHARES: usize = 32;

/// `dw = G^T (sum over tiles of (A dy A^T) * (B^T x B)) G` for F(4x4, 3x3), ready to run.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WinogradGradient {
    shape: ConvShape,
    x: Layout,
    dy: Layout,
    grid: Grid,
    /// Tiles of all images.
    tiles: usize,
    order: Order,
    /// The tasks of a band.
    tasks: Vec<Task>,
}

/// In which order tiles are transformed and multiplied.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// A task has some input and some output channel blocks: all positions' sums of their products stay in
    /// the level 2 cache while blocks of `together` tiles are transformed and multiplied. The transforms
    /// are repeated for every group of channels on the other side, which costs less than to keep them.
    Blocks { together: usize },
    /// All tiles are transformed first. The sums of a pair of channel blocks are then complete in one go
    /// over them, and transformed to the taps before the next pair's.
    Phases,
}

impl WinogradGradient {
    /// The Winograd forms apply.
    pub(in crate::conv) fn new(cpu: &Cpu, shape: ConvShape, x: Layout, dy: Layout, bands: &mut Bands) -> Self {
        let grid = Grid { down: dy.height().div_ceil(M), across: dy.width().div_ceil(M) };
        let tiles = shape.batch * grid.down * grid.across;
        let width = cpu.isa().panel_blocks();
        let blocks = [dy.blocks(), x.blocks()];
        let maps = N * N * tiles * (x.blocks() + dy.blocks()) * BLOCK * size_of::<f32>();
        let mut plan = Self { shape, x, dy, grid, tiles, order: Order::Phases, tasks: Vec::new() };
        let max: usize = std::env::var("PHASES").ok().and_then(|s| s.parse().ok()).unwrap_or(256);
        if tiles <= max && maps <= MAPS_AT_HAND {
            plan.tasks = Task::all(blocks, width, [4, 1]);
        } else {
            plan.blocks(cpu, blocks, width);
            bands.cut(plan.tasks.len(), plan.blocks_of_tiles(), tiles * N * N);
        }
        plan
    }

    /// Chooses the order by blocks, and its tasks.
    fn blocks(&mut self, cpu: &Cpu, [outs, ins]: [usize; 2], width: usize) {
        let level2 = cpu.level2_bytes() / size_of::<f32>();
        // Sums of 4 by 4 channel blocks fill 590 KB.
        let outs_together = if level2 >= 1 << 18 { GROUP } else { GROUP / 2 }.min(outs);
        let panels = (GROUP / width).clamp(1, ins.div_ceil(width));
        let per_tile = N * N * BLOCK * (outs_together + panels * width);
        let left = (level2 / 8 * 7).saturating_sub(N * N * outs_together * panels * width * BLOCK * BLOCK);
        self.order = Order::Blocks { together: (left / per_tile).clamp(FEWEST, 64).min(self.tiles) };
        self.tasks = Task::all([outs, ins], width, [outs_together, panels]);
    }

    /// Tiles that are transformed at once.
    fn together(&self) -> usize {
        match self.order {
            Order::Blocks { together } => together,
            Order::Phases => self.tiles,
        }
    }

    /// Blocks of tiles, the most bands that there can be.
    fn blocks_of_tiles(&self) -> usize {
        self.tiles.div_ceil(self.together())
    }

    /// Transformed inputs, transformed gradients, and floats of a task's sums.
    fn sizes(&self) -> (Transformed, Transformed, usize) {
        let most = |len: &dyn Fn(&Task) -> usize| self.tasks.iter().map(len).max().unwrap_or(0);
        let of = |blocks| Transformed::new(blocks, self.together());
        let pair = N * N * BLOCK * self.tasks[0].width * BLOCK;
        match self.order {
            Order::Blocks { .. } => {
                let pairs = most(&|task| task.panels() * task.outs.len());
                (of(most(&|task| task.ins.len())), of(most(&|task| task.outs.len())), pairs * pair)
            }
            // A position's sums are kept off the powers of two, as transformed maps are.
            Order::Phases => (of(self.x.blocks()), of(self.dy.blocks()), pair + N * N * BLOCK),
        }
    }

    /// Floats of workspace for `threads` threads.
    pub(in crate::conv) fn scratch(&self, threads: usize) -> usize {
        let (inputs, gradients, sums) = self.sizes();
        let maps = N * N * (inputs.position + gradients.position);
        match self.order {
            Order::Blocks { .. } => (maps + sums) * threads,
            Order::Phases => maps + sums * threads,
        }
    }

    /// Computes the bands; lengths have been checked.
    pub(in crate::conv) fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        dy: &[f32],
        target: Target<'_>,
        scratch: &mut [f32],
    ) {
        let run = Run { plan: self, cpu, x, dy, target };
        match self.order {
            Order::Blocks { .. } => run.blocks(scratch),
            Order::Phases => run.phases(scratch),
        }
    }
}

/// One computation of a gradient.
struct Run<'a> {
    plan: &'a WinogradGradient,
    cpu: &'a Cpu,
    x: &'a [f32],
    dy: &'a [f32],
    target: Target<'a>,
}

impl Run<'_> {
    fn blocks(&self, scratch: &mut [f32]) {
        let plan = self.plan;
        let scratch = Parts::new(scratch);
        let (from, to, len) = plan.sizes();
        let (inputs, gradients) = (N * N * from.position, N * N * to.position);
        let (bands, count) = (self.target.bands, plan.blocks_of_tiles());
        self.cpu.pool().for_each(bands.count() * plan.tasks.len(), |task, worker| {
            let (band, task) = (task / plan.tasks.len(), &plan.tasks[task % plan.tasks.len()]);
            let start = worker * (inputs + gradients + len);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let all = unsafe { scratch.part(start..start + inputs + gradients + len) };
            let (inputs, rest) = all.split_at_mut(inputs);
            let (gradients, points) = rest.split_at_mut(gradients);
            let blocks = bands.share(band, count);
            for block in blocks.clone() {
                let tiles = block * plan.tiles / count..(block + 1) * plan.tiles / count;
                let first = tiles.start;
                self.inputs(tiles.clone(), task.ins.clone(), Parts::new(inputs), from, (first, task.ins.start));
                let start = (first, task.outs.start);
                self.gradients(tiles.clone(), task.outs.clone(), Parts::new(gradients), to, start);
                self.cpu.isa().run(Products {
                    maps: Maps { inputs, gradients, from, to, first: [task.outs.start, task.ins.start] },
                    task,
                    tiles: tiles.len(),
                    points: Parts::new(points),
                    add: block > blocks.start,
                });
            }
            self.cpu.isa().run(Finish { task, points, target: self.target, band });
        });
    }

    fn phases(&self, scratch: &mut [f32]) {
        let plan = self.plan;
        let (from, to, len) = plan.sizes();
        let (inputs, rest) = scratch.split_at_mut(N * N * from.position);
        let (gradients, points) = rest.split_at_mut(N * N * to.position);
        let (ins, outs) = (plan.x.blocks(), plan.dy.blocks());
        let shares = SHARES.div_ceil(ins + outs).min(plan.tiles);
        let [into, gradients_into] = [&mut *inputs, &mut *gradients].map(Parts::new);
        self.cpu.pool().for_each(shares * (ins + outs), |task, _| {
            let (block, share) = (task / shares, task % shares);
            let tiles = share * plan.tiles / shares..(share + 1) * plan.tiles / shares;
            match block.checked_sub(ins) {
                None => self.inputs(tiles, block..block + 1, into, from, (0, 0)),
                Some(block) => self.gradients(tiles, block..block + 1, gradients_into, to, (0, 0)),
            }
        });
        let points = Parts::new(points);
        let maps = Maps { inputs, gradients, from, to, first: [0, 0] };
        self.cpu.pool().for_each(plan.tasks.len(), |task, worker| {
            // SAFETY: no two tasks that run at the same time have the same worker.
            let points = unsafe { points.part(worker * len..(worker + 1) * len) };
            self.cpu.isa().run(Pairs { maps, task: &plan.tasks[task], tiles: plan.tiles, points, target: self.target });
        });
    }

    /// Transforms the tiles `tiles` of the input blocks `blocks`; `target` starts at tile and block `first`.
    fn inputs(
        &self,
        tiles: Range<usize>,
        blocks: Range<usize>,
        target: Parts<'_>,
        shape: Transformed,
        first: (usize, usize),
    ) {
        let WinogradGradient { shape: ConvShape { padding, .. }, x: layout, grid, .. } = *self.plan;
        let points = PhantomData;
        self.cpu.isa().run(InputStage::<F4, M, N> {
            points,
            x: self.x,
            layout,
            padding,
            grid,
            tiles,
            blocks,
            target,
            shape,
            first,
        });
    }

    /// The same of the output blocks `blocks` of the gradient.
    fn gradients(
        &self,
        tiles: Range<usize>,
        blocks: Range<usize>,
        target: Parts<'_>,
        shape: Transformed,
        first: (usize, usize),
    ) {
        let WinogradGradient { dy: layout, grid, .. } = *self.plan;
        let points = PhantomData;
        self.cpu.isa().run(GradientStage::<F4, M, N> {
            points,
            dy: self.dy,
            layout,
            grid,
            tiles,
            blocks,
            target,
            shape,
            first,
        });
    }
}

/// Transformed maps.
#[derive(Clone, Copy)]
struct Maps<'a> {
    inputs: &'a [f32],
    gradients: &'a [f32],
    from: Transformed,
    to: Transformed,
    /// The output and the input block with which they start.
    first: [usize; 2],
}

impl<'a> Maps<'a> {
    /// The products at position `position` of `tiles` tiles, of an output block and a panel.
    #[inline(always)]
    fn outer(&self, position: usize, out: usize, panel: &Range<usize>, tiles: usize, to: Place<'a>) -> Outer<'a> {
        let Self { inputs, gradients, from, to: gradient, first } = *self;
        let operand = |values, at| Operand { values, at, line: 0, step: BLOCK };
        Outer {
            left: operand(gradients, position * gradient.position + (out - first[0]) * gradient.block()),
            rows: Rows::Block(BLOCK),
            right: operand(inputs, position * from.position + (panel.start - first[1]) * from.block()),
            right_block: from.block(),
            blocks: panel.len(),
            lines: 1,
            pixels: tiles,
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
    fn new(task: &Task) -> Self {
        let (outs, row) = (task.outs.len(), task.width * BLOCK);
        Self { position: task.panels() * outs * BLOCK * row, outs, row }
    }

    #[inline(always)]
    fn place<'a>(&self, points: Parts<'a>, position: usize, panel: usize, out: usize) -> Place<'a> {
        let at = position * self.position + (panel * self.outs + out) * BLOCK * self.row;
        Place { sums: points, at, row: self.row, block: BLOCK }
    }
}

/// The products of one block of tiles.
struct Products<'a> {
    maps: Maps<'a>,
    task: &'a Task,
    tiles: usize,
    points: Parts<'a>,
    add: bool,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { maps, task, tiles, points, add } = self;
        let sums = Sums::new(task);
        for position in 0..N * N {
            for panel in 0..task.panels() {
                for (index, out) in task.outs.clone().enumerate() {
                    let to = sums.place(points, position, panel, index);
                    let outer = maps.outer(position, out, &task.panel(panel), tiles, to);
                    // SAFETY: the sums are this task's own.
                    unsafe { run_outer(s, &Outer { from: add.then_some(to), ..outer }) }
                }
            }
        }
    }
}

/// Transforms the sums at the points to those of the taps.
struct Finish<'a> {
    task: &'a Task,
    points: &'a [f32],
    target: Target<'a>,
    band: usize,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { task, points, target, band } = self;
        let sums = Sums::new(task);
        for panel in 0..task.panels() {
            for (index, out) in task.outs.clone().enumerate() {
                let at = (panel * sums.outs + index) * BLOCK * sums.row;
                finish(s, &points[at..], sums, (out, task.panel(panel)), target, band);
            }
        }
    }
}

/// All products of a task's pairs of channel blocks, one pair after the other.
struct Pairs<'a> {
    maps: Maps<'a>,
    task: &'a Task,
    tiles: usize,
    points: &'a mut [f32],
    target: Target<'a>,
}

impl Kernel for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { maps, task, tiles, points, target } = self;
        let row = task.width * BLOCK;
        let sums = Sums { position: BLOCK * row + BLOCK, outs: 1, row };
        for panel in 0..task.panels() {
            let blocks = task.panel(panel);
            for out in task.outs.clone() {
                let place = Parts::new(points);
                for position in 0..N * N {
                    let outer = maps.outer(position, out, &blocks, tiles, sums.place(place, position, 0, 0));
                    let next = maps.outer((position + 1) % (N * N), out, &blocks, tiles, outer.to);
                    let ahead = [Some(next.left); 2];
                    // SAFETY: the sums are this task's own.
                    unsafe { run_outer(s, &Outer { ahead, ..outer }) }
                }
                finish(s, points, sums, (out, blocks.clone()), target, 0);
            }
        }
    }
}

/// `G^T u G` of the sums of an output block and a panel, put among the weights of band `band`.
#[inline(always)]
fn finish<S: Simd>(
    s: S,
    points: &[f32],
    sums: Sums,
    (out, blocks): (usize, Range<usize>),
    target: Target<'_>,
    band: usize,
) {
    for i in 0..target.bands.rows(out) {
        for (index, block) in blocks.clone().enumerate() {
            let (rows, at) = target.at(band, out, block);
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
