//! AVX-512 with VNNI: a block of 16 channels is one register.

use std::arch::x86_64::*;

use super::dot::{Dot, DotKernel};

/// Proof that the machine has AVX-512F, AVX-512BW and AVX-512 VNNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vnni512(());

impl Vnni512 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

/// The arithmetic, from the intrinsics.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) -> $result {
            // SAFETY: the token proves that the machine has the intrinsics' instruction set.
            unsafe { $value }
        }
    )*};
}

/// Reads and writes, from the intrinsics.
macro_rules! accesses {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $value:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name(self, $($argument: $type),*) $(-> $result)? {
            // SAFETY: the caller vouches for the pointer, the token for the instructions.
            unsafe { $value }
        }
    )*};
}

impl Dot for Vnni512 {
    type Sums = __m512i;
    type Weights = __m512i;
    type Inputs = __m512i;
    type Floats = __m512;

    // 14 pixels of 2 blocks: 28 sums, 2 vectors of weights, 1 of inputs, of 32 registers.
    const PIXELS: usize = 14;
    const BLOCKS: usize = 2;

    #[inline(always)]
    fn run<K: DotKernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
        fn inside<K: DotKernel>(token: Vnni512, kernel: K) {
            kernel.run(token);
        }
        // SAFETY: the token proves that the machine has these.
        unsafe { inside(self, kernel) }
    }

    operations! {
        dot(sums: __m512i, x: __m512i, w: __m512i) -> __m512i = _mm512_dpbusd_epi32(sums, x, w);
        to_floats(sums: __m512i) -> __m512 = _mm512_cvtepi32_ps(sums);
        splat(x: f32) -> __m512 = _mm512_set1_ps(x);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
    }

    accesses! {
        load_sums(p: *const i32) -> __m512i = _mm512_loadu_si512(p.cast());
        store_sums(p: *mut i32, sums: __m512i) = _mm512_storeu_si512(p.cast(), sums);
        weights(p: *const i8) -> __m512i = _mm512_loadu_si512(p.cast());
        inputs(p: *const u8) -> __m512i = _mm512_set1_epi32(p.cast::<i32>().read_unaligned());
        load(p: *const f32) -> __m512 = _mm512_loadu_ps(p);
        store(p: *mut f32, v: __m512) = _mm512_storeu_ps(p, v);
        load_bytes(p: *const u8) -> __m512 =
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast())));
        store_bytes(p: *mut u8, v: __m512, zero: i32) = {
            let values = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero));
            let values = _mm512_max_epi32(values, _mm512_setzero_si512());
            _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(values));
        };
        store_pixels(p: *mut u8, v: [__m512; 4], zero: i32) = {
            let integers = |v| {
                let steps = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero));
                _mm512_max_epi32(steps, _mm512_setzero_si512())
            };
            let low = _mm512_or_si512(integers(v[0]), _mm512_slli_epi32::<8>(integers(v[1])));
            let high = _mm512_or_si512(integers(v[2]), _mm512_slli_epi32::<8>(integers(v[3])));
            _mm512_storeu_si512(p.cast(), _mm512_or_si512(low, _mm512_slli_epi32::<16>(high)));
        };
        store_four(p: *mut u8, v: [__m512; 4], zero: i32) = {
            let integers = |v| _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero));
            let [a, b, c, d] = [integers(v[0]), integers(v[1]), integers(v[2]), integers(v[3])];
            // Four channels of every vector in each quarter.
            let bytes = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            _mm512_storeu_si512(p.cast(), _mm512_permutexvar_epi32(order, bytes));
        };
    }
}
