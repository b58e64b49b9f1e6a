//! Plain Rust, for machines with none of the other instruction sets and for tests.

use std::array::from_fn;

use super::vector::{BLOCK, Kernel, Simd};

/// Arrays of `L` floats in plain Rust; every machine has them.
///
/// `Portable<8>` is the fall-back, its tile chosen for the 16 registers of 4 floats of SSE2.
/// `Portable<16>` has the vector width of AVX-512 and its panels of two blocks, so that everything that
/// depends on them is tested on machines without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable<const L: usize>;

impl<const L: usize> Simd for Portable<L> {
    type V = [f32; L];

    const LANES: usize = L;
    const TILE_ROWS: usize = if L == 16 { 5 } else { 2 };
    const TILE_BLOCKS: usize = if L == 16 { 2 } else { 1 };

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; L] {
        [x; L]
    }

    #[inline(always)]
    fn add(self, a: [f32; L], b: [f32; L]) -> [f32; L] {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: [f32; L], b: [f32; L]) -> [f32; L] {
        from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: [f32; L], b: [f32; L]) -> [f32; L] {
        from_fn(|i| a[i] * b[i])
    }

    // Not `f32::mul_add`: without the instruction it is a library call, a hundred times slower.
    #[inline(always)]
    fn fma(self, a: [f32; L], b: [f32; L], c: [f32; L]) -> [f32; L] {
        from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn fnma(self, a: [f32; L], b: [f32; L], c: [f32; L]) -> [f32; L] {
        from_fn(|i| c[i] - a[i] * b[i])
    }

    // Not `f32::max`, which drops a NaN.
    #[inline(always)]
    fn relu(self, v: [f32; L]) -> [f32; L] {
        from_fn(|i| if v[i] < 0.0 { 0.0 } else { v[i] })
    }

    #[inline(always)]
    fn max(self, a: [f32; L], b: [f32; L]) -> [f32; L] {
        from_fn(|i| if a[i] > b[i] || a[i].is_nan() { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn gate(self, v: [f32; L], output: [f32; L]) -> [f32; L] {
        from_fn(|i| if output[i] <= 0.0 { 0.0 } else { v[i] })
    }

    #[inline(always)]
    fn where_equal(self, v: [f32; L], a: [f32; L], b: [f32; L]) -> [f32; L] {
        from_fn(|i| if a[i] == b[i] { v[i] } else { 0.0 })
    }

    #[inline(always)]
    fn where_above(self, v: [f32; L], w: [f32; L], a: [f32; L], b: [f32; L]) -> [f32; L] {
        from_fn(|i| if a[i] > b[i] || a[i].is_nan() { v[i] } else { w[i] })
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; L] {
        // SAFETY: the caller vouches for `L` floats; an array of floats has their alignment.
        unsafe { p.cast::<[f32; L]>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; L]) {
        // SAFETY: the caller vouches for `L` floats; an array of floats has their alignment.
        unsafe { p.cast::<[f32; L]>().write(v) }
    }

    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const f32; BLOCK], columns: &[*mut f32]) {
        for (j, column) in columns.iter().enumerate() {
            // SAFETY: the caller vouches for the pointers; an array of floats has their alignment.
            unsafe { column.cast::<[f32; BLOCK]>().write(rows.map(|row| row.add(j).read())) }
        }
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
}
