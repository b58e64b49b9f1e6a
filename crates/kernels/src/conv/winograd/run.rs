//! How the stages follow each other: tile block by tile block, or each over the whole batch.

use std::marker::PhantomData;
use std::ops::Range;

use super::expand::{self, ExpandStage};
use super::output::OutputStage;
use super::points::{F2, F4, Points, Strided};
use super::stages::{Grid, InputStage, ProductStage, Transformed};
use super::weights::WinogradWeights;
use crate::conv::kernel::KernelView;
use crate::conv::{Algorithm, ConvShape};
use crate::gemm::{Finish, Panels};
use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Isa, Layout, Pool};

/// Output channel blocks whose products are transformed back before the next are computed, where those of all
/// do not stay in the level 2 cache until then.
const GROUP: usize = 8;

/// Bytes of transformed weights that every block of tiles may read again: they stay in the last level
/// cache. On a Zen 5 with 32 MiB of it and two threads, 9.4 MB (256 channels) are read again at full rate
/// (1350 GFLOP/s by blocks, 1245 by phases), 37 MB (512 channels) are not (850 and 1180).
const WEIGHTS_AT_HAND: usize = 12 << 20;

/// Tiles that share a panel's expanded weights, at most.
const EXPANDED_TILES: usize = 128;

/// Tasks that a position's products are cut into where the stages follow each other over the batch.
const SHARES: usize = 4;

/// A convolution F(m x m, 3x3), at stride 1 or 2, ready to run.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Winograd {
    shape: ConvShape,
    input: Layout,
    output: Layout,
    /// m
    tile: usize,
    grid: Grid,
    /// Tiles of all images.
    tiles: usize,
    /// Blocks of tiles, of nearly equal sizes; each has its own sums.
    bands: usize,
    /// Output channel blocks of a block of tiles that are computed before they are transformed back.
    group: usize,
    order: Order,
    /// Where each input channel block lies in a position of the transformed inputs.
    offsets: Vec<usize>,
    /// Output channel blocks of a panel.
    width: usize,
}

/// In which order tiles go through the stages.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// A block of tiles goes through all stages before its thread takes the next: its transformed data
    /// stays in the level 2 cache, but the weights pass by once for each block.
    Blocks,
    /// All tiles go through a stage before the next begins: the weights pass by once.
    Phases,
    /// All inputs are transformed; then each panel of output channels goes through the other stages, with weights
    /// that are taken to the points on the way.
    Panels,
}

