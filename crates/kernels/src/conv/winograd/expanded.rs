//! Forms whose weights are packed as they are and taken to the points while they are used
//! (`docs/decisions/014-weights-expanded-in-the-cache.md`).

use std::marker::PhantomData;
use std::sync::Arc;

use super::at_points::{TRANSFORM, WINOGRAD2, WINOGRAD4};
use super::expand::{self, ExpandStage};
use super::points::{F2, F4, Points, TAPS};
use super::run::{Cut, Run};
use super::tiles::{Part, Transformed};
use crate::conv::cost::{Load, Weights};
use crate::conv::kernel::KernelView;
use crate::conv::method::{Convolution, Method, Operands, Plan, Workers};
use crate::conv::pack::pack_panels;
use crate::gemm::Panels;
use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Error};

/// Cost of taking a weight to a point, in multiplications. Solved with [`PRODUCT`].
const EXPANSION: usize = 6;

/// Slowdown of products with expanded weights, whose inputs pass by once for every panel: as
/// [`EXPANSION`], from layers with weights in the level 3 cache.
const PRODUCT: f64 = 1.16;

/// Bytes of weights at the points of F(4x4) from which on the expanded forms are thought of: with fewer there is little
/// to gain, and 16x128->128@28 (2.4 MB) takes 2.77 ms in place of 2.25.
const BYTES: usize = 4 << 20;

/// [`WINOGRAD4`] with weights that are packed as they are and taken to the points in the cache, every time: 9 of them
/// come from memory in place of 36.
pub(in crate::conv) const EXPANDED4: Method = Method {
    key: "expanded4",
    name: "Winograd F(4x4,3x3) expanded",
    weights: 9,
    work: |load| work(load, 4, 36),
    forward: Expanded::<F4, 4, 6>::prepare,
    by_weights: None,
    ..WINOGRAD4
};

/// [`WINOGRAD2`] in the same way: 9 weights in place of 16.
pub(in crate::conv) const EXPANDED2: Method = Method {
    key: "expanded2",
    name: "Winograd F(2x2,3x3) expanded",
    weights: 9,
    work: |load| work(load, 2, 16),
    forward: Expanded::<F2, 2, 4>::prepare,
    ..WINOGRAD2
};

/// `None` for weights that are at hand, or few.
fn work(load: &Load, tile: usize, points: usize) -> Option<f64> {
    let few = 36 * load.shape.in_channels * load.shape.out_channels * size_of::<f32>() < BYTES;
    let thought_of = load.kept != Weights::AtHand && !few;
    thought_of.then(|| load.tiled(tile, points).expanded(TRANSFORM, EXPANSION, PRODUCT))
}

/// Tiles that share a panel's expanded weights, at most: with 64 it is the same within 3%.
const TILES: usize = 128;

/// A convolution with weights as they are, ready to run: all inputs are transformed; then each panel of output channels
/// goes through the other stages, with weights that are taken to the points on the way.
#[derive(Clone, Debug)]
struct Expanded<P, const M: usize, const N: usize> {
    cut: Cut,
    /// Blocks of tiles, of nearly equal sizes; each has its own sums.
    bands: usize,
    /// Output channel blocks of a panel, at most.
    width: usize,
    /// Offset of each input channel block in a position of the transformed inputs.
    offsets: Vec<usize>,
    panels: Panels,
    points: PhantomData<P>,
}

impl<P: Points<M, N>, const M: usize, const N: usize> Expanded<P, M, N> {
    fn prepare(cpu: &Cpu, of: &Convolution) -> Result<Arc<dyn Plan>, Error> {
        let cut = Cut::new(of, M);
        let (ins, outs) = (cut.ins(), cut.outs());
        let width = cpu.isa().panel_blocks().min(outs);
        let bands = cut.tiles.div_ceil(TILES);
        let panels = Panels::new([outs, width], BLOCK, TAPS, |_, _| 0..ins);
        let offsets = cut.offsets(Transformed::new(ins, cut.tiles));
        Ok(Arc::new(Self { cut, bands, width, offsets, panels, points: PhantomData::<P> }))
    }

    /// The transformed inputs' shape, and that of a task's products.
    fn transformed(&self) -> (Transformed, Transformed) {
        let tiles = self.cut.tiles;
        (Transformed::new(self.cut.ins(), tiles), Transformed::new(self.width, tiles.div_ceil(self.bands)))
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> Plan for Expanded<P, M, N> {
    fn weights(&self) -> usize {
        self.panels.floats
    }

    fn pack(&self, workers: Workers<'_>, kernels: KernelView<'_>, packed: &mut [f32]) {
        pack_panels(workers, kernels, &self.panels, packed);
    }

    fn bands(&self) -> usize {
        self.bands
    }

    fn scratch(&self, threads: usize) -> usize {
        let (inputs, products) = self.transformed();
        let of_a_task = N * N * products.position + expand::room(N * N, self.width);
        N * N * inputs.position + of_a_task * threads
    }

    fn run(&self, cpu: &Cpu, operands: Operands<'_>) {
        let (run, values, scratch) = Run::<P, M, N>::new(&self.cut, cpu, operands);
        let (isa, panels, bands) = (cpu.isa(), &self.panels, self.bands);
        let (from, to) = self.transformed();
        let (inputs, scratch) = scratch.split_at_mut(N * N * from.position);
        run.all_inputs(Parts::new(inputs), from);

        let (weights, products) = (expand::room(N * N, self.width), N * N * to.position);
        let scratch = Parts::new(scratch);
        cpu.pool().for_each(panels.list.len() * bands, |task, worker| {
            let (panel, band) = (&panels.list[task / bands], task % bands);
            let tiles = band * self.cut.tiles / bands..(band + 1) * self.cut.tiles / bands;
            let start = worker * (weights + products);
            // SAFETY: no two tasks that run at the same time have the same worker.
            let room = unsafe { scratch.part(start..start + weights) };
            // SAFETY: as above.
            let products = unsafe { scratch.part(start + weights..start + weights + products) };
            isa.run(ExpandStage {
                points: PhantomData::<P>,
                inputs,
                from,
                offsets: &self.offsets,
                panels,
                panel,
                values,
                tiles: tiles.clone(),
                weights: room,
                products: Parts::new(products),
                to,
            });
            let (blocks, first) = (panel.block..panel.block + panel.blocks, (tiles.start, panel.block));
            isa.run(run.outputs(Part { tiles, blocks, data: to, first }, products, band));
        });
    }
}
