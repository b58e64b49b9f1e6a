//! AVX2 with FMA: 16 registers of 8 floats.

use std::arch::x86_64::*;

use super::vector::{Kernel, Simd, vector_operations};

/// Proof that the machine has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// Vector `j`: of the lanes j and 4 + j, the floats of four vectors.
    #[inline(always)]
    fn halves(self, a: __m256, b: __m256, c: __m256, d: __m256) -> [__m256d; 4] {
        // SAFETY: the token proves that the machine has AVX.
        unsafe {
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab, cd) = (_mm256_castps_pd(ab), _mm256_castps_pd(cd));
            let (ab2, cd2) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let (ab2, cd2) = (_mm256_castps_pd(ab2), _mm256_castps_pd(cd2));
            [
                _mm256_unpacklo_pd(ab, cd),
                _mm256_unpackhi_pd(ab, cd),
                _mm256_unpacklo_pd(ab2, cd2),
                _mm256_unpackhi_pd(ab2, cd2),
            ]
        }
    }
}

impl Simd for Avx2 {
    type V = __m256;

    const LANES: usize = 8;
    // 6 rows of 2 vectors: 12 accumulators, 2 vectors of weights, 1 broadcast, of 16 registers.
    const TILE_ROWS: usize = 6;
    const TILE_BLOCKS: usize = 1;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn inside<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the machine has AVX2 and FMA.
        unsafe { inside(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token proves that the machine has AVX.
        unsafe { _mm256_set1_ps(x) }
    }

    vector_operations! {
        add(a, b) => _mm256_add_ps(a, b);
        sub(a, b) => _mm256_sub_ps(a, b);
        mul(a, b) => _mm256_mul_ps(a, b);
        fma(a, b, c) => _mm256_fmadd_ps(a, b, c);
        fnma(a, b, c) => _mm256_fnmadd_ps(a, b, c);
        // The second operand comes back where either is a NaN.
        relu(v) => _mm256_max_ps(_mm256_setzero_ps(), v);
        gate(v, output) => _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(output, _mm256_setzero_ps()), v);
        where_equal(v, a, b) => _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b), v);
        where_above(v, w, a, b) => _mm256_blendv_ps(
            w, v, _mm256_or_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b), _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)));
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the caller vouches for the pointer, the token for the instruction.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: the caller vouches for the pointer, the token for the instruction.
        unsafe { _mm256_storeu_ps(p, v) }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: SSE is part of x86-64, and a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    #[inline(always)]
    unsafe fn weave(self, p: *mut f32, v: [__m256; 9]) {
        let (first, second) = (self.halves(v[0], v[1], v[2], v[3]), self.halves(v[4], v[5], v[6], v[7]));
        let mut last = [0.0; 8];
        // SAFETY: the caller vouches for the target, the token for the instructions.
        unsafe {
            for j in 0..4 {
                let low = _mm256_permute2f128_pd::<0x20>(first[j], second[j]);
                let high = _mm256_permute2f128_pd::<0x31>(first[j], second[j]);
                _mm256_storeu_pd(p.add(9 * j).cast(), low);
                _mm256_storeu_pd(p.add(9 * (4 + j)).cast(), high);
            }
            _mm256_storeu_ps(last.as_mut_ptr(), v[8]);
            for (i, &last) in last.iter().enumerate() {
                *p.add(9 * i + 8) = last;
            }
        }
    }
}
