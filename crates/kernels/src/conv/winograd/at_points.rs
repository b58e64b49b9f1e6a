//! Forms whose weights are packed at the points.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::gradient::WinogradGradient;
use super::points::{F2, F4, Points, Strided};
use super::products::ProductStage;
use super::run::{Cut, Run, is_3x3};
use super::tiles::{Part, Transformed};
use super::weights::PointWeights;
use crate::conv::kernel::KernelView;
use crate::conv::method::{Convolution, Method, Operands, Plan, Workers};
use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Error};

/// Cost of an input or output element of a Winograd transform in multiplications, stores
/// included. Solved from the prototype's rates for 64 channels on 56x56 (951 of 1380 GFLOP/s).
pub(super) const TRANSFORM: usize = 15;

/// [`TRANSFORM`] at stride 2. Fitted, with the least cost of a weight there, to one run of
/// `cargo bench --bench conv '3x3/2 forward'` with `RESIDUAL_ALGORITHMS`, AVX-512 and two threads at a peak of 535
/// GFLOP/s: of the 14 layers none is slower than direct, and 13.4 of 14 parts of the best rates are had; so for
/// transforms from 17 to 19.
const STRIDED_TRANSFORM: usize = 18;

/// Winograd's minimal filtering F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144.
pub(in crate::conv) const WINOGRAD4: Method = Method {
    key: "winograd4",
    name: "Winograd F(4x4,3x3)",
    weights: 36,
    error: 5e-6,
    plain: false,
    // The input transform checks the edges of the map itself. A border spares it that, but the long strips in
    // which a convolution writes a map without one are worth more.
    wants_border: false,
    long_strips: false,
    settles: None,
    applies: |shape, input| is_3x3(shape, input, 1),
    work: |load| Some(load.tiled(4, 36).at_points(TRANSFORM)),
    forward: AtPoints::<F4, 4, 6>::prepare,
    by_input: None,
    by_weights: Some(WinogradGradient::prepare),
};

/// Winograd's minimal filtering F(2x2, 3x3): 16 multiplications for 4 outputs instead of 36.
pub(in crate::conv) const WINOGRAD2: Method = Method {
    key: "winograd2",
    name: "Winograd F(2x2,3x3)",
    weights: 16,
    error: 2e-6,
    work: |load| Some(load.tiled(2, 16).at_points(TRANSFORM)),
    forward: AtPoints::<F2, 2, 4>::prepare,
    by_weights: None,
    ..WINOGRAD4
};

/// Minimal filtering at stride 2, by phases of the input, 4x4 outputs a tile: on each axis the even pixels meet two
/// taps, F(4, 2), and the odd ones one; 81 multiplications for 16 outputs instead of 144.
pub(in crate::conv) const STRIDED4: Method = Method {
    key: "strided4",
    name: "Winograd F(4x4,3x3) at stride 2",
    weights: 81,
    error: 2e-6,
    // Not measured without.
    wants_border: true,
    applies: |shape, input| is_3x3(shape, input, 2),
    work: |load| Some(load.tiled(4, 81).at_points(STRIDED_TRANSFORM)),
    forward: AtPoints::<Strided<F4>, 4, 9>::prepare,
    by_weights: None,
    ..WINOGRAD4
};

/// Minimal filtering at stride 2 with 2x2 outputs a tile, F(2, 2): 25 multiplications for 4 outputs instead of 36.
pub(in crate::conv) const STRIDED2: Method = Method {
    key: "strided2",
    name: "Winograd F(2x2,3x3) at stride 2",
    weights: 25,
    error: 1e-6,
    work: |load| Some(load.tiled(2, 25).at_points(STRIDED_TRANSFORM)),
    forward: AtPoints::<Strided<F2>, 2, 5>::prepare,
    ..STRIDED4
};

/// Output channel blocks whose products are transformed back before the next are computed, where those of all
/// do not stay in the level 2 cache until then. Not measured. Safe: products are added up in the same order for every
/// value.
const GROUP: usize = 8;

