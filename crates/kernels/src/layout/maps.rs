//! How a batch of feature maps lies in memory.

use std::ops::Range;

use crate::Error;
use crate::memory::Parts;
use crate::simd::BLOCK;

/// A batch of feature maps in memory: `[batch][channels / block][height + 2 border][width + 2 border][block]`.
///
/// The block size makes the layout: 1 is NCHW ([`Layout::planar`]), all channels is NHWC
/// ([`Layout::interleaved`]), 16 is the layout of the convolutions ([`Layout::blocked`]);
/// `docs/decisions/010-activation-layout.md` says why. Where 16 does not divide the channels, the lanes
/// past the last channel are zero, and every kernel keeps them so.
///
/// The border around each map is zero and serves as the padding of the convolution that reads the map:
/// with it, an input pixel is at a constant distance from its neighbours, in the map or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    block: usize,
    border: usize,
}

/// Strides of a layout: a [`Layout`] with its divisions and products done.
#[derive(Clone, Copy, Default)]
pub(crate) struct Steps {
    origin: usize,
    image: usize,
    plane: usize,
    pub(crate) row: usize,
    pixel: usize,
}

impl Steps {
    /// [`Layout::index`].
    #[inline(always)]
    pub(crate) fn index(&self, n: usize, block: usize, y: usize, x: usize) -> usize {
        self.origin + n * self.image + block * self.plane + y * self.row + x * self.pixel
    }
}

impl Layout {
    /// Layout blocked by 16 channels, without a border.
    ///
    /// # Errors
    /// [`Error::Shape`] where a size is zero or the whole does not fit the address space.
    pub fn blocked(batch: usize, channels: usize, height: usize, width: usize) -> Result<Self, Error> {
        Self { batch, channels, height, width, block: BLOCK, border: 0 }.checked()
    }

