//! AVX2 with FMA: 16 registers of 8 floats.

use std::arch::x86_64::*;

use super::avx512::Avx512;
use super::vector::{BLOCK, Kernel, Simd, vector_operations};

/// Proof that the machine has AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

/// AVX-512 is detected with AVX2 and FMA.
impl From<Avx512> for Avx2 {
    fn from(_: Avx512) -> Self {
        Self(())
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// The transpose of 8 rows: of 4x4 floats within every half of the vectors, then of 2x2 halves.
    #[inline(always)]
    fn transposed(self, rows: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: the token proves that the machine has AVX.
        unsafe {
            // Vector 4 g + j: of rows 4 g to 4 g + 3, the floats j and 4 + j.
            let mut floats = rows;
            for g in 0..2 {
                let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[4 * g + row]);
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (low2, high2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                floats[4 * g] = _mm256_shuffle_ps::<0b01_00_01_00>(low, low2);
                floats[4 * g + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(low, low2);
                floats[4 * g + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(high, high2);
                floats[4 * g + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(high, high2);
            }
            let mut columns = rows;
            for j in 0..4 {
                columns[j] = _mm256_permute2f128_ps::<0x20>(floats[j], floats[4 + j]);
                columns[4 + j] = _mm256_permute2f128_ps::<0x31>(floats[j], floats[4 + j]);
            }
            columns
        }
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
        // The second operand comes back where either is a NaN: what is left is a NaN in the first.
        max(a, b) => _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
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
    unsafe fn transpose(self, rows: &[*const f32; BLOCK], columns: &[*mut f32]) {
        for (part, columns) in columns.chunks(8).enumerate() {
            for first in [0, 8] {
                // SAFETY: the caller vouches for the pointers, the token for the instructions.
                unsafe {
                    let mut vectors = [_mm256_setzero_ps(); 8];
                    for (v, row) in vectors.iter_mut().zip(&rows[first..first + 8]) {
                        *v = _mm256_loadu_ps(row.add(8 * part));
                    }
                    let transposed = self.transposed(vectors);
                    // With a constant number of columns they stay in registers.
                    if let Ok(columns) = <&[*mut f32; 8]>::try_from(columns) {
                        for (column, v) in columns.iter().zip(transposed) {
                            _mm256_storeu_ps(column.add(first), v);
                        }
                    } else {
                        for (column, v) in columns.iter().zip(transposed) {
                            _mm256_storeu_ps(column.add(first), v);
                        }
                    }
                }
            }
        }
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
