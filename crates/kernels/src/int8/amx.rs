//! A share of a convolution's work on AMX.
//!
//! The sums of a tile are finished while the next one's are multiplied: they lie in two places in turn, since the tiles'
//! unit works for hundreds of cycles on instructions that the rest of the core issues in a few.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::grid::{Share, Tile};
use super::task::Call;
use super::tile::{MOST_PIXELS, MOST_SUMS, Sums};
use super::token::{Amx, Dot, DotKernel, Groups};
use crate::simd::BLOCK;

/// Blocks of input channels in a row of a tile, where the inputs are gathered.
pub(super) const GATHERED: usize = Amx::BYTES / BLOCK;

/// Most blocks of input channels that are gathered: those of 2048 channels.
const MOST_BLOCKS: usize = 128;

/// Most bytes of gathered inputs: of two tiles at least, so that weights that no cache holds are read for several.
const MOST_BYTES: usize = 2 * MOST_PIXELS * MOST_BLOCKS * BLOCK;

/// Inputs of tiles, of each `[blocks / 4][pixel][64]`.
#[repr(C, align(64))]
struct Gathered(MaybeUninit<[u8; MOST_BYTES]>);

/// True where a convolution's inputs are gathered, `rows` of a kernel of `run` bytes from `blocks` blocks: a kernel of one tap
/// fills a quarter of a tile's row, and four blocks beside each other all of it.
pub(super) fn is_gathered(blocks: usize, rows: usize, run: usize) -> bool {
    rows == 1 && run == BLOCK && blocks.is_multiple_of(GATHERED) && blocks <= MOST_BLOCKS
}

/// A share whose tiles are of two groups of pixels and two blocks of output channels.
pub(super) struct Tiles<'a> {
    pub(super) amx: Amx,
    pub(super) call: &'a Call<'a>,
    pub(super) share: Share,
}

/// A tile whose sums are to be finished: its place, its panel, and which of the two places its sums are in.
type Pending = Option<(Tile, usize, usize)>;

impl DotKernel for Tiles<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let (call, walk) = (self.call, &self.call.walk);
        assert!(call.panel == 2 && 2 * self.pixels() <= MOST_PIXELS);
        if is_gathered(walk.blocks, walk.rows, walk.run) {
            self.amx.configure(self.pixels(), Amx::BYTES);
            self.by_tile(d);
        } else {
            self.amx.configure(self.pixels(), walk.run);
            self.by_panel(d);
        }
        self.amx.release();
    }
}

