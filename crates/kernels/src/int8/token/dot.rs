//! The operations that a token of byte products offers to the kernels.

/// A computation written once for every token.
pub(in crate::int8) trait DotKernel {
    /// Runs with the vectors of `D`. Implementations are `#[inline(always)]`.
    fn run<D: Dot>(self, dot: D);
}

/// A token of a way to multiply bytes. A vector stands for the 16 output channels of a block, in as many registers as
/// the instruction set takes for it.
///
/// Every operation has the same result, to the bit, in every token: integers are exact, and floats are rounded once by
/// each operation.
pub(in crate::int8) trait Dot: Copy + Send + Sync + 'static {
    /// Sums of 16 channels, in 32 bits.
    type Sums: Copy;
    /// Weights of 16 output channels and 4 input channels.
    type Weights: Copy;
    /// 4 input channels of a pixel, in every lane.
    type Inputs: Copy;
    /// Floats of 16 channels.
    type Floats: Copy;

    /// The most pixels of a tile, whose sums fill the registers.
    const PIXELS: usize;
    /// The most blocks of output channels of a tile.
    const BLOCKS: usize;

    /// Enters a function compiled for this instruction set and runs `kernel` inlined there.
    fn run<K: DotKernel>(self, kernel: K);

    /// Reads 16 sums.
    ///
    /// # Safety
    /// `p` must be valid for reading 16 integers.
    unsafe fn load_sums(self, p: *const i32) -> Self::Sums;

    /// Writes 16 sums.
    ///
    /// # Safety
    /// `p` must be valid for writing 16 integers.
    unsafe fn store_sums(self, p: *mut i32, sums: Self::Sums);

    /// Reads the weights of 16 output channels, 4 inputs each.
    ///
    /// # Safety
    /// `p` must be valid for reading 64 bytes.
    unsafe fn weights(self, p: *const i8) -> Self::Weights;

    /// Reads 4 inputs.
    ///
    /// # Safety
    /// `p` must be valid for reading 4 bytes.
    unsafe fn inputs(self, p: *const u8) -> Self::Inputs;

    /// `sums[o] + sum over i of x[i] w[o][i]`.
    fn dot(self, sums: Self::Sums, x: Self::Inputs, w: Self::Weights) -> Self::Sums;

    /// The sums as floats, rounded to the nearest, ties to even.
    fn to_floats(self, sums: Self::Sums) -> Self::Floats;

    /// Vector of which all lanes are `x`.
    fn splat(self, x: f32) -> Self::Floats;

    /// `a + b`.
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// `a b + c`, rounded once, everywhere: a call for every lane where there is no instruction for it.
    fn fma(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;

    /// `a b`.
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// `a` where `a > b`, else `b`.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// `a` where `a < b`, else `b`.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// Reads 16 floats.
    ///
    /// # Safety
    /// `p` must be valid for reading 16 floats.
    unsafe fn load(self, p: *const f32) -> Self::Floats;

    /// Writes 16 floats.
    ///
    /// # Safety
    /// `p` must be valid for writing 16 floats.
    unsafe fn store(self, p: *mut f32, v: Self::Floats);

    /// Reads 16 bytes as floats.
    ///
    /// # Safety
    /// `p` must be valid for reading 16 bytes.
    unsafe fn load_bytes(self, p: *const u8) -> Self::Floats;

    /// Writes 16 floats, rounded to the nearest integer, ties to even, with `zero` added; 0 for what is below. Nothing is
    /// above 255.
    ///
    /// # Safety
    /// `p` must be valid for writing 16 bytes.
    unsafe fn store_bytes(self, p: *mut u8, v: Self::Floats, zero: i32);

    /// [`Dot::store_bytes`] of four channels of 16 pixels, the channels of a pixel beside each other.
    ///
    /// # Safety
    /// `p` must be valid for writing 64 bytes.
    #[inline(always)]
    unsafe fn store_pixels(self, p: *mut u8, channels: [Self::Floats; 4], zero: i32) {
        let mut bytes = [[0_u8; 16]; 4];
        // SAFETY: each is 16 bytes; the caller vouches for 64.
        unsafe {
            for (bytes, channel) in bytes.iter_mut().zip(channels) {
                self.store_bytes(bytes.as_mut_ptr(), channel, zero);
            }
            for pixel in 0..16 {
                p.add(4 * pixel).cast::<[u8; 4]>().write(bytes.map(|channel| channel[pixel]));
            }
        }
    }

    /// [`Dot::store_bytes`] of four vectors, one after the other.
    ///
    /// # Safety
    /// `p` must be valid for writing 64 bytes.
    #[inline(always)]
    unsafe fn store_four(self, p: *mut u8, [a, b, c, d]: [Self::Floats; 4], zero: i32) {
        // SAFETY: the caller vouches for 64 bytes.
        unsafe {
            self.store_bytes(p, a, zero);
            self.store_bytes(p.add(16), b, zero);
            self.store_bytes(p.add(32), c, zero);
            self.store_bytes(p.add(48), d, zero);
        }
    }
}
