//! AVX2 and AVX-VNNI: a block of 16 channels is two registers.
//!
//! `vpmaddubsw` adds two products in 16 bits and saturates: exact while no weight is beyond 63, since
//! `2 * 255 * 63 < 2^15`. Other weights are widened to 16 bits, of which `vpmaddwd` adds two products in 32.

use std::arch::x86_64::*;

use super::dot::{Dot, DotKernel};

/// Proof that the machine has AVX2, for weights of 7 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Narrow(());

/// Proof that the machine has AVX2, for any weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide(());

/// Proof that the machine has AVX-VNNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vnni256(());

/// Presence of AVX2 and FMA.
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

impl Narrow {
    pub(super) fn detect() -> Option<Self> {
        has_avx2().then_some(Self(()))
    }
}

impl From<Narrow> for Wide {
    fn from(_: Narrow) -> Self {
        Self(())
    }
}

impl Vnni256 {
    pub(super) fn detect() -> Option<Self> {
        (has_avx2() && is_x86_feature_detected!("avxvnni")).then_some(Self(()))
    }
}

/// Operations that the three tokens have in common; `$product(sums, x, w)` is the sum of a register.
macro_rules! ymm_operations {
    ($token:ident, $features:literal, $product:expr) => {
        type Sums = [__m256i; 2];
        type Weights = [__m256i; 2];
        type Inputs = __m256i;
        type Floats = [__m256; 2];

        const BLOCKS: usize = 1;

        #[inline(always)]
        fn run<K: DotKernel>(self, kernel: K) {
            #[target_feature(enable = $features)]
            fn inside<K: DotKernel>(token: $token, kernel: K) {
                kernel.run(token);
            }
            // SAFETY: the token proves that the machine has these.
            unsafe { inside(self, kernel) }
        }

        #[inline(always)]
        fn dot(self, [a, b]: [__m256i; 2], x: __m256i, [v, w]: [__m256i; 2]) -> [__m256i; 2] {
            // SAFETY: the token proves that the machine has the instructions.
            unsafe { [$product(a, x, v), $product(b, x, w)] }
        }

        ymm_operations! { @halves
            to_floats(a: [__m256i; 2]) -> [__m256; 2] = _mm256_cvtepi32_ps(a);
            add(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] = _mm256_add_ps(a, b);
            mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] = _mm256_mul_ps(a, b);
            fma(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] = _mm256_fmadd_ps(a, b, c);
            max(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] = _mm256_max_ps(a, b);
            min(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] = _mm256_min_ps(a, b);
        }

        ymm_operations! { @accesses
            load_sums(p: *const i32) -> [__m256i; 2] =
                [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())];
            store_sums(p: *mut i32, sums: [__m256i; 2]) -> () = {
                _mm256_storeu_si256(p.cast(), sums[0]);
                _mm256_storeu_si256(p.add(8).cast(), sums[1]);
            };
            weights(p: *const i8) -> [__m256i; 2] =
                [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(32).cast())];
            inputs(p: *const u8) -> __m256i = _mm256_set1_epi32(p.cast::<i32>().read_unaligned());
            load(p: *const f32) -> [__m256; 2] = [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))];
            store(p: *mut f32, v: [__m256; 2]) -> () = {
                _mm256_storeu_ps(p, v[0]);
                _mm256_storeu_ps(p.add(8), v[1]);
            };
            load_bytes(p: *const u8) -> [__m256; 2] = {
                let bytes = _mm_loadu_si128(p.cast());
                let high = _mm_srli_si128::<8>(bytes);
                [bytes, high].map(|half| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(half)))
            };
            store_bytes(p: *mut u8, v: [__m256; 2], zero: i32) -> () = {
                let zero = _mm256_set1_epi32(zero);
                let low = _mm256_add_epi32(_mm256_cvtps_epi32(v[0]), zero);
                let high = _mm256_add_epi32(_mm256_cvtps_epi32(v[1]), zero);
                // Channels 0-3, 8-11, 4-7, 12-15.
                let words = _mm256_packs_epi32(low, high);
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
                let bytes = _mm_packus_epi16(
                    _mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(p.cast(), bytes);
            };
        }

        #[inline(always)]
        fn splat(self, x: f32) -> [__m256; 2] {
            // SAFETY: the token proves that the machine has AVX.
            let x = unsafe { _mm256_set1_ps(x) };
            [x, x]
        }
    };
    (@halves $($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) -> $result {
            let first = {
                $(let $argument = $argument[0];)*
                // SAFETY: the token proves that the machine has AVX.
                unsafe { $value }
            };
            let second = {
                $(let $argument = $argument[1];)*
                // SAFETY: the token proves that the machine has AVX.
                unsafe { $value }
            };
            [first, second]
        }
    )*};
    (@accesses $($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $value:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name(self, $($argument: $type),*) -> $result {
            // SAFETY: the caller vouches for the pointer, the token for the instructions.
            unsafe { $value }
        }
    )*};
}

/// Products of two weights of 7 bits in 16 bits, of four in 32.
#[inline(always)]
unsafe fn narrow(sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
    // SAFETY: the caller's token proves that the machine has AVX2.
    unsafe {
        let pairs = _mm256_maddubs_epi16(x, w);
        _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// Products of the even and of the odd bytes, widened to 16 bits, two of each in 32.
#[inline(always)]
unsafe fn wide(sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
    // SAFETY: the caller's token proves that the machine has AVX2.
    unsafe {
        let even = _mm256_madd_epi16(
            _mm256_and_si256(x, _mm256_set1_epi16(0xff)),
            _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)),
        );
        let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(x), _mm256_srai_epi16::<8>(w));
        _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
    }
}

/// `vpdpbusd` of 32 bytes.
#[inline(always)]
unsafe fn vnni(sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
    // SAFETY: the caller's token proves that the machine has AVX-VNNI.
    unsafe { _mm256_dpbusd_avx_epi32(sums, x, w) }
}

impl Dot for Narrow {
    // 6 pixels: 12 sums, inputs, ones and a product, of 16 registers; weights are read where they are needed.
    const PIXELS: usize = 6;

    ymm_operations!(Narrow, "avx2,fma", narrow);
}

impl Dot for Wide {
    // 4 pixels: 8 sums, 4 vectors of widened weights, 2 of widened inputs, 2 products, of 16 registers.
    const PIXELS: usize = 4;

    ymm_operations!(Wide, "avx2,fma", wide);
}

impl Dot for Vnni256 {
    // 6 pixels: 12 sums, 2 vectors of weights, 1 of inputs, of 16 registers.
    const PIXELS: usize = 6;

    ymm_operations!(Vnni256, "avx2,fma,avxvnni", vnni);
}
