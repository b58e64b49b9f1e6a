//! Plain Rust, for machines with none of the other instruction sets and for tests.

use std::array::from_fn;

use super::dot::{Dot, DotKernel};

/// Products of bytes in plain Rust; every machine has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

/// Less than any byte is from zero.
const LEAST: f32 = -256.0;

/// 1.5 2^23: added to a float of at most 22 bits, it leaves no digit behind the point.
const INTEGERS: f32 = 12_582_912.0;

impl Dot for Portable {
    type Sums = [i32; 16];
    type Weights = [[i8; 4]; 16];
    type Inputs = [u8; 4];
    type Floats = [f32; 16];

    const PIXELS: usize = 2;
    const BLOCKS: usize = 1;

    #[inline(always)]
    fn run<K: DotKernel>(self, kernel: K) {
        kernel.run(self);
    }

    #[inline(always)]
    unsafe fn load_sums(self, p: *const i32) -> [i32; 16] {
        // SAFETY: the caller vouches for 16 integers.
        unsafe { p.cast::<[i32; 16]>().read() }
    }

    #[inline(always)]
    unsafe fn store_sums(self, p: *mut i32, sums: [i32; 16]) {
        // SAFETY: the caller vouches for 16 integers.
        unsafe { p.cast::<[i32; 16]>().write(sums) }
    }

    #[inline(always)]
    unsafe fn weights(self, p: *const i8) -> [[i8; 4]; 16] {
        // SAFETY: the caller vouches for 64 bytes, which have no alignment.
        unsafe { p.cast::<[[i8; 4]; 16]>().read() }
    }

    #[inline(always)]
    unsafe fn inputs(self, p: *const u8) -> [u8; 4] {
        // SAFETY: the caller vouches for 4 bytes.
        unsafe { p.cast::<[u8; 4]>().read() }
    }

    #[inline(always)]
    fn dot(self, sums: [i32; 16], x: [u8; 4], w: [[i8; 4]; 16]) -> [i32; 16] {
        // A product of two bytes has 16 bits, and a sum of two of these 17.
        let pair = |o: usize, i: usize| {
            i32::from(i16::from(w[o][i])) * i32::from(x[i])
                + i32::from(i16::from(w[o][i + 1])) * i32::from(x[i + 1])
        };
        from_fn(|o| sums[o] + pair(o, 0) + pair(o, 2))
    }

    #[inline(always)]
    fn to_floats(self, sums: [i32; 16]) -> [f32; 16] {
        from_fn(|i| sums[i] as f32)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 16] {
        [x; 16]
    }

    #[inline(always)]
    fn add(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn mul(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn fma(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        from_fn(|i| a[i].mul_add(b[i], c[i]))
    }

    #[inline(always)]
    fn max(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; 16] {
        // SAFETY: the caller vouches for 16 floats.
        unsafe { p.cast::<[f32; 16]>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; 16]) {
        // SAFETY: the caller vouches for 16 floats.
        unsafe { p.cast::<[f32; 16]>().write(v) }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> [f32; 16] {
        // SAFETY: the caller vouches for 16 bytes.
        let bytes = unsafe { p.cast::<[u8; 16]>().read() };
        bytes.map(f32::from)
    }

    // Not `round_ties_even`: without the instruction it is a library call for every lane.
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, v: [f32; 16], zero: i32) {
        let steps = |v: f32| ((if v > LEAST { v } else { LEAST } + INTEGERS) - INTEGERS) as i32;
        let bytes: [u8; 16] = from_fn(|i| (steps(v[i]) + zero).max(0) as u8);
        // SAFETY: the caller vouches for 16 bytes.
        unsafe { p.cast::<[u8; 16]>().write(bytes) }
    }
}
