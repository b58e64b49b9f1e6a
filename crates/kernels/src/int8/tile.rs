//! The micro-kernel: the sums of a tile of pixels, all in registers.

use super::token::Dot;

/// Inputs of a pixel: `blocks` times `rows` runs of consecutive bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Blocks of input channels.
    pub(super) blocks: usize,
    /// Bytes from a block to the next.
    pub(super) block: usize,
    /// Rows of the kernel.
    pub(super) rows: usize,
    /// Bytes from a row of the input to the next.
    pub(super) row: usize,
    /// Bytes of a run: those of the pixels under a row of the kernel.
    pub(super) run: usize,
    /// Bytes from the inputs of a row of a tile to those of the next.
    pub(super) tile_row: usize,
}

impl Walk {
    /// Offsets of the runs.
    pub(super) fn runs(&self) -> Vec<usize> {
        let of = |block: usize| (0..self.rows).map(move |row| block * self.block + row * self.row);
        (0..self.blocks).flat_map(of).collect()
    }
}

/// Most pixels of a tile: those of AMX.
pub(super) const MOST_PIXELS: usize = 32;

/// Most sums of a tile.
pub(super) const MOST_SUMS: usize = MOST_PIXELS * 32;

/// The sums of a tile, `[pixel][channel]`.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [i32; MOST_SUMS]);

/// Sums of `R` rows of `C` pixels, `STEP` bytes apart in the input, by `NB` blocks of output channels.
///
/// # Safety
/// `x` is valid for reading what `walk` says for every pixel, `weights` for 64 `NB` bytes for every 4 inputs of a pixel,
/// `start` for 16 `NB` integers, which the sums begin with. The sums are `R C NB` times 16 at most [`MOST_SUMS`].
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "constant bounds and indices keep the arrays in registers")]
pub(super) unsafe fn tile<D: Dot, const R: usize, const C: usize, const STEP: usize, const NB: usize>(
    d: D,
    walk: &Walk,
    x: *const u8,
    (weights, start): (*const i8, *const i32),
    sums: &mut Sums,
) {
    const { assert!(R * C * NB * 16 <= MOST_SUMS) };
    // SAFETY: the caller vouches for all that is read.
    unsafe {
        let mut all = [[[d.load_sums(start); NB]; C]; R];
        for b in 0..NB {
            let start = d.load_sums(start.add(16 * b));
            for r in 0..R {
                for c in 0..C {
                    all[r][c][b] = start;
                }
            }
        }
        let mut weights = weights;
        for block in 0..walk.blocks {
            for row in 0..walk.rows {
                let mut x = x.add(block * walk.block + row * walk.row);
                let end = x.add(walk.run);
                while x < end {
                    let mut w = [d.weights(weights); NB];
                    for b in 1..NB {
                        w[b] = d.weights(weights.add(64 * b));
                    }
                    for r in 0..R {
                        for c in 0..C {
                            let x = d.inputs(x.add(r * walk.tile_row + c * STEP));
                            for b in 0..NB {
                                all[r][c][b] = d.dot(all[r][c][b], x, w[b]);
                            }
                        }
                    }
                    weights = weights.add(64 * NB);
                    x = x.add(4);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                for b in 0..NB {
                    d.store_sums(sums.0.as_mut_ptr().add(((r * C + c) * NB + b) * 16), all[r][c][b]);
                }
            }
        }
    }
}
