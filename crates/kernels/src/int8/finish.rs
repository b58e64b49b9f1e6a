//! The epilogue: sums become outputs.

use super::grid::Tile;
use super::tile::{MOST_PIXELS, MOST_SUMS, Sums};
use super::token::{Dot, DotKernel};
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

/// Destination of results.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Bytes, and the one that stands for 0.
    Bytes(*mut u8, u8),
    Floats(*mut f32),
}

/// Map that is added to the results.
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
    /// Its first sum in the tile.
    sums: usize,
    /// First element in the output, and in what is added.
    output: usize,
    added: usize,
}

impl Finish<'_> {
    /// Finishes a tile of `size` pixels, whose first block of output channels is `block`, of `panel` in the sums.
    ///
    /// # Safety
    /// The target is valid for writing the tile's pixels, what is added for reading them, and nothing else writes them.
    #[inline(always)]
    pub(super) unsafe fn run<D: Dot>(
        &self,
        d: D,
        sums: &Sums,
        (tile, size): (&Tile, [usize; 2]),
        [block, panel]: [usize; 2],
    ) {
        let mut all = [Pixel::default(); MOST_PIXELS];
        assert!(size[0] * size[1] * panel * 16 <= MOST_SUMS);
        let count = self.pixels(tile, (size, panel), &mut all);
        let pixels = &all[..count];
        for b in 0..panel.min(self.blocks - block) {
            let block = Block { finish: self, sums, pixels, block: block + b, first: b * 16 };
            // A function of its own, which is not compiled again for every size of tile.
            match (self.target, self.added) {
                (Target::Bytes(..), Added::Nothing) => d.run(BlockOf::<true, 0>(block)),
                (Target::Bytes(..), Added::Bytes(_)) => d.run(BlockOf::<true, 1>(block)),
                (Target::Bytes(..), Added::Floats(_)) => d.run(BlockOf::<true, 2>(block)),
                (Target::Floats(_), Added::Nothing) => d.run(BlockOf::<false, 0>(block)),
                (Target::Floats(_), Added::Bytes(_)) => d.run(BlockOf::<false, 1>(block)),
                (Target::Floats(_), Added::Floats(_)) => d.run(BlockOf::<false, 2>(block)),
            }
        }
    }

    /// The pixels of a tile of `rows` and `columns` that it writes, with the sums of a panel each, and their number.
    #[inline(always)]
    fn pixels(
        &self,
        tile: &Tile,
        ([rows, columns], panel): ([usize; 2], usize),
        into: &mut [Pixel; MOST_PIXELS],
    ) -> usize {
        let (width, mut count) = (self.places.width, 0);
        for r in tile.skip[0]..rows {
            let column = tile.first[1] + tile.skip[1];
            let (mut y, mut x) =
                if self.flat { (column / width, column % width) } else { (tile.first[0] + r, column) };
            for c in tile.skip[1]..columns {
                into[count] = Pixel {
                    sums: (r * columns + c) * panel * 16,
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
}

/// A block of output channels of some pixels.
struct Block<'a> {
    finish: &'a Finish<'a>,
    sums: &'a Sums,
    pixels: &'a [Pixel],
    block: usize,
    /// Place of the block in the sums of a pixel.
    first: usize,
}

/// A block, by what it writes and what is added: nothing, bytes or floats.
struct BlockOf<'a, const BYTES: bool, const ADDED: usize>(Block<'a>);

impl<const BYTES: bool, const ADDED: usize> DotKernel for BlockOf<'_, BYTES, ADDED> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let &Block { finish, pixels, block, .. } = &self.0;
        let at = 16 * block;
        let (factor, bias) = (&finish.factor[at..at + 16], &finish.bias[at..at + 16]);
        let plane = block * finish.places.plane;
        // SAFETY: who calls `Finish::run` vouches for the maps.
        unsafe {
            let per_output = d.splat(finish.per_output);
            let line = Line {
                factor: d.mul(d.load(factor.as_ptr()), per_output),
                bias: d.fma(d.load(bias.as_ptr()), per_output, d.splat(finish.shift)),
                added_factor: d.splat(finish.added_factor),
                low: d.splat(finish.bounds[0]),
                high: d.splat(finish.bounds[1]),
            };
            match finish.target {
                Target::Bytes(p, zero) => {
                    // Bytes are never below 0.
                    let is_bounded = finish.bounds[0] > -f32::from(zero);
                    let p = p.add(plane);
                    let mut rest = pixels;
                    loop {
                        rest = match rest {
                            [a, b, c, e, others @ ..] if e.output == a.output + 48 => {
                                let mut y = [line.low; 4];
                                y[0] = self.value(d, &line, a, is_bounded);
                                y[1] = self.value(d, &line, b, is_bounded);
                                y[2] = self.value(d, &line, c, is_bounded);
                                y[3] = self.value(d, &line, e, is_bounded);
                                d.store_four(p.add(a.output), y, i32::from(zero));
                                others
                            }
                            [pixel, others @ ..] => {
                                let y = self.value(d, &line, pixel, is_bounded);
                                d.store_bytes(p.add(pixel.output), y, i32::from(zero));
                                others
                            }
                            [] => break,
                        }
                    }
                }
                Target::Floats(p) => {
                    for pixel in pixels {
                        d.store(p.add(plane + pixel.output), self.value(d, &line, pixel, true));
                    }
                }
            }
        }
    }
}

/// Constants of the pixels of a block.
struct Line<D: Dot> {
    factor: D::Floats,
    bias: D::Floats,
    added_factor: D::Floats,
    low: D::Floats,
    high: D::Floats,
}

impl<const BYTES: bool, const ADDED: usize> BlockOf<'_, BYTES, ADDED> {
    /// Values of a pixel.
    ///
    /// # Safety
    /// What is added is valid for reading the pixel.
    #[inline(always)]
    unsafe fn value<D: Dot>(&self, d: D, line: &Line<D>, pixel: &Pixel, is_bounded: bool) -> D::Floats {
        let &Block { finish, sums, block, first, .. } = &self.0;
        let place = pixel.added + block * finish.added_places.plane;
        // SAFETY: a pixel of a tile has its sums; the caller vouches for what is added.
        unsafe {
            let sums = d.load_sums(sums.0.as_ptr().add(pixel.sums + first));
            let mut y = d.fma(d.to_floats(sums), line.factor, line.bias);
            match finish.added {
                Added::Bytes(p) if ADDED == 1 => y = d.fma(d.load_bytes(p.add(place)), line.added_factor, y),
                Added::Floats(p) if ADDED == 2 => y = d.fma(d.load(p.add(place)), line.added_factor, y),
                _ => {}
            }
            match (BYTES, is_bounded) {
                (true, false) => d.min(y, line.high),
                (true, true) => d.min(d.max(y, line.low), line.high),
                // A NaN stays one.
                (false, _) => d.max(line.low, y),
            }
        }
    }
}
