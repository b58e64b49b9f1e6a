//! AVX-512: 32 registers of 16 floats.

use std::arch::x86_64::*;

use super::vector::{BLOCK, Kernel, Simd, vector_operations};

/// Proof that the machine has AVX-512F.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    /// The transpose of 16 rows: of 4x4 floats within every quarter of the vectors, then of 4x4 quarters.
    #[inline(always)]
    fn transposed(self, rows: [__m512; BLOCK]) -> [__m512; BLOCK] {
        // SAFETY: the token proves that the machine has AVX-512F.
        unsafe {
            // Vector 4 g + j: of rows 4 g to 4 g + 3, the floats j, 4 + j, 8 + j and 12 + j.
            let mut floats = rows;
            for g in 0..4 {
                let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[4 * g + row]);
                let (low, high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (low2, high2) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                floats[4 * g] = _mm512_shuffle_ps::<0b01_00_01_00>(low, low2);
                floats[4 * g + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(low, low2);
                floats[4 * g + 2] = _mm512_shuffle_ps::<0b01_00_01_00>(high, high2);
                floats[4 * g + 3] = _mm512_shuffle_ps::<0b11_10_11_10>(high, high2);
            }
            let mut columns = rows;
            for j in 0..4 {
                let [a, b, c, d] = [0, 4, 8, 12].map(|group| floats[group + j]);
                // The quarters 0 and 2 of two vectors, and 1 and 3.
                let (even, odd) = (
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
                );
                let (even2, odd2) = (
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d),
                );
                columns[j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even, even2);
                columns[8 + j] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even, even2);
                columns[4 + j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd, odd2);
                columns[12 + j] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd, odd2);
            }
            columns
        }
    }

    /// Vector `j`: of the lanes j, 4 + j, 8 + j and 12 + j, the floats of four vectors.
    #[inline(always)]
    fn quarters(self, a: __m512, b: __m512, c: __m512, d: __m512) -> [__m512d; 4] {
        // SAFETY: the token proves that the machine has AVX-512F.
        unsafe {
            let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            let (ab2, cd2) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            let (ab2, cd2) = (_mm512_castps_pd(ab2), _mm512_castps_pd(cd2));
            [
                _mm512_unpacklo_pd(ab, cd),
                _mm512_unpackhi_pd(ab, cd),
                _mm512_unpacklo_pd(ab2, cd2),
                _mm512_unpackhi_pd(ab2, cd2),
            ]
        }
    }

    /// Vector `c`: taps 0 to 7 of channel 2 c, then of channel 2 c + 1.
    #[inline(always)]
    fn neighbours(self, v: [__m512; 9]) -> [__m512; 8] {
        let (first, second) = (self.quarters(v[0], v[1], v[2], v[3]), self.quarters(v[4], v[5], v[6], v[7]));
        // SAFETY: the token proves that the machine has AVX-512F.
        unsafe {
            let low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
            let high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
            // Of channels j and 4 + j, or 8 + j and 12 + j.
            let taps = |j: usize, order| _mm512_permutex2var_pd(first[j], order, second[j]);
            let mut pairs = [v[0]; 8];
            for e in 0..2 {
                for (half, order) in [low, high].into_iter().enumerate() {
                    let (even, odd) = (taps(2 * e, order), taps(2 * e + 1, order));
                    let near = _mm512_shuffle_f64x2::<0b01_00_01_00>(even, odd);
                    let far = _mm512_shuffle_f64x2::<0b11_10_11_10>(even, odd);
                    pairs[4 * half + e] = _mm512_castpd_ps(near);
                    pairs[4 * half + 2 + e] = _mm512_castpd_ps(far);
                }
            }
            pairs
        }
    }
}

impl Simd for Avx512 {
    type V = __m512;

    const LANES: usize = 16;
    // 14 rows of 2 vectors: 28 accumulators, 2 vectors of weights, 1 broadcast, of 32 registers.
    const TILE_ROWS: usize = 14;
    const TILE_BLOCKS: usize = 2;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn inside<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token proves that the machine has AVX-512F.
        unsafe { inside(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves that the machine has AVX-512F.
        unsafe { _mm512_set1_ps(x) }
    }

    vector_operations! {
        add(a, b) => _mm512_add_ps(a, b);
        sub(a, b) => _mm512_sub_ps(a, b);
        mul(a, b) => _mm512_mul_ps(a, b);
        fma(a, b, c) => _mm512_fmadd_ps(a, b, c);
        fnma(a, b, c) => _mm512_fnmadd_ps(a, b, c);
        // The second operand comes back where either is a NaN.
        relu(v) => _mm512_max_ps(_mm512_setzero_ps(), v);
        // The second operand comes back where either is a NaN: what is left is a NaN in the first.
        max(a, b) => _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a);
        gate(v, output) => _mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(output, _mm512_setzero_ps()), v);
        where_equal(v, a, b) => _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), v);
        where_above(v, w, a, b) => _mm512_mask_mov_ps(
            w, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), v);
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller vouches for the pointer, the token for the instruction.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: the caller vouches for the pointer, the token for the instruction.
        unsafe { _mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const f32; BLOCK], columns: &[*mut f32]) {
        // SAFETY: the caller vouches for the pointers, the token for the instructions.
        unsafe {
            let mut vectors = [_mm512_setzero_ps(); BLOCK];
            for (v, row) in vectors.iter_mut().zip(rows) {
                *v = _mm512_loadu_ps(*row);
            }
            let transposed = self.transposed(vectors);
            // With a constant number of columns they stay in registers.
            if let Ok(columns) = <&[*mut f32; BLOCK]>::try_from(columns) {
                for (column, v) in columns.iter().zip(transposed) {
                    _mm512_storeu_ps(*column, v);
                }
            } else {
                for (column, v) in columns.iter().zip(transposed) {
                    _mm512_storeu_ps(*column, v);
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
    unsafe fn weave(self, p: *mut f32, v: [__m512; 9]) {
        let pairs = self.neighbours(v);
        // SAFETY: the caller vouches for the target, the token for the instructions.
        unsafe {
            for (k, vector) in WOVEN.iter().enumerate() {
                let [first, second] = [16 * k / 9 / 2, (16 * k + 15) / 9 / 2].map(|pair| pairs[pair]);
                let early =
                    _mm512_permutex2var_ps(first, _mm512_loadu_si512(vector.early.as_ptr().cast()), second);
                let last = _mm512_loadu_si512(vector.last.as_ptr().cast());
                _mm512_storeu_ps(p.add(16 * k), _mm512_mask_permutexvar_ps(early, vector.lasts, last, v[8]));
            }
        }
    }
}

/// A vector of woven taps: from which of a pair of vectors of [`Avx512::neighbours`] taps 0 to 7 come, and
/// which floats are tap 8 of which channel.
struct Woven {
    early: [i32; 16],
    last: [i32; 16],
    lasts: u16,
}

const WOVEN: [Woven; 9] = {
    let mut woven = [const { Woven { early: [0; 16], last: [0; 16], lasts: 0 } }; 9];
    let mut at = 0;
    while at < 9 * 16 {
        let (vector, lane, channel, tap) = (at / 16, at % 16, at / 9, at % 9);
        let first = 16 * vector / 9 / 2;
        if tap == 8 {
            woven[vector].last[lane] = channel as i32;
            woven[vector].lasts |= 1 << lane;
        } else {
            woven[vector].early[lane] = ((channel / 2 - first) * 16 + channel % 2 * 8 + tap) as i32;
        }
        at += 1;
    }
    woven
};