/// Bytes of transformed weights that every block of tiles may read again: they stay in the last level
/// cache. On a Zen 5 with 32 MiB of it and two threads, 9.4 MB (256 channels) are read again at full rate
/// (1350 GFLOP/s by blocks, 1245 by phases), 37 MB (512 channels) are not (850 and 1180).
const WEIGHTS_AT_HAND: usize = 12 << 20;

/// Tasks that a position's products are cut into where the stages follow each other over the batch. Not measured. Safe:
/// tasks write places of their own, so that no result depends on it.
const SHARES: usize = 4;

/// A convolution with weights at the points, ready to run.
#[derive(Clone, Debug)]
struct AtPoints<P, const M: usize, const N: usize> {
    cut: Cut,
    /// Blocks of tiles, of nearly equal sizes; each has its own sums.
    bands: usize,
    /// Output channel blocks of a block of tiles that are computed before they are transformed back.
    group: usize,
    order: Order,
    /// Offset of each input channel block in a position of the transformed inputs.
    offsets: Vec<usize>,
    weights: PointWeights,
    points: PhantomData<P>,
}

/// Order in which tiles go through the stages.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// A block of tiles goes through all stages before its thread takes the next: its transformed data
    /// stays in the level 2 cache, but the weights are read once for each block.
    Blocks,
    /// Stages one after the other, each over all tiles: the weights are read once.
    Phases,
}

impl<P: Points<M, N>, const M: usize, const N: usize> AtPoints<P, M, N> {
    fn prepare(cpu: &Cpu, of: &Convolution) -> Result<Arc<dyn Plan>, Error> {
        Ok(Arc::new(Self::new(cpu, of)))
    }

    fn new(cpu: &Cpu, of: &Convolution) -> Self {
        let cut = Cut::new(of, M);
        let (ins, outs) = (cut.ins(), cut.outs());
        let bands = Self::bands_for(cpu, &cut);
        let weights = PointWeights::new(N * N, ins, outs, cpu.isa().panel_blocks().min(outs));
        let at_hand = weights.floats() * size_of::<f32>() <= WEIGHTS_AT_HAND;
        let order = if bands >= cpu.pool().threads() && at_hand { Order::Blocks } else { Order::Phases };
        let group = Self::group_for(cpu, &cut, bands);
        let mut plan = Self { cut, bands, group, order, offsets: Vec::new(), weights, points: PhantomData };
        plan.offsets = plan.cut.offsets(plan.transformed().0);
        plan
    }

    /// Blocks whose transformed data fills three quarters of the level 2 cache, but of no fewer than two
    /// tiles of the micro-kernel; and an even number of them, for two threads to share if they are few.
    /// Not a function of the threads, unlike the order: sums are added up by blocks.
    fn bands_for(cpu: &Cpu, cut: &Cut) -> usize {
        let rows = cpu.isa().tile_rows();
        let fit = Self::tiles_that_fit(cpu, cut, GROUP.min(cut.outs()));
        let together = (fit / rows * rows).max(2 * rows);
        cut.tiles.div_ceil(together).next_multiple_of(2).min(cut.tiles)
    }

    /// Output channel blocks that are computed together: all, where what a block of tiles has in them stays in the
    /// level 2 cache: its weights then pass by in the order in which they lie (256 channels on 14x14, one image: 2%
    /// faster for it).
    fn group_for(cpu: &Cpu, cut: &Cut, bands: usize) -> usize {
        let all = cut.outs();
        let fits = cut.tiles.div_ceil(bands) <= Self::tiles_that_fit(cpu, cut, all);
        if fits { all } else { GROUP.min(all) }
    }

    /// Tiles whose transformed inputs and products of `outs` blocks fill three quarters of the level 2 cache.
    fn tiles_that_fit(cpu: &Cpu, cut: &Cut, outs: usize) -> usize {
        let tile = N * N * (cut.ins() + outs) * BLOCK * size_of::<f32>();
        cpu.level2_bytes() / 4 * 3 / tile
    }

    /// The transformed inputs' and products' shapes, for one task or for all.
    fn transformed(&self) -> (Transformed, Transformed) {
        let (ins, tiles) = (self.cut.ins(), self.cut.tiles);
        match self.order {
            Order::Blocks => {
                let tiles = tiles.div_ceil(self.bands);
                (Transformed::new(ins, tiles), Transformed::new(self.group, tiles))
            }
            Order::Phases => (Transformed::new(ins, tiles), Transformed::new(self.cut.outs(), tiles)),
        }
    }

