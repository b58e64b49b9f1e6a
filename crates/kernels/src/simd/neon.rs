//! NEON: 32 registers of 4 floats.

use std::arch::aarch64::*;

use super::vector::{BLOCK, Kernel, Simd, vector_operations};

/// Proof that the machine has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// The transpose of 4 rows: of pairs of floats, then of pairs of pairs.
    #[inline(always)]
    fn transposed(self, [a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
        // SAFETY: the token proves that the machine has NEON.
        unsafe {
            let (even, odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
            let (even2, odd2) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
            let pairs = |v| vreinterpretq_f64_f32(v);
            let first = |v, w| vreinterpretq_f32_f64(vtrn1q_f64(pairs(v), pairs(w)));
            let second = |v, w| vreinterpretq_f32_f64(vtrn2q_f64(pairs(v), pairs(w)));
            [first(even, even2), first(odd, odd2), second(even, even2), second(odd, odd2)]
        }
    }
}

impl Simd for Neon {
    type V = float32x4_t;

    const LANES: usize = 4;
    // 6 rows of 4 vectors: 24 accumulators, 4 vectors of weights, 1 broadcast, of 32 registers.
    const TILE_ROWS: usize = 6;
    const TILE_BLOCKS: usize = 1;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn inside<K: Kernel>(token: Neon, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the machine has NEON.
        unsafe { inside(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: the token proves that the machine has NEON.
        unsafe { vdupq_n_f32(x) }
    }

    vector_operations! {
        add(a, b) => vaddq_f32(a, b);
        sub(a, b) => vsubq_f32(a, b);
        mul(a, b) => vmulq_f32(a, b);
        fma(a, b, c) => vfmaq_f32(c, a, b);
        fnma(a, b, c) => vfmsq_f32(c, a, b);
        // FMAX gives a NaN where either operand is one.
        relu(v) => vmaxq_f32(v, vdupq_n_f32(0.0));
        max(a, b) => vmaxq_f32(a, b);
        gate(v, output) => vbslq_f32(vcleq_f32(output, vdupq_n_f32(0.0)), vdupq_n_f32(0.0), v);
        where_equal(v, a, b) => vbslq_f32(vceqq_f32(a, b), v, vdupq_n_f32(0.0));
        // A NaN is not equal to itself.
        where_above(v, w, a, b) => vbslq_f32(vcgtq_f32(a, b), v, vbslq_f32(vceqq_f32(a, a), w, v));
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        // SAFETY: the caller vouches for the pointer, the token for the instruction.
        unsafe { vld1q_f32(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: float32x4_t) {
        // SAFETY: the caller vouches for the pointer, the token for the instruction.
        unsafe { vst1q_f32(p, v) }
    }

    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const f32; BLOCK], columns: &[*mut f32]) {
        for (part, columns) in columns.chunks(4).enumerate() {
            for first in [0, 4, 8, 12] {
                // SAFETY: the caller vouches for the pointers, the token for the instructions.
                unsafe {
                    let mut vectors = [vdupq_n_f32(0.0); 4];
                    for (v, row) in vectors.iter_mut().zip(&rows[first..first + 4]) {
                        *v = vld1q_f32(row.add(4 * part));
                    }
                    let transposed = self.transposed(vectors);
                    for (column, v) in columns.iter().zip(transposed) {
                        vst1q_f32(column.add(first), v);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
}
