//! The operations that every instruction set offers to the kernels.

/// Channels in one block of the blocked layout: one AVX-512 vector, two of AVX2, four of NEON.
pub(crate) const BLOCK: usize = 16;

/// A computation written once for every instruction set.
pub(crate) trait Kernel {
    /// Value that the computation returns.
    type Output;

    /// Runs with the vectors of `S`. Implementations are `#[inline(always)]`, see the module's text.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A token of an instruction set, and its operations on vectors of `LANES` floats.
///
/// `LANES` divides [`BLOCK`], so a channel block is a whole number of vectors.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// A vector of `LANES` floats.
    type V: Copy;

    /// Floats in a vector.
    const LANES: usize;

    /// Rows of the micro-kernel: with `TILE_BLOCKS`, what fills the registers with accumulators and
    /// leaves room for a row of weights and a broadcast input.
    const TILE_ROWS: usize;

    /// Channel blocks that the micro-kernel computes at once.
    const TILE_BLOCKS: usize;

    /// Enters a function compiled for this instruction set and runs `kernel` inlined there.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;

    /// Vector of which all lanes are `x`.
    fn splat(self, x: f32) -> Self::V;

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a b + c`, rounded once where the instruction set can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// `c - a b`, rounded once where the instruction set can.
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// `max(v, 0)`; a NaN stays a NaN.
    fn relu(self, v: Self::V) -> Self::V;

    /// The larger of the two; a NaN in either comes through.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;

    /// 0 where `output <= 0`, else `v`: the gradient of a ReLU. A NaN in `output` lets `v` pass.
    fn gate(self, v: Self::V, output: Self::V) -> Self::V;

    /// `v` where `a == b`, else 0.
    fn where_equal(self, v: Self::V, a: Self::V, b: Self::V) -> Self::V;

    /// `v` where `a > b` or `a` is a NaN, else `w`.
    fn where_above(self, v: Self::V, w: Self::V, a: Self::V, b: Self::V) -> Self::V;

    /// Reads `LANES` floats, at any alignment.
    ///
    /// # Safety
    /// `p` must be valid for reading `LANES` floats.
    unsafe fn load(self, p: *const f32) -> Self::V;

    /// Writes `LANES` floats, at any alignment.
    ///
    /// # Safety
    /// `p` must be valid for writing `LANES` floats.
    unsafe fn store(self, p: *mut f32, v: Self::V);

    /// Transposes `BLOCK` rows: float `i` of column `j` becomes float `j` of row `i`, for as many columns, at
    /// most `BLOCK`, as there are.
    ///
    /// # Safety
    /// The rows must be valid for reading `BLOCK` floats, however few columns there are, and the columns for
    /// writing `BLOCK` floats, which no row or other column overlaps.
    unsafe fn transpose(self, rows: &[*const f32; BLOCK], columns: &[*mut f32]);

    /// Asks for the cache line of `p`, which may be any address: nothing is read. Does nothing where the
    /// instruction set has no stable intrinsic for it.
    fn prefetch(self, p: *const f32);

    /// Writes lane `i` of vector `k` to `p[9 i + k]`: the taps of 3x3 kernels, a kernel in every lane.
    ///
    /// # Safety
    /// `p` must be valid for writing `9 LANES` floats.
    #[inline(always)]
    unsafe fn weave(self, p: *mut f32, v: [Self::V; 9]) {
        let mut lanes = [0.0; BLOCK];
        for (k, v) in v.into_iter().enumerate() {
            // SAFETY: a vector has at most `BLOCK` lanes; the caller vouches for the target.
            unsafe {
                self.store(lanes.as_mut_ptr(), v);
                for (i, &lane) in lanes[..Self::LANES].iter().enumerate() {
                    *p.add(9 * i + k) = lane;
                }
            }
        }
    }

    /// Vector of which all lanes are zero.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// Reads the vector that starts at `x[at]`.
    #[inline(always)]
    fn read(self, x: &[f32], at: usize) -> Self::V {
        assert!(at + Self::LANES <= x.len());
        // SAFETY: the lanes were just checked to lie in `x`.
        unsafe { self.load(x.as_ptr().add(at)) }
    }
}

/// The arithmetic of a token, from the intrinsics of its instruction set.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector_operations {
    ($($name:ident($($argument:ident),*) => $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: Self::V),*) -> Self::V {
            // SAFETY: the token proves that the machine has the intrinsics' instruction set.
            unsafe { $value }
        }
    )*};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use vector_operations;
