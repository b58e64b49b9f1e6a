//! Weights at the points: transformed and packed once, or once a training step.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::{Points, TAPS};
use crate::conv::kernel::KernelView;
use crate::conv::method::Workers;
use crate::gemm::{Panel, Panels};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// The order of transformed weights, `[position][panel][input channel][channel of the panel]`.
#[derive(Clone, Debug)]
pub(super) struct PointWeights {
    /// Panels of the first position; the others follow.
    panels: Panels,
    positions: usize,
}

impl PointWeights {
    /// Weights for `ins` and `outs` channel blocks, in panels of `width` blocks.
    pub(super) fn new(positions: usize, ins: usize, outs: usize, width: usize) -> Self {
        Self { panels: Panels::new([outs, width], BLOCK, 1, |_, _| 0..ins), positions }
    }

    /// Floats of all positions.
    pub(super) fn floats(&self) -> usize {
        self.positions * self.panels.floats
    }

    /// The panels of every position.
    pub(super) fn list(&self) -> &[Panel] {
        &self.panels.list
    }

    /// Weights of the input channel blocks `range` at `position`, of `values`.
    #[inline(always)]
    pub(super) fn of<'a>(
        &self,
        values: &'a [f32],
        position: usize,
        panel: &Panel,
        range: Range<usize>,
    ) -> &'a [f32] {
        self.panels.of(&values[position * self.panels.floats..], panel, range)
    }

    /// Transforms `kernels`, which have `ins` input channels, to `values`.
    pub(super) fn fill<P: Points<M, N>, const M: usize, const N: usize>(
        &self,
        workers: Workers<'_>,
        kernels: KernelView<'_>,
        ins: usize,
        values: &mut [f32],
    ) {
        let target = Parts::new(values);
        let (list, position) = (&self.panels.list, self.panels.floats);
        let entries = ins.div_ceil(BLOCK);
        workers.pool.for_each(list.len() * entries, |task, _| {
            let (panel, entry) = (&list[task / entries], task % entries);
            let points = PhantomData::<P>;
            workers.isa.run(TransformBlock { points, kernels, panel, entry, target, position });
        });
    }
}

/// Transforms the kernels of one input channel block and one panel.
struct TransformBlock<'a, P, const M: usize, const N: usize> {
    points: PhantomData<P>,
    kernels: KernelView<'a>,
    panel: &'a Panel,
    entry: usize,
    target: Parts<'a>,
    position: usize,
}

impl<P: Points<M, N>, const M: usize, const N: usize> Kernel for TransformBlock<'_, P, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.panel.blocks * BLOCK;
        let inputs = self.entry * BLOCK..(self.entry + 1) * BLOCK;
        // `[input channel][tap][output channel]`
        let mut taps = [[[0.0; BLOCK]; TAPS]; BLOCK];
        // `[position][input channel][output channel]`: the positions are far apart in the target, and each of
        // them is written in one go.
        let mut points = [[[[0.0; BLOCK]; BLOCK]; N]; N];
        for block in 0..self.panel.blocks {
            let start = taps.as_mut_ptr().cast::<f32>();
            let target = |tap: usize| start.wrapping_add(self.kernels.tap(tap) * BLOCK);
            // SAFETY: the targets are the blocks of `taps`, which has one for every input and tap.
            unsafe {
                self.kernels.transpose(s, self.panel.block + block, inputs.clone(), target, TAPS * BLOCK);
            }
            for (k, taps) in taps.iter().enumerate() {
                for lane in (0..BLOCK).step_by(S::LANES) {
                    transform::<S, P, M, N>(s, taps, lane, &mut points, k);
                }
            }
            let at = self.panel.at + self.entry * BLOCK * width + block * BLOCK;
            for (position, rows) in points.as_flattened().iter().enumerate() {
                self.store(s, rows, at + position * self.position, width);
            }
        }
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> TransformBlock<'_, P, M, N> {
    /// Writes what one position has of the input channels, `width` floats apart.
    #[inline(always)]
    fn store<S: Simd>(&self, s: S, rows: &[[f32; BLOCK]; BLOCK], at: usize, width: usize) {
        assert!(at + (BLOCK - 1) * width + BLOCK <= self.target.len());
        let start = self.target.pointer(at);
        for (k, row) in rows.iter().enumerate() {
            for lane in (0..BLOCK).step_by(S::LANES) {
                // SAFETY: just checked to lie in the target; no other task writes this panel's rows of this
                // entry.
                unsafe { s.store(start.add(k * width + lane), s.read(row, lane)) }
            }
        }
    }
}

/// `G g G^T` of a vector of kernels, to row `k` of every position.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
fn transform<S: Simd, P: Points<M, N>, const M: usize, const N: usize>(
    s: S,
    taps: &[[f32; BLOCK]; TAPS],
    lane: usize,
    points: &mut [[[[f32; BLOCK]; BLOCK]; N]; N],
    k: usize,
) {
    let mut half = [[s.zero(); 3]; N];
    for column in 0..3 {
        let g = [0, 1, 2].map(|row| s.read(&taps[row * 3 + column], lane));
        for i in 0..N {
            half[i][column] = weighted(s, P::G[i], g);
        }
    }
    for i in 0..N {
        for j in 0..N {
            let target = &mut points[i][j][k][lane..][..S::LANES];
            // SAFETY: just sliced to a vector's length.
            unsafe { s.store(target.as_mut_ptr(), weighted(s, P::G[j], half[i])) }
        }
    }
}

/// `w0 g0 + w1 g1 + w2 g2`
#[inline(always)]
fn weighted<S: Simd>(s: S, weights: [f64; 3], g: [S::V; 3]) -> S::V {
    let [a, b, c] = weights.map(|weight| s.splat(weight as f32));
    s.fma(a, g[0], s.fma(b, g[1], s.mul(c, g[2])))
}