    /// The tiles of band `band`.
    fn band(&self, band: usize) -> Range<usize> {
        band * self.cut.tiles / self.bands..(band + 1) * self.cut.tiles / self.bands
    }

    fn blocks(&self, run: &Run<'_, P, M, N>, values: &[f32], scratch: &mut [f32]) {
        let (isa, list) = (run.cpu.isa(), self.weights.list());
        let (from, to) = self.transformed();
        let (inputs_len, products_len) = (N * N * from.position, N * N * to.position);
        let scratch = Parts::new(scratch);
        let in_group = (self.group / list[0].blocks).max(1);
        run.cpu.pool().for_each(self.bands, |band, worker| {
            let start = worker * (inputs_len + products_len);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let inputs = unsafe { scratch.part(start..start + inputs_len) };
            // SAFETY: as above.
            let products = unsafe { scratch.part(start + inputs_len..start + inputs_len + products_len) };
            let tiles = self.band(band);
            let part = |blocks: Range<usize>, data: Transformed| {
                let first = (tiles.start, blocks.start);
                Part { tiles: tiles.clone(), blocks, data, first }
            };
            isa.run(run.inputs(part(0..self.cut.ins(), from), Parts::new(inputs)));
            for first in (0..list.len()).step_by(in_group) {
                let panels = first..(first + in_group).min(list.len());
                let blocks = list[first].block..list[panels.end - 1].block + list[panels.end - 1].blocks;
                isa.run(ProductStage {
                    inputs,
                    from,
                    offsets: &self.offsets,
                    weights: &self.weights,
                    values,
                    positions: 0..N * N,
                    panels,
                    tiles: tiles.len(),
                    products: Parts::new(products),
                    to,
                    block: blocks.start,
                });
                isa.run(run.outputs(part(blocks, to), products, band));
            }
        });
    }

    fn phases(&self, run: &Run<'_, P, M, N>, values: &[f32], scratch: &mut [f32]) {
        let (isa, pool) = (run.cpu.isa(), run.cpu.pool());
        let (from, to) = self.transformed();
        let (inputs, products) = scratch.split_at_mut(N * N * from.position);
        run.all_inputs(Parts::new(inputs), from);

        let (panels, target) = (self.weights.list().len(), Parts::new(products));
        let shares = SHARES.min(panels);
        pool.for_each(N * N * shares, |task, _| {
            let (position, share) = (task / shares, task % shares);
            isa.run(ProductStage {
                inputs,
                from,
                offsets: &self.offsets,
                weights: &self.weights,
                values,
                positions: position..position + 1,
                panels: share * panels / shares..(share + 1) * panels / shares,
                tiles: self.cut.tiles,
                products: target,
                to,
                block: 0,
            });
        });

        pool.for_each(self.cut.outs() * self.bands, |task, _| {
            let (block, band) = (task / self.bands, task % self.bands);
            let part = Part { tiles: self.band(band), blocks: block..block + 1, data: to, first: (0, 0) };
            isa.run(run.outputs(part, products, band));
        });
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> Plan for AtPoints<P, M, N> {
    fn weights(&self) -> usize {
        self.weights.floats()
    }

    fn pack(&self, workers: Workers<'_>, kernels: KernelView<'_>, packed: &mut [f32]) {
        self.weights.fill::<P, M, N>(workers, kernels, self.cut.of.shape.in_channels, packed);
    }

    fn bands(&self) -> usize {
        self.bands
    }

    fn scratch(&self, threads: usize) -> usize {
        let (inputs, products) = self.transformed();
        let floats = N * N * (inputs.position + products.position);
        match self.order {
            Order::Blocks => floats * threads,
            Order::Phases => floats,
        }
    }

    fn run(&self, cpu: &Cpu, operands: Operands<'_>) {
        let (run, weights, scratch) = Run::new(&self.cut, cpu, operands);
        match self.order {
            Order::Blocks => self.blocks(&run, weights, scratch),
            Order::Phases => self.phases(&run, weights, scratch),
        }
    }
}
