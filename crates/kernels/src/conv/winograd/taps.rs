//! The sums at the points, transformed to the gradients with respect to the taps.

use std::ops::Range;

use super::points::{F4, Points, TAPS};
use crate::conv::backward::Target;
use crate::simd::Simd;

/// Outputs and points of a tile on an axis.
pub(super) const M: usize = 4;
pub(super) const N: usize = 6;

/// Sums at the points: position `p`, row `i`, channel `j` lies at `p position + i row + j`.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a> {
    pub(super) values: &'a [f32],
    pub(super) position: usize,
    pub(super) row: usize,
}

/// Channels of an output block.
pub(super) struct OutputRows {
    pub(super) block: usize,
    pub(super) rows: Range<usize>,
}

/// `G^T u G` of the sums of the output channels `of` and of the `NV` vectors of input
/// channels from block `block` on, put where they belong.
#[inline(always)]
pub(super) fn finish<S: Simd, const NV: usize>(
    s: S,
    sums: Sums<'_>,
    of: OutputRows,
    block: usize,
    target: Target<'_>,
) {
    let OutputRows { block: out, rows } = of;
    let (weights, at) = target.at(0, out, block);
    let (row, width) = (target.bands.row(out), NV * S::LANES * TAPS);
    for (from, i) in rows.enumerate() {
        let at = at + i * row;
        // SAFETY: the rows of a task's output blocks are its own at its input blocks.
        let to = unsafe { weights.part(at..at + width) };
        for v in 0..NV {
            let taps = to_taps(s, &sums.values[from * sums.row + v * S::LANES..], sums.position);
            // SAFETY: the part has the taps of all channels of the vectors.
            unsafe { s.weave(to.as_mut_ptr().add(TAPS * S::LANES * v), taps) };
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
