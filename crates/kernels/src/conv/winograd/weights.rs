//! Weights at the points: transformed and packed once, or once a training step.

use std::marker::PhantomData;
use std::ops::Range;

use super::points::Points;
use crate::conv::kernel::KernelView;
use crate::gemm::{Panel, Panels};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Isa, Pool};

/// Taps of the kernel.
const TAPS: usize = 9;

/// The transformed weights, `[position][panel][input channel][channel of the panel]`.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WinogradWeights {
    /// Those of the first position; the others follow.
    panels: Panels,
    /// Floats from a position to the next.
    position: usize,
}

impl WinogradWeights {
    pub(super) fn zeroed(positions: usize, ins: usize, outs: usize, width: usize) -> Self {
        let mut panels = Panels::zeroed(outs, width, BLOCK, |_, _| 0..ins);
        let position = panels.values.len();
        panels.values = crate::Buffer::zeroed(positions * position);
        Self { panels, position }
    }

    pub(in crate::conv) fn memory(&mut self) -> &mut crate::Buffer {
        &mut self.panels.values
    }

    /// The panels of every position.
    pub(super) fn list(&self) -> &[Panel] {
        &self.panels.list
    }

    /// The weights of the input channel blocks `range` at `position`.
    pub(super) fn of(&self, position: usize, panel: &Panel, range: Range<usize>) -> &[f32] {
        let block = BLOCK * panel.blocks * BLOCK;
        let start = position * self.position + panel.at;
        &self.panels.values[start + range.start * block..start + range.end * block]
    }

    /// Transforms `kernels`, which have `channels` (in, out).
    pub(super) fn fill<P: Points<M, N>, const M: usize, const N: usize>(
        &mut self,
        pool: &Pool,
        isa: Isa,
        kernels: KernelView<'_>,
        channels: [usize; 2],
    ) {
        let target = Parts::new(&mut self.panels.values);
        let (list, position) = (&self.panels.list, self.position);
        let entries = channels[0].div_ceil(BLOCK);
        pool.for_each(list.len() * entries, |task, _| {
            let (panel, entry) = (&list[task / entries], task % entries);
            let points = PhantomData::<P>;
            isa.run(TransformBlock { points, kernels, channels, panel, entry, target, position });
        });
    }
}

/// Transforms the kernels of one input channel block and one panel.
struct TransformBlock<'a, P, const M: usize, const N: usize> {
    points: PhantomData<P>,
    kernels: KernelView<'a>,
    channels: [usize; 2],
    panel: &'a Panel,
    entry: usize,
    target: Parts<'a>,
    position: usize,
}

impl<P: Points<M, N>, const M: usize, const N: usize> Kernel for TransformBlock<'_, P, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [ins, outs] = self.channels;
        let width = self.panel.blocks * BLOCK;
        for k in 0..BLOCK {
            let from = self.entry * BLOCK + k;
            for block in 0..self.panel.blocks {
                let first = (self.panel.block + block) * BLOCK;
                let mut taps = [0.0; TAPS * BLOCK];
                if from < ins {
                    for lane in 0..BLOCK.min(outs - first) {
                        let kernel = self.kernels.taps(first + lane, from);
                        for tap in 0..TAPS {
                            taps[tap * BLOCK + lane] = kernel[self.kernels.tap(tap)];
                        }
                    }
                }
                let at = self.panel.at + (self.entry * BLOCK + k) * width + block * BLOCK;
                for lane in (0..BLOCK).step_by(S::LANES) {
                    self.transform(s, &taps, lane, at + lane);
                }
            }
        }
    }
}

impl<P: Points<M, N>, const M: usize, const N: usize> TransformBlock<'_, P, M, N> {
    /// `G g G^T` of a vector of kernels, to the positions from `at` on.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    fn transform<S: Simd>(&self, s: S, taps: &[f32; TAPS * BLOCK], lane: usize, at: usize) {
        let mut half = [[s.zero(); 3]; N];
        for column in 0..3 {
            let g = [0, 1, 2].map(|row| s.read(taps, (row * 3 + column) * BLOCK + lane));
            for i in 0..N {
                half[i][column] = weighted(s, P::G[i], g);
            }
        }
        for i in 0..N {
            for j in 0..N {
                let target = at + (i * N + j) * self.position;
                assert!(target + S::LANES <= self.target.len());
                // SAFETY: just checked to lie in the target; no other task writes this panel's rows of
                // this entry.
                unsafe { s.store(self.target.pointer(target), weighted(s, P::G[j], half[i])) }
            }
        }
    }
}

/// `w0 g0 + w1 g1 + w2 g2`
#[inline(always)]
fn weighted<S: Simd>(s: S, weights: [f64; 3], g: [S::V; 3]) -> S::V {
    let [a, b, c] = weights.map(|weight| s.splat(weight as f32));
    s.fma(a, g[0], s.fma(b, g[1], s.mul(c, g[2])))
}