/// Weights in the form that the plan wants.
#[derive(Clone, Copy)]
pub(in crate::conv) enum Form<'a> {
    AtPoints(&'a WinogradWeights),
    AsTheyAre(&'a Panels),
}

impl Winograd {
    /// `algorithm` is one of the Winograd forms, and applies.
    pub(in crate::conv) fn new(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
        algorithm: Algorithm,
    ) -> Self {
        let four = [Algorithm::Winograd4, Algorithm::Strided4, Algorithm::Expanded4].contains(&algorithm);
        let tile = if four { 4 } else { 2 };
        let grid = Grid::of(&output, tile);
        let tiles = shape.batch * grid.down * grid.across;
        let mut plan = Self {
            shape,
            input,
            output,
            tile,
            grid,
            tiles,
            bands: 1,
            group: 1,
            order: Order::Phases,
            offsets: Vec::new(),
            width: cpu.isa().panel_blocks().min(output.blocks()),
        };
        if matches!(algorithm, Algorithm::Expanded2 | Algorithm::Expanded4) {
            plan.order = Order::Panels;
        }
        plan.bands = plan.bands_for(cpu);
        plan.group = plan.group_for(cpu);
        let weights = plan.positions() * input.blocks() * output.blocks() * BLOCK * BLOCK * size_of::<f32>();
        if !plan.expands() && plan.bands >= cpu.pool().threads() && weights <= WEIGHTS_AT_HAND {
            plan.order = Order::Blocks;
        }
        let (inputs, _) = plan.transformed();
        plan.offsets = (0..input.blocks()).map(|block| block * inputs.block()).collect();
        plan
    }

    /// Blocks whose transformed data fills three quarters of the level 2 cache, but of no fewer than two
    /// tiles of the micro-kernel; and an even number of them, for two threads to share if they are few.
    /// Not a function of the threads, unlike the order: sums are added up by blocks.
    fn bands_for(&self, cpu: &Cpu) -> usize {
        let rows = cpu.isa().tile_rows();
        if self.expands() {
            return self.tiles.div_ceil(EXPANDED_TILES);
        }
        let fit = self.tiles_that_fit(cpu, GROUP.min(self.output.blocks()));
        let together = (fit / rows * rows).max(2 * rows);
        self.tiles.div_ceil(together).next_multiple_of(2).min(self.tiles)
    }

    /// All output channel blocks where what a block of tiles has in them stays in the level 2 cache: its weights
    /// then pass by in the order in which they lie (256 channels on 14x14, one image: 2% faster for it).
    fn group_for(&self, cpu: &Cpu) -> usize {
        let all = self.output.blocks();
        let fits = self.tiles.div_ceil(self.bands) <= self.tiles_that_fit(cpu, all);
        if fits { all } else { GROUP.min(all) }
    }

    /// Tiles whose transformed inputs and products of `outs` blocks fill three quarters of the level 2 cache.
    fn tiles_that_fit(&self, cpu: &Cpu, outs: usize) -> usize {
        let tile = self.positions() * (self.input.blocks() + outs) * BLOCK * size_of::<f32>();
        cpu.level2_bytes() / 4 * 3 / tile
    }

    fn positions(&self) -> usize {
        let points = self.shape.stride[0] * self.tile + 3 - self.shape.stride[0];
        points * points
    }

    /// Whether weights are taken to the points while they are used.
    pub(in crate::conv) fn expands(&self) -> bool {
        matches!(self.order, Order::Panels)
    }

    /// Blocks of tiles, each of which has its own sums.
    pub(in crate::conv) fn bands(&self) -> usize {
        self.bands
    }

    /// The transformed inputs' and products' shapes, for one task or for all.
    fn transformed(&self) -> (Transformed, Transformed) {
        match self.order {
            Order::Blocks => {
                let tiles = self.tiles.div_ceil(self.bands);
                (Transformed::new(self.input.blocks(), tiles), Transformed::new(self.group, tiles))
            }
            Order::Phases => {
                let of = |blocks| Transformed::new(blocks, self.tiles);
                (of(self.input.blocks()), of(self.output.blocks()))
            }
            Order::Panels => {
                let tiles = self.tiles.div_ceil(self.bands);
                (Transformed::new(self.input.blocks(), self.tiles), Transformed::new(self.width, tiles))
            }
        }
    }

    /// Floats of workspace for `threads` threads.
    pub(in crate::conv) fn scratch(&self, threads: usize) -> usize {
        let (inputs, products) = self.transformed();
        let [inputs, products] = [inputs, products].map(|data| self.positions() * data.position);
        match self.order {
            Order::Blocks => (inputs + products) * threads,
            Order::Phases => inputs + products,
            Order::Panels => inputs + (products + expand::room(self.positions(), self.width)) * threads,
        }
    }

    /// Room for the weights as they are, in panels of `width` blocks.
    pub(in crate::conv) fn panels(&self, width: usize) -> Panels {
        Panels::zeroed([self.output.blocks(), width], BLOCK, self.shape.taps(), |_, _| 0..self.input.blocks())
    }

    /// Room for the transformed weights, in panels of `width` blocks.
    pub(in crate::conv) fn weights(&self, width: usize) -> WinogradWeights {
        WinogradWeights::zeroed(self.positions(), self.input.blocks(), self.output.blocks(), width)
    }

    /// Transforms and packs `kernels` into `weights`.
    pub(in crate::conv) fn pack(
        &self,
        pool: &Pool,
        isa: Isa,
        kernels: KernelView<'_>,
        weights: &mut WinogradWeights,
    ) {
        let channels = [self.shape.in_channels, self.shape.out_channels];
        match (self.tile, self.shape.stride[0]) {
            (4, 1) => weights.fill::<F4, 4, 6>(pool, isa, kernels, channels),
            (4, _) => weights.fill::<Strided<F4>, 4, 9>(pool, isa, kernels, channels),
            (_, 1) => weights.fill::<F2, 2, 4>(pool, isa, kernels, channels),
            _ => weights.fill::<Strided<F2>, 2, 5>(pool, isa, kernels, channels),
        }
    }

    /// Computes `y`; lengths have been checked.
    pub(in crate::conv) fn run(
        &self,
        cpu: &Cpu,
        x: &[f32],
        weights: Form<'_>,
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let y = Parts::new(y);
        let run = Run { plan: self, cpu, x, finish, y };
        match (self.tile, self.shape.stride[0]) {
            (4, 1) => run.stages::<F4, 4, 6>(weights, scratch),
            (4, _) => run.stages::<Strided<F4>, 4, 9>(weights, scratch),
            (_, 1) => run.stages::<F2, 2, 4>(weights, scratch),
            _ => run.stages::<Strided<F2>, 2, 5>(weights, scratch),
        }
    }
}

/// One run of a convolution.
struct Run<'a> {
    plan: &'a Winograd,
    cpu: &'a Cpu,
    x: &'a [f32],
    finish: &'a Finish<'a>,
    y: Parts<'a>,
}

