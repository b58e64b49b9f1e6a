//! The gradient by the weights, added up at the points.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::{F4, Points};
use super::stages::{GradientStage, Grid, InputStage, Transformed};
use crate::conv::ConvShape;
use crate::conv::backward::{Outer, PanelSums, PartialSums, run_outer};
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

/// `dw = G^T (sum over tiles of (B^T x B) * (A dy A^T)) G` for F(4x4, 3x3), ready to run.
///
/// A task has some input and some output channel blocks: all positions' sums of their products stay in
/// the level 2 cache while blocks of tiles are transformed and multiplied. The transforms are repeated
/// for every group of channels on the other side, which costs less than to keep them.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WinogradGradient {
    shape: ConvShape,
    x: Layout,
    dy: Layout,
    grid: Grid,
    /// Tiles of all images, and of a block.
    tiles: usize,
    together: usize,
    /// The panels and the input blocks of each task.
    tasks: Vec<(Range<usize>, Range<usize>)>,
    /// Channel blocks of a task at most, (in, out).
    groups: [usize; 2],
}

impl WinogradGradient {
    /// The Winograd forms apply.
    pub(in crate::conv) fn new(
        cpu: &Cpu,
        shape: ConvShape,
        x: Layout,
        dy: Layout,
        sums: &PartialSums,
    ) -> Self {
        let width = sums.panels[0].blocks.len();
        let level2 = cpu.level2_bytes() / size_of::<f32>();
        // Sums of 4 by 4 channel blocks fill 590 KB.
        let inputs = if level2 >= 1 << 18 { GROUP } else { GROUP / 2 }.min(x.blocks());
        let panels = (GROUP / width).clamp(1, sums.panels.len());
        let groups = [inputs, panels * width];
        let per_tile = N * N * BLOCK * (groups[0] + groups[1]);
        let left = (level2 / 8 * 7).saturating_sub(N * N * groups[0] * groups[1] * BLOCK * BLOCK);
        let grid = Grid { down: dy.height().div_ceil(M), across: dy.width().div_ceil(M) };
        let tiles = shape.batch * grid.down * grid.across;
        let together = (left / per_tile).clamp(FEWEST, 64).min(tiles);
        let cut = |len: usize, by: usize| {
            let parts = len.div_ceil(by);
            (0..parts).map(move |part| part * len / parts..(part + 1) * len / parts)
        };
        let of = |panels: Range<usize>| cut(x.blocks(), inputs).map(move |blocks| (panels.clone(), blocks));
        let tasks = cut(sums.panels.len(), panels).flat_map(of).collect();
        Self { shape, x, dy, grid, tiles, together, tasks, groups }
    }

    /// Tasks of a band.
    pub(in crate::conv) fn pairs(&self) -> usize {
        self.tasks.len()
    }

    /// Blocks of tiles, the most bands that there can be.
    pub(in crate::conv) fn blocks_of_tiles(&self) -> usize {
        self.tiles.div_ceil(self.together)
    }

    /// Transformed inputs, transformed gradients, and floats of the sums.
    fn sizes(&self) -> (Transformed, Transformed, usize) {
        let of = |blocks| Transformed::new(blocks, self.together);
        let [ins, outs] = self.groups;
        (of(ins), of(outs), N * N * ins * outs * BLOCK * BLOCK)
    }

    /// Floats of workspace for `threads` threads.
    pub(in crate::conv) fn scratch(&self, threads: usize) -> usize {
        let (inputs, gradients, sums) = self.sizes();
        (N * N * (inputs.position + gradients.position) + sums) * threads
    }

    /// Computes the partial sums; lengths have been checked.
    pub(in crate::conv) fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        dy: &[f32],
        sums: &PartialSums,
        partial: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (target, scratch) = (Parts::new(partial), Parts::new(scratch));
        let (from, to, len) = self.sizes();
        let (inputs, gradients) = (N * N * from.position, N * N * to.position);
        let blocks = self.blocks_of_tiles();
        cpu.pool().for_each(sums.bands * self.tasks.len(), |task, worker| {
            let (band, task) = (task / self.tasks.len(), &self.tasks[task % self.tasks.len()]);
            let start = worker * (inputs + gradients + len);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let all = unsafe { scratch.part(start..start + inputs + gradients + len) };
            let (inputs, rest) = all.split_at_mut(inputs);
            let (gradients, points) = rest.split_at_mut(gradients);
            points.fill(0.0);
            let blocks = band * blocks / sums.bands..(band + 1) * blocks / sums.bands;
            let panels = &sums.panels[task.0.clone()];
            let mut share = Share { plan: self, x, dy, panels, reads: task.1.clone(), from, to };
            for block in blocks {
                share.add(cpu, block, inputs, gradients, points);
            }
            cpu.isa().run(Finish { share: &share, points, target, at: band * sums.band });
        });
    }
}

/// Some tiles, for some panels and some input blocks.
struct Share<'a> {
    plan: &'a WinogradGradient,
    x: &'a [f32],
    dy: &'a [f32],
    panels: &'a [PanelSums],
    reads: Range<usize>,
    from: Transformed,
    to: Transformed,
}

