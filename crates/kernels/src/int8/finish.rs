//! The epilogue: sums become outputs.

use super::grid::Tile;
use super::tile::Sums;
use super::token::Dot;
use crate::Layout;

/// Places of the pixels of blocked maps: the strides of a layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    image: usize,
    origin: usize,
    plane: usize,
    row: usize,
    width: usize,
}

impl Places {
    pub(super) fn of(layout: &Layout) -> Self {
        Self {
            image: layout.image(),
            origin: layout.index(0, 0, 0, 0),
            plane: layout.plane(),
            row: layout.row(),
            width: layout.width(),
        }
    }

    /// First element of a pixel of an image's first block.
    #[inline(always)]
    fn at(&self, image: usize, y: usize, x: usize) -> usize {
        image * self.image + self.origin + y * self.row + x * 16
    }
}

/// Where results go.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Bytes, and the one that stands for 0.
    Bytes(*mut u8, u8),
    Floats(*mut f32),
}

/// What is added to the results.
#[derive(Clone, Copy)]
pub(super) enum Added {
    Nothing,
    Bytes(*const u8),
    Floats(*const f32),
}

/// `y = act(sums (factor per_output) + (bias per_output + shift) + added added_factor)`, by channel; bytes of it are
/// bounded and rounded.
pub(super) struct Finish<'a> {
    /// Factor and bias of every channel of the panels.
    pub(super) factor: &'a [f32],
    pub(super) bias: &'a [f32],
    /// Steps of the output in 1, and what the zero of what is added makes of every result.
    pub(super) per_output: f32,
    pub(super) shift: f32,
    pub(super) target: Target,
    pub(super) places: Places,
    pub(super) added: Added,
    pub(super) added_factor: f32,
    pub(super) added_places: Places,
    /// Bounds of the result, before `zero` is added where it is a byte.
    pub(super) bounds: [f32; 2],
    /// Blocks of output channels.
    pub(super) blocks: usize,
    /// A map is a single row of pixels.
    pub(super) flat: bool,
}

// SAFETY: the tasks that share it write pixels and channels that no other writes, and only read what is added.
unsafe impl Sync for Finish<'_> {}

/// A pixel to write.
#[derive(Clone, Copy, Default)]
struct Pixel {
    /// Its number in the tile.
    number: usize,
    /// First element in the output, and in what is added.
    output: usize,
    added: usize,
}

impl Finish<'_> {
    /// Finishes a tile of `size` pixels, whose first block of output channels is `block`, of `NB`.
    ///
    /// # Safety
    /// The target is valid for writing the tile's pixels, what is added for reading them, and nothing else writes them.
    #[inline(always)]
    pub(super) unsafe fn run<D: Dot, const NB: usize>(
        &self,
        d: D,
        sums: &Sums,
        (tile, size): (&Tile, [usize; 2]),
        block: usize,
    ) {
        let mut all = [Pixel::default(); 14];
        let count = self.pixels(tile, size, &mut all);
        for b in 0..NB.min(self.blocks - block) {
            // SAFETY: the caller vouches for the memory.
            unsafe { self.block::<D, NB>(d, sums, &all[..count], [block + b, b]) }
        }
    }

    /// The pixels of a tile that it writes, and their number.
    #[inline(always)]
    fn pixels(&self, tile: &Tile, [rows, columns]: [usize; 2], into: &mut [Pixel; 14]) -> usize {
        let (width, mut count) = (self.places.width, 0);
        for r in tile.skip[0]..rows {
            let column = tile.first[1] + tile.skip[1];
            let (mut y, mut x) =
                if self.flat { (column / width, column % width) } else { (tile.first[0] + r, column) };
            for c in tile.skip[1]..columns {
                into[count] = Pixel {
                    number: r * columns + c,
                    output: self.places.at(tile.image, y, x),
                    added: self.added_places.at(tile.image, y, x),
                };
                count += 1;
                x += 1;
                if x == width {
                    (y, x) = (y + 1, 0);
                }
            }
        }
        count
    }

    /// Finishes block `block` of the output, `b` of the sums.
    ///
    /// # Safety
    /// As for [`Finish::run`].
    #[inline(always)]
    unsafe fn block<D: Dot, const NB: usize>(
        &self,
        d: D,
        sums: &Sums,
        pixels: &[Pixel],
        [block, b]: [usize; 2],
    ) {
        let (plane, added_plane) = (block * self.places.plane, block * self.added_places.plane);
        let (low, high) = (d.splat(self.bounds[0]), d.splat(self.bounds[1]));
        let added_factor = d.splat(self.added_factor);
        // SAFETY: there are factors and biases for whole panels; the caller vouches for the maps.
        unsafe {
            let (per_output, shift) = (d.splat(self.per_output), d.splat(self.shift));
            let factor = d.mul(d.load(self.factor[16 * block..][..16].as_ptr()), per_output);
            let bias = d.mul(d.load(self.bias[16 * block..][..16].as_ptr()), per_output);
            let bias = d.add(bias, shift);
            for pixel in pixels {
                let sums = d.load_sums(sums.0[(pixel.number * NB + b) * 16..][..16].as_ptr());
                let mut y = d.add(d.mul(d.to_floats(sums), factor), bias);
                match self.added {
                    Added::Nothing => {}
                    Added::Bytes(p) => {
                        let added = d.load_bytes(p.add(pixel.added + added_plane));
                        y = d.add(y, d.mul(added, added_factor));
                    }
                    Added::Floats(p) => {
                        let added = d.load(p.add(pixel.added + added_plane));
                        y = d.add(y, d.mul(added, added_factor));
                    }
                }
                match self.target {
                    Target::Bytes(p, zero) => {
                        let y = d.min(d.max(y, low), high);
                        d.store_bytes(p.add(pixel.output + plane), y, i32::from(zero));
                    }
                    // A NaN stays one.
                    Target::Floats(p) => d.store(p.add(pixel.output + plane), d.max(low, y)),
                }
            }
        }
    }
}