impl Run<'_> {
    fn stages<P: Points<M, N>, const M: usize, const N: usize>(
        &self,
        weights: Form<'_>,
        scratch: &mut [f32],
    ) {
        match (weights, self.plan.order) {
            (Form::AsTheyAre(panels), _) => self.panels::<P, M, N>(panels, scratch),
            (Form::AtPoints(weights), Order::Blocks) => self.blocks::<P, M, N>(weights, scratch),
            (Form::AtPoints(weights), _) => self.phases::<P, M, N>(weights, scratch),
        }
    }

    fn blocks<P: Points<M, N>, const M: usize, const N: usize>(
        &self,
        weights: &WinogradWeights,
        scratch: &mut [f32],
    ) {
        let (plan, isa) = (self.plan, self.cpu.isa());
        let (from, to) = plan.transformed();
        let (inputs_len, products_len) = (N * N * from.position, N * N * to.position);
        let scratch = Parts::new(scratch);
        let list = weights.list();
        let in_group = (plan.group / list[0].blocks).max(1);
        self.cpu.pool().for_each(plan.bands(), |band, worker| {
            let start = worker * (inputs_len + products_len);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let inputs = unsafe { scratch.part(start..start + inputs_len) };
            // SAFETY: as above.
            let products = unsafe { scratch.part(start + inputs_len..start + inputs_len + products_len) };
            let tiles = band * plan.tiles / plan.bands()..(band + 1) * plan.tiles / plan.bands();
            let blocks = 0..plan.input.blocks();
            isa.run(self.input::<P, M, N>(tiles.clone(), blocks, Parts::new(inputs), from, (tiles.start, 0)));
            for first in (0..list.len()).step_by(in_group) {
                let panels = first..(first + in_group).min(list.len());
                let blocks = list[first].block..list[panels.end - 1].block + list[panels.end - 1].blocks;
                isa.run(ProductStage {
                    inputs,
                    from,
                    offsets: &plan.offsets,
                    weights,
                    positions: 0..N * N,
                    panels,
                    tiles: tiles.len(),
                    products: Parts::new(products),
                    to,
                    block: blocks.start,
                });
                let first = (tiles.start, blocks.start);
                isa.run(self.output::<P, M, N>(tiles.clone(), blocks, products, to, first, band));
            }
        });
    }

    fn phases<P: Points<M, N>, const M: usize, const N: usize>(
        &self,
        weights: &WinogradWeights,
        scratch: &mut [f32],
    ) {
        let (plan, isa, pool) = (self.plan, self.cpu.isa(), self.cpu.pool());
        let (from, to) = plan.transformed();
        let (inputs, products) = scratch.split_at_mut(N * N * from.position);
        let share = |i: usize, count: usize, of: usize| i * count / of..(i + 1) * count / of;
        let bands = plan.bands();

        self.all_inputs::<P, M, N>(inputs, from);

        let (panels, target) = (weights.list().len(), Parts::new(products));
        let shares = SHARES.min(panels);
        pool.for_each(N * N * shares, |task, _| {
            let position = task / shares;
            isa.run(ProductStage {
                inputs,
                from,
                offsets: &plan.offsets,
                weights,
                positions: position..position + 1,
                panels: share(task % shares, panels, shares),
                tiles: plan.tiles,
                products: target,
                to,
                block: 0,
            });
        });

        pool.for_each(plan.output.blocks() * bands, |task, _| {
            let (block, band) = (task / bands, task % bands);
            let tiles = share(band, plan.tiles, bands);
            isa.run(self.output::<P, M, N>(tiles, block..block + 1, products, to, (0, 0), band));
        });
    }

    fn panels<P: Points<M, N>, const M: usize, const N: usize>(&self, panels: &Panels, scratch: &mut [f32]) {
        let (plan, isa) = (self.plan, self.cpu.isa());
        let (from, to) = plan.transformed();
        let (inputs, scratch) = scratch.split_at_mut(N * N * from.position);
        self.all_inputs::<P, M, N>(inputs, from);

        let (weights, products) = (expand::room(N * N, plan.width), N * N * to.position);
        let scratch = Parts::new(scratch);
        self.cpu.pool().for_each(panels.list.len() * plan.bands(), |task, worker| {
            let (panel, band) = (&panels.list[task / plan.bands()], task % plan.bands());
            let tiles = band * plan.tiles / plan.bands()..(band + 1) * plan.tiles / plan.bands();
            let start = worker * (weights + products);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let room = unsafe { scratch.part(start..start + weights) };
            // SAFETY: as above.
            let products = unsafe { scratch.part(start + weights..start + weights + products) };
            isa.run(ExpandStage {
                points: PhantomData::<P>,
                inputs,
                from,
                offsets: &plan.offsets,
                panels,
                panel,
                tiles: tiles.clone(),
                weights: room,
                products: Parts::new(products),
                to,
            });
            let blocks = panel.block..panel.block + panel.blocks;
            isa.run(self.output::<P, M, N>(
                tiles.clone(),
                blocks,
                products,
                to,
                (tiles.start, panel.block),
                band,
            ));
        });
    }

    /// The transformed inputs of all tiles.
    fn all_inputs<P: Points<M, N>, const M: usize, const N: usize>(
        &self,
        inputs: &mut [f32],
        shape: Transformed,
    ) {
        let (plan, target) = (self.plan, Parts::new(inputs));
        // Enough tasks for many threads; not a function of theirs.
        let shares = plan.tiles.div_ceil(EXPANDED_TILES / 2);
        self.cpu.pool().for_each(plan.input.blocks() * shares, |task, _| {
            let (block, share) = (task / shares, task % shares);
            let tiles = share * plan.tiles / shares..(share + 1) * plan.tiles / shares;
            self.cpu.isa().run(self.input::<P, M, N>(tiles, block..block + 1, target, shape, (0, 0)));
        });
    }

    fn input<'a, P: Points<M, N>, const M: usize, const N: usize>(
        &'a self,
        tiles: Range<usize>,
        blocks: Range<usize>,
        target: Parts<'a>,
        shape: Transformed,
        first: (usize, usize),
    ) -> InputStage<'a, P, M, N> {
        let Winograd { input: layout, grid, .. } = *self.plan;
        let padding = self.plan.shape.padding;
        InputStage {
            points: PhantomData,
            x: self.x,
            layout,
            padding,
            grid,
            tiles,
            blocks,
            target,
            shape,
            first,
        }
    }

    fn output<'a, P: Points<M, N>, const M: usize, const N: usize>(
        &'a self,
        tiles: Range<usize>,
        blocks: Range<usize>,
        products: &'a [f32],
        shape: Transformed,
        first: (usize, usize),
        band: usize,
    ) -> OutputStage<'a, P, M, N> {
        let Winograd { output: layout, grid, .. } = *self.plan;
        let (finish, y) = (self.finish, self.y);
        OutputStage {
            points: PhantomData,
            products,
            shape,
            grid,
            tiles,
            blocks,
            first,
            finish,
            band,
            y,
            layout,
        }
    }
}