impl Share<'_> {
    /// Adds the products of the tiles of block `block` to the sums at the points.
    fn add(
        &mut self,
        cpu: &Cpu,
        block: usize,
        inputs: &mut [f32],
        gradients: &mut [f32],
        points: &mut [f32],
    ) {
        let WinogradGradient { shape, x, dy, grid, tiles, .. } = *self.plan;
        let count = self.plan.blocks_of_tiles();
        let tiles = block * tiles / count..(block + 1) * tiles / count;
        let outputs = self.panels[0].blocks.start..self.panels[self.panels.len() - 1].blocks.end;
        cpu.isa().run(InputStage::<F4, M, N> {
            points: PhantomData,
            x: self.x,
            layout: x,
            padding: shape.padding,
            grid,
            tiles: tiles.clone(),
            blocks: self.reads.clone(),
            target: Parts::new(inputs),
            shape: self.from,
            first: (tiles.start, self.reads.start),
        });
        cpu.isa().run(GradientStage::<F4, M, N> {
            points: PhantomData,
            dy: self.dy,
            layout: dy,
            grid,
            tiles: tiles.clone(),
            blocks: outputs,
            target: Parts::new(gradients),
            shape: self.to,
        });
        cpu.isa().run(Products {
            share: self,
            inputs,
            gradients,
            tiles: tiles.len(),
            points: Parts::new(points),
        });
    }

    /// Where the sums of position `position`, the share's `block`th input block and `panel`th panel lie.
    fn at(&self, position: usize, block: usize, panel: usize) -> usize {
        let width = self.panels[0].blocks.len();
        ((position * self.reads.len() + block) * self.panels.len() + panel) * width * BLOCK * BLOCK
    }
}

/// The products of one block of tiles.
struct Products<'a> {
    share: &'a Share<'a>,
    inputs: &'a [f32],
    gradients: &'a [f32],
    tiles: usize,
    points: Parts<'a>,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Share { panels, reads, from, to, .. } = self.share;
        let first = panels[0].blocks.start;
        for position in 0..N * N {
            for block in 0..reads.len() {
                for (index, panel) in panels.iter().enumerate() {
                    let outer = Outer {
                        x: self.inputs,
                        x_at: position * from.position + block * from.block(),
                        x_row: 0,
                        x_step: BLOCK,
                        offsets: None,
                        y: self.gradients,
                        y_at: position * to.position + (panel.blocks.start - first) * to.block(),
                        y_row: 0,
                        y_block: to.block(),
                        rows: 1,
                        pixels: self.tiles,
                        blocks: panel.blocks.len(),
                        sums: self.points,
                        sums_at: self.share.at(position, block, index),
                    };
                    // SAFETY: the sums are this task's own.
                    unsafe { run_outer(s, &outer) }
                }
            }
        }
    }
}

/// Transforms the sums at the points to those of the taps: `G^T u G`.
struct Finish<'a> {
    share: &'a Share<'a>,
    points: &'a [f32],
    target: Parts<'a>,
    /// Where the band's sums start.
    at: usize,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Share { panels, reads, .. } = self.share;
        for (index, panel) in panels.iter().enumerate() {
            let len = panel.blocks.len() * BLOCK * BLOCK;
            for (block, read) in reads.clone().enumerate() {
                let from = self.share.at(0, block, index);
                let to = self.at + panel.index(read, 0, TAPS, BLOCK);
                let position = self.share.at(1, 0, 0);
                assert!(from + (N * N - 1) * position + len <= self.points.len());
                assert!(to + TAPS * len <= self.target.len());
                for at in (0..len).step_by(S::LANES) {
                    // SAFETY: checked for every position and tap; the sums of a task are its own.
                    unsafe {
                        let points = self.points.as_ptr().add(from + at);
                        taps(s, points, position, self.target.pointer(to + at), len);
                    }
                }
            }
        }
    }
}

/// `G^T u G` of the vectors that lie `position` floats apart, to vectors `tap` floats apart.
///
/// # Safety
/// All of them can be read, or written.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
unsafe fn taps<S: Simd>(s: S, points: *const f32, position: usize, target: *mut f32, tap: usize) {
    let g = |point: usize, tap: usize| s.splat(<F4 as Points<M, N>>::G[point][tap] as f32);
    let mut half = [[s.zero(); N]; 3];
    for j in 0..N {
        for i in 0..N {
            // SAFETY: the caller vouches for every position.
            let u = unsafe { s.load(points.add((i * N + j) * position)) };
            for row in 0..3 {
                half[row][j] = s.fma(g(i, row), u, half[row][j]);
            }
        }
    }
    for row in 0..3 {
        for column in 0..3 {
            let mut sum = s.zero();
            for j in 0..N {
                sum = s.fma(g(j, column), half[row][j], sum);
            }
            // SAFETY: the caller vouches for every tap.
            unsafe { s.store(target.add((row * 3 + column) * tap), sum) }
        }
    }
}
