//! The output's pixels, over which weight gradients are summed, cut into chunks.

use std::ops::Range;

use super::outer::Operand;
use crate::Layout;
use crate::conv::ConvShape;
use crate::simd::BLOCK;

/// Pixels of a chunk: the maps of that many, 16 KiB a channel block, stay in the level 1 cache while other
/// channels pass over them. On a Zen 5 (1024 -> 512 channels on 14x14, 1x1, batch 16, share of the peak):
/// 0.83 at 128 pixels, 0.89 at 256, 0.86 at 400.
const CHUNK: usize = 256;

/// Walk through both maps of a weight gradient.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    shape: ConvShape,
    /// The input, with a border as wide as the padding.
    x: Layout,
    dy: Layout,
    cut: Cut,
}

/// Pixels of a chunk. Where every row follows the last without a gap, in both maps, rows do not matter.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Some rows of an image.
    Rows { together: usize },
    /// Part of an image's pixels, of `parts`.
    Parts { parts: usize },
    /// Some images.
    Images { together: usize },
}

/// Chunk of `lines` lines of `pixels` pixels. Pixel 0 of line 0 lies at `x` and `dy` in the maps'
/// first channel blocks.
pub(super) struct Chunk {
    pub(super) lines: usize,
    pub(super) pixels: usize,
    x: usize,
    dy: usize,
}

impl Chunks {
    pub(super) fn new(shape: ConvShape, x: Layout, dy: Layout) -> Self {
        let [h, w] = [dy.height(), dy.width()];
        let flat = shape.stride[0] * x.row() == w * shape.stride[1] * x.block() && dy.border() == 0;
        let cut = match (flat, (h * w).div_ceil(CHUNK)) {
            (false, _) => Cut::Rows { together: (CHUNK / w).clamp(1, h) },
            (true, 1) => Cut::Images { together: (CHUNK / (h * w)).clamp(1, dy.batch()) },
            // An even number, for bands of equal size.
            (true, parts) => Cut::Parts { parts: parts.next_multiple_of(2) },
        };
        Self { shape, x, dy, cut }
    }

    /// Chunks in all.
    pub(super) fn len(&self) -> usize {
        match self.cut {
            Cut::Rows { together } => self.dy.batch() * self.dy.height().div_ceil(together),
            Cut::Parts { parts } => self.dy.batch() * parts,
            Cut::Images { together } => self.dy.batch().div_ceil(together),
        }
    }

    /// Pixels of all chunks.
    pub(super) fn pixels(&self) -> usize {
        self.dy.batch() * self.dy.height() * self.dy.width()
    }

    pub(super) fn get(&self, index: usize) -> Chunk {
        let [h, w] = [self.dy.height(), self.dy.width()];
        let share = |index: usize, of: usize, len: usize| index * len / of..(index + 1) * len / of;
        match self.cut {
            Cut::Rows { together } => {
                let parts = h.div_ceil(together);
                let rows = share(index % parts, parts, h);
                self.chunk(index / parts, rows, 0..w)
            }
            Cut::Parts { parts } => {
                let pixels = share(index % parts, parts, h * w);
                self.chunk(index / parts, 0..1, pixels)
            }
            Cut::Images { .. } => {
                let images = share(index, self.len(), self.dy.batch());
                let chunk = self.chunk(images.start, 0..1, 0..h * w);
                Chunk { lines: images.len(), ..chunk }
            }
        }
    }

    fn chunk(&self, image: usize, rows: Range<usize>, pixels: Range<usize>) -> Chunk {
        let Self { shape, x, dy, .. } = self;
        let [top, left] = shape.padding.map(|padding| x.border() - padding);
        let row = (rows.start * shape.stride[0] + top) * x.row();
        let column = (pixels.start * shape.stride[1] + left) * x.block();
        Chunk {
            lines: rows.len(),
            pixels: pixels.len(),
            x: image * x.image() + row + column,
            dy: dy.index(image, 0, rows.start, 0) + pixels.start * dy.block(),
        }
    }

    /// The pixels of channel block `block` of the input that tap `tap` meets.
    #[inline(always)]
    pub(super) fn input<'a>(
        &self,
        values: &'a [f32],
        chunk: &Chunk,
        block: usize,
        tap: usize,
    ) -> Operand<'a> {
        let Self { shape, x, .. } = self;
        let line = match self.cut {
            Cut::Images { .. } => x.image(),
            _ => shape.stride[0] * x.row(),
        };
        let at = chunk.x + block * x.plane() + self.tap(tap);
        Operand { values, at, line, step: shape.stride[1] * x.block() }
    }

    /// The pixels of channel block `block` of the gradient.
    #[inline(always)]
    pub(super) fn gradient<'a>(&self, values: &'a [f32], chunk: &Chunk, block: usize) -> Operand<'a> {
        let line = match self.cut {
            Cut::Images { .. } => self.dy.image(),
            _ => self.dy.row(),
        };
        Operand { values, at: chunk.dy + block * self.dy.plane(), line, step: self.dy.block() }
    }

    /// Lines of the cache between the first and the last pixel that a chunk reads of an input block.
    #[inline(always)]
    pub(super) fn span(&self, chunk: &Chunk) -> usize {
        let Operand { line, step, .. } = self.input(&[], chunk, 0, 0);
        let last = (chunk.lines - 1) * line + (chunk.pixels - 1) * step + self.tap(self.shape.taps() - 1);
        last / BLOCK + 1
    }

    /// Offset of tap `tap` from the first.
    pub(super) fn tap(&self, tap: usize) -> usize {
        let Self { shape, x, .. } = self;
        let (u, v) = (tap / shape.kernel[1] * shape.dilation[0], tap % shape.kernel[1] * shape.dilation[1]);
        u * x.row() + v * x.block()
    }
}
