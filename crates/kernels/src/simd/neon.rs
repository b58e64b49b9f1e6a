//! NEON: 32 registers of 4 floats.

use std::arch::aarch64::*;

use super::vector::{Kernel, Simd, vector_operations};

/// Proof that the machine has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
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
    fn prefetch(self, _: *const f32) {}
}