    /// Layout of one plane a channel (NCHW), without a border.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn planar(batch: usize, channels: usize, height: usize, width: usize) -> Result<Self, Error> {
        Self { batch, channels, height, width, block: 1, border: 0 }.checked()
    }

    /// Layout of all channels of a pixel together (NHWC), without a border.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn interleaved(batch: usize, channels: usize, height: usize, width: usize) -> Result<Self, Error> {
        Self { batch, channels, height, width, block: channels, border: 0 }.checked()
    }

    /// Layout with `border` rows and columns of zeros on every side of each map.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn with_border(self, border: usize) -> Result<Self, Error> {
        Self { border, ..self }.checked()
    }

    /// Layout of `batch` images.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn with_batch(self, batch: usize) -> Result<Self, Error> {
        Self { batch, ..self }.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        let Self { batch, channels, height, width, block, border } = self;
        let padded = |size: usize| border.checked_mul(2)?.checked_add(size);
        let bytes = || {
            let channels = channels.div_ceil(block).checked_mul(block)?;
            let floats = batch.checked_mul(channels)?.checked_mul(padded(height)?)?;
            floats.checked_mul(padded(width)?)?.checked_mul(size_of::<f32>())
        };
        let sizes = [batch, channels, height, width];
        let fits = !sizes.contains(&0) && bytes().is_some_and(|bytes| bytes <= isize::MAX as usize);
        fits.then_some(self).ok_or_else(|| Error::Shape {
            what: "a feature map".into(),
            reason: format!("{batch}x{channels}x{height}x{width} with border {border} is empty or too large"),
        })
    }

    /// Images.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Channels of an image.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows of a map, without the border.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of a map, without the border.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows and columns of zeros on every side.
    pub fn border(&self) -> usize {
        self.border
    }

    /// Channels that lie together.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Blocks of an image; the last may be partly filled.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(self.block)
    }

    /// Floats from a row to the next.
    pub fn row(&self) -> usize {
        (self.width + 2 * self.border) * self.block
    }

    /// Floats from a block to the next.
    pub fn plane(&self) -> usize {
        (self.height + 2 * self.border) * self.row()
    }

    /// Floats from an image to the next.
    pub fn image(&self) -> usize {
        self.blocks() * self.plane()
    }

    /// Floats in all.
    #[expect(clippy::len_without_is_empty, reason = "a layout is never empty")]
    pub fn len(&self) -> usize {
        self.batch * self.image()
    }

    /// Offset of block `block` of pixel (`y`, `x`) of image `n`; the border is not counted in
    /// `y` and `x`.
    pub fn index(&self, n: usize, block: usize, y: usize, x: usize) -> usize {
        let (y, x) = (y + self.border, x + self.border);
        n * self.image() + block * self.plane() + y * self.row() + x * self.block
    }

    /// Strides of the layout.
    pub(crate) fn steps(&self) -> Steps {
        Steps {
            origin: self.index(0, 0, 0, 0),
            image: self.image(),
            plane: self.plane(),
            row: self.row(),
            pixel: self.block,
        }
    }

    /// Zeroes the border of block `block` of image `n` beside `rows`, and above the first row and below
    /// the last where `rows` holds them.
    ///
    /// # Safety
    /// Nothing else reads or writes that border in `y` while this runs.
    pub(crate) unsafe fn clear_border(&self, y: Parts<'_>, n: usize, block: usize, rows: Range<usize>) {
        if self.border == 0 {
            return;
        }
        let side = self.border * self.block;
        let zero = |start: usize, len: usize| {
            // SAFETY: the caller keeps everything else away from the border.
            unsafe { y.part(start..start + len) }.fill(0.0);
        };
        for row in rows.clone() {
            let first = self.index(n, block, row, 0);
            zero(first - side, side);
            zero(first + self.width * self.block, side);
        }
        let plane = n * self.image() + block * self.plane();
        if rows.start == 0 {
            zero(plane, self.border * self.row());
        }
        if rows.end == self.height {
            zero(plane + (self.border + self.height) * self.row(), self.border * self.row());
        }
    }

    /// Floats of two vectors with a value for every channel, in whole blocks.
    pub(crate) fn vectors(&self) -> usize {
        2 * self.blocks() * BLOCK
    }

    /// Check that `values` is the length of this layout.
    ///
    /// # Errors
    /// [`Error::Length`], naming it `what`.
    pub(crate) fn check(&self, what: &'static str, values: usize) -> Result<(), Error> {
        check_length(what, self.len(), values)
    }

    /// Equality of the numbers of images, channels, rows and columns.
    pub(crate) fn same_maps(&self, other: &Self) -> bool {
        let sizes = |l: &Self| (l.batch, l.channels, l.height, l.width);
        sizes(self) == sizes(other)
    }
}

/// # Errors
/// [`Error::Length`], naming it `what`, where the two differ.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}

/// The first `needed` floats of a workspace, which may be larger.
///
/// # Errors
/// [`Error::Length`] where it is smaller.
pub(crate) fn workspace(needed: usize, found: &mut [f32]) -> Result<&mut [f32], Error> {
    let len = found.len();
    found.get_mut(..needed).ok_or(Error::Length { what: "the workspace", expected: needed, found: len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_counts_from_inside_the_border() {
        let layout = Layout::blocked(2, 20, 3, 4).unwrap().with_border(1).unwrap();
        assert_eq!((layout.blocks(), layout.row(), layout.plane()), (2, 96, 480));
        assert_eq!(layout.index(1, 1, 2, 3), 2 * 480 + 480 + 3 * 96 + 4 * 16);
    }

    #[test]
    fn empty_and_enormous_maps_are_errors() {
        for (n, c, h, w) in [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)] {
            for layout in
                [Layout::planar(n, c, h, w), Layout::interleaved(n, c, h, w), Layout::blocked(n, c, h, w)]
            {
                assert!(matches!(layout, Err(Error::Shape { .. })));
            }
        }
        assert!(Layout::blocked(usize::MAX, 1, 1, 1).is_err());
        assert!(Layout::planar(1, usize::MAX / 2, 3, 3).is_err());
        assert!(Layout::planar(1, 1, 1, 1).unwrap().with_border(usize::MAX).is_err());
    }
}
