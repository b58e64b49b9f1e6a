//! WebAssembly's SIMD128: vectors of 4 floats, taken in pairs.
//!
//! A pair has the width of the portable path, and so have its panels: every sum is added up in the same order. There is
//! no fused multiply-add, as in plain Rust. So the results have the portable path's bits.

use std::arch::wasm32::*;

use super::vector::{BLOCK, Kernel, Simd};

/// Proof that the module may hold SIMD128: a module is compiled for it as a whole, and a browser without it refuses the
/// module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Simd128(());

impl Simd128 {
    pub(super) const fn compiled_for() -> Self {
        Self(())
    }
}

/// 8 floats.
#[derive(Clone, Copy)]
pub(super) struct Pair(v128, v128);

/// The arithmetic of a pair, from the intrinsics of its halves.
macro_rules! halves {
    ($($name:ident($($argument:ident),*) => $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: Pair),*) -> Pair {
            #[inline(always)]
            fn half($($argument: v128),*) -> v128 {
                $value
            }
            Pair(half($($argument.0),*), half($($argument.1),*))
        }
    )*};
}

impl Simd for Simd128 {
    type V = Pair;

    const LANES: usize = 8;
    // 2 rows of 2 pairs: 8 accumulators, 4 vectors of weights, a broadcast and a product, of the 16 registers that the
    // machines below have.
    const TILE_ROWS: usize = 2;
    const TILE_BLOCKS: usize = 1;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Pair {
        let x = f32x4_splat(x);
        Pair(x, x)
    }

    halves! {
        add(a, b) => f32x4_add(a, b);
        sub(a, b) => f32x4_sub(a, b);
        mul(a, b) => f32x4_mul(a, b);
        fma(a, b, c) => f32x4_add(f32x4_mul(a, b), c);
        fnma(a, b, c) => f32x4_sub(c, f32x4_mul(a, b));
        // The second operand where it is the larger, so that a NaN stays.
        relu(v) => f32x4_pmax(v, f32x4_splat(0.0));
        max(a, b) => v128_bitselect(a, b, v128_or(f32x4_gt(a, b), f32x4_ne(a, a)));
        gate(v, output) => v128_andnot(v, f32x4_le(output, f32x4_splat(0.0)));
        where_equal(v, a, b) => v128_and(v, f32x4_eq(a, b));
        // A NaN is not equal to itself.
        where_above(v, w, a, b) => v128_bitselect(v, w, v128_or(f32x4_gt(a, b), f32x4_ne(a, a)));
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Pair {
        let p = p.cast::<v128>();
        // SAFETY: the caller vouches for 8 floats; loads need no alignment.
        unsafe { Pair(v128_load(p), v128_load(p.add(1))) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Pair) {
        let p = p.cast::<v128>();
        // SAFETY: the caller vouches for 8 floats; stores need no alignment.
        unsafe {
            v128_store(p, v.0);
            v128_store(p.add(1), v.1);
        }
    }

    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const f32; BLOCK], columns: &[*mut f32]) {
        for (part, columns) in columns.chunks(4).enumerate() {
            for first in [0, 4, 8, 12] {
                // SAFETY: the caller vouches for the pointers.
                unsafe {
                    let row = |i: usize| v128_load(rows[first + i].add(4 * part).cast());
                    let transposed = transposed([row(0), row(1), row(2), row(3)]);
                    for (column, v) in columns.iter().zip(transposed) {
                        v128_store(column.add(first).cast(), v);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
}

/// The transpose of 4 rows: of pairs of floats, then of pairs of pairs.
#[inline(always)]
fn transposed([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    let (low, high) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (low2, high2) = (i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    [
        i64x2_shuffle::<0, 2>(low, low2),
        i64x2_shuffle::<1, 3>(low, low2),
        i64x2_shuffle::<0, 2>(high, high2),
        i64x2_shuffle::<1, 3>(high, high2),
    ]
}