impl Tiles<'_> {
    /// Pixels of a group.
    fn pixels(&self) -> usize {
        self.call.grid.tile[0] * self.call.grid.tile[1] / 2
    }

    /// Bytes from the inputs of the first group to those of the second: the next row, or the rest of the only one.
    fn apart(&self) -> usize {
        if self.call.grid.tile[0] == 2 { self.call.walk.tile_row } else { self.pixels() * self.call.step }
    }

    /// All tiles for a panel, then for the next: its weights stay in the cache.
    #[inline(always)]
    fn by_panel<D: Dot>(&self, d: D) {
        let (call, apart) = (self.call, self.apart());
        let (mut sums, mut pending) = ([const { Sums([0; MOST_SUMS]) }; 2], None);
        for panel in self.share.panels.clone() {
            for index in self.share.tiles.clone() {
                let tile = call.grid.tile(index);
                // SAFETY: the call was checked, and the share is this task's alone.
                unsafe {
                    let x = call.x.as_ptr().add(call.first(&tile));
                    let inputs = ([x, x.add(apart)], call.step, call.runs, call.walk.run);
                    self.next(d, inputs, (tile, panel), &mut sums, &mut pending);
                }
            }
        }
        self.finish(d, &sums, pending);
    }

    /// All panels for a few tiles, whose inputs are gathered first.
    #[inline(always)]
    fn by_tile<D: Dot>(&self, d: D) {
        let (call, pixels) = (self.call, self.pixels());
        let mut gathered = Gathered(MaybeUninit::uninit());
        let mut runs = [0; MOST_BLOCKS / GATHERED];
        let runs = &mut runs[..call.walk.blocks / GATHERED];
        for (chunk, run) in runs.iter_mut().enumerate() {
            *run = chunk * 2 * pixels * Amx::BYTES;
        }
        let (mut sums, mut pending) = ([const { Sums([0; MOST_SUMS]) }; 2], None);
        let each = 2 * pixels * call.walk.blocks * BLOCK;
        let Range { start, end } = self.share.tiles;
        for first in (start..end).step_by(MOST_BYTES / each) {
            let tiles = first..(first + MOST_BYTES / each).min(end);
            // SAFETY: the call was checked, and the share is this task's alone; the tiles' inputs fit.
            unsafe {
                let x = gathered.0.as_mut_ptr().cast::<u8>();
                for (place, index) in tiles.clone().enumerate() {
                    let from = call.x.as_ptr().add(call.first(&call.grid.tile(index)));
                    self.gather(from, x.add(place * each));
                }
                for panel in self.share.panels.clone() {
                    for (place, index) in tiles.clone().enumerate() {
                        let x = x.cast_const().add(place * each);
                        let inputs = ([x, x.add(pixels * Amx::BYTES)], Amx::BYTES, &*runs, Amx::BYTES);
                        self.next(d, inputs, (call.grid.tile(index), panel), &mut sums, &mut pending);
                    }
                }
            }
        }
        self.finish(d, &sums, pending);
    }

    /// Gathers the inputs of a tile's pixels, the first of which are at `from`.
    ///
    /// # Safety
    /// The call was checked, and the tile is one of its grid's; `to` is valid for writing all inputs.
    #[inline(always)]
    unsafe fn gather(&self, from: *const u8, to: *mut u8) {
        let (walk, pixels, apart) = (&self.call.walk, self.pixels(), self.apart());
        for block in 0..walk.blocks {
            let chunk = block / GATHERED * 2 * pixels * Amx::BYTES + block % GATHERED * BLOCK;
            for group in 0..2 {
                // SAFETY: the caller vouches for the memory.
                unsafe {
                    let from = from.add(block * walk.block + group * apart);
                    let to = to.add(chunk + group * pixels * Amx::BYTES);
                    for pixel in 0..pixels {
                        let inputs = from.add(pixel * self.call.step).cast::<[u8; BLOCK]>().read();
                        to.add(pixel * Amx::BYTES).cast::<[u8; BLOCK]>().write(inputs);
                    }
                }
            }
        }
    }

    /// Multiplies the inputs of a tile, first of its two groups, step, runs and bytes of a run, with the weights of a panel;
    /// then finishes the tile before.
    ///
    /// # Safety
    /// The tiles are configured for the inputs, which the call has or which are gathered.
    #[inline(always)]
    unsafe fn next<D: Dot>(
        &self,
        d: D,
        (x, step, runs, run): ([*const u8; 2], usize, &[usize], usize),
        (tile, panel): (Tile, usize),
        sums: &mut [Sums; 2],
        pending: &mut Pending,
    ) {
        let (call, each) = (self.call, self.call.weights_of_panel());
        let place = pending.map_or(0, |(_, _, place)| 1 - place);
        // SAFETY: the caller vouches for the inputs; weights and starts are those of the panel.
        unsafe {
            self.amx.multiply(&Groups {
                x,
                step,
                runs,
                run,
                weights: call.weights[panel * each..].as_ptr(),
                start: call.starts[panel * 32..].as_ptr(),
                sums: sums[place].0.as_mut_ptr(),
                group: self.pixels() * 32 * size_of::<i32>(),
            });
        }
        let before = pending.replace((tile, panel, place));
        self.finish(d, sums, before);
    }

    /// Finishes a tile whose sums are there.
    #[inline(always)]
    fn finish<D: Dot>(&self, d: D, sums: &[Sums; 2], pending: Pending) {
        if let Some((tile, panel, place)) = pending {
            let size = self.call.grid.tile;
            // SAFETY: the call was checked, and the share is this task's alone.
            unsafe { self.call.finish.run(d, &sums[place], (&tile, size), [2 * panel, 2]) }
        }
    }
}
