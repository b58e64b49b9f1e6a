//! How a batch of feature maps lies in memory, and the conversions between layouts.

use std::ops::Range;

use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, KernelError};

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

impl Layout {
    /// Blocked by 16 channels, without a border.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where a size is zero or the whole does not fit the address space.
    pub fn blocked(batch: usize, channels: usize, height: usize, width: usize) -> Result<Self, KernelError> {
        Self { batch, channels, height, width, block: BLOCK, border: 0 }.checked()
    }

    /// One plane a channel (NCHW), without a border.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn planar(batch: usize, channels: usize, height: usize, width: usize) -> Result<Self, KernelError> {
        Self { batch, channels, height, width, block: 1, border: 0 }.checked()
    }

    /// All channels of a pixel together (NHWC), without a border.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn interleaved(
        batch: usize,
        channels: usize,
        height: usize,
        width: usize,
    ) -> Result<Self, KernelError> {
        Self { batch, channels, height, width, block: channels, border: 0 }.checked()
    }

    /// The same with `border` rows and columns of zeros on every side of each map.
    ///
    /// # Errors
    /// As for [`Layout::blocked`].
    pub fn with_border(self, border: usize) -> Result<Self, KernelError> {
        Self { border, ..self }.checked()
    }

    fn checked(self) -> Result<Self, KernelError> {
        let Self { batch, channels, height, width, block, border } = self;
        let padded = |size: usize| border.checked_mul(2)?.checked_add(size);
        let bytes = || {
            let channels = channels.div_ceil(block).checked_mul(block)?;
            let floats = batch.checked_mul(channels)?.checked_mul(padded(height)?)?;
            floats.checked_mul(padded(width)?)?.checked_mul(size_of::<f32>())
        };
        let sizes = [batch, channels, height, width];
        let fits = !sizes.contains(&0) && bytes().is_some_and(|bytes| bytes <= isize::MAX as usize);
        fits.then_some(self).ok_or_else(|| KernelError::Shape {
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

    /// Where the block `block` of pixel (`y`, `x`) of image `n` starts; the border is not counted in
    /// `y` and `x`.
    pub fn index(&self, n: usize, block: usize, y: usize, x: usize) -> usize {
        let (y, x) = (y + self.border, x + self.border);
        n * self.image() + block * self.plane() + y * self.row() + x * self.block
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

    /// Floats of two vectors with a value for every channel, in whole blocks: the workspace of
    /// [`norm::apply`](crate::norm::apply).
    pub fn vectors(&self) -> usize {
        2 * self.blocks() * BLOCK
    }

    /// Whether `values` is as long as this layout says.
    ///
    /// # Errors
    /// [`KernelError::Length`], naming it `what`.
    pub(crate) fn check(&self, what: &'static str, values: usize) -> Result<(), KernelError> {
        check_length(what, self.len(), values)
    }

    /// The same numbers of images, channels, rows and columns?
    pub(crate) fn same_maps(&self, other: &Self) -> bool {
        let sizes = |l: &Self| (l.batch, l.channels, l.height, l.width);
        sizes(self) == sizes(other)
    }
}

/// # Errors
/// [`KernelError::Length`], naming it `what`, where the two differ.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::Length { what, expected, found }) }
}

/// Rearranges `x` from one layout to another; the border and the lanes past the last channel become 0.
///
/// # Errors
/// [`KernelError::Shape`] where the layouts are of different maps, [`KernelError::Length`] where a slice
/// is not as long as its layout.
///
/// ```
/// use residual_kernels::{Cpu, Layout, convert};
///
/// let (planar, interleaved) = (Layout::planar(1, 2, 1, 3)?, Layout::interleaved(1, 2, 1, 3)?);
/// let mut y = [0.0; 6];
/// convert(&Cpu::new(1)?, &[1., 2., 3., 10., 20., 30.], planar, &mut y, interleaved)?;
/// assert_eq!(y, [1., 10., 2., 20., 3., 30.]);
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
pub fn convert(cpu: &Cpu, x: &[f32], from: Layout, y: &mut [f32], to: Layout) -> Result<(), KernelError> {
    if !from.same_maps(&to) {
        return Err(KernelError::Shape {
            what: "layout conversion".into(),
            reason: format!("from {from:?} to {to:?}"),
        });
    }
    from.check("the input", x.len())?;
    fill(cpu, y, to, |n, channel, row, out| {
        let (block, lane) = (channel / from.block, channel % from.block);
        let start = from.index(n, block, row, 0) + lane;
        let row = x[start..].iter().step_by(from.block);
        out.zip(row).for_each(|(y, &x)| *y = x);
    })
}

/// Bytes `[batch][height][width][channels]` to floats: `y = (x / 255 - mean) / std`, by channel.
///
/// # Errors
/// [`KernelError::Length`] where `x` or `y` is not as long as `to` says, or there is not one `mean` and
/// one `std` for every channel.
pub fn normalise(
    cpu: &Cpu,
    x: &[u8],
    mean: &[f32],
    std: &[f32],
    y: &mut [f32],
    to: Layout,
) -> Result<(), KernelError> {
    let channels = to.channels;
    check_length("the image", to.batch * channels * to.height * to.width, x.len())?;
    check_length("the means", channels, mean.len())?;
    check_length("the standard deviations", channels, std.len())?;
    fill(cpu, y, to, |n, channel, row, out| {
        // (x / 255 - mean) / std = x scale + shift
        let (scale, shift) = (1.0 / (255.0 * std[channel]), -mean[channel] / std[channel]);
        let start = (n * to.height + row) * to.width * channels + channel;
        let row = x[start..].iter().step_by(channels);
        out.zip(row).for_each(|(y, &x)| *y = f32::from(x) * scale + shift);
    })
}

/// The elements of one row of one channel.
type Row<'a> = std::iter::StepBy<std::slice::IterMut<'a, f32>>;

/// Fills `y` row by row: `source(image, channel, row, elements)` for all that holds a channel, 0 elsewhere.
fn fill(
    cpu: &Cpu,
    y: &mut [f32],
    to: Layout,
    source: impl Fn(usize, usize, usize, Row<'_>) + Sync,
) -> Result<(), KernelError> {
    to.check("the output", y.len())?;
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch * to.blocks(), |index, _| {
        let (n, block) = (index / to.blocks(), index % to.blocks());
        let start = index * to.plane();
        // SAFETY: every iteration has a plane of its own.
        let plane = unsafe { y.part(start..start + to.plane()) };
        plane.fill(0.0);
        let channels = block * to.block..((block + 1) * to.block).min(to.channels);
        for row in 0..to.height {
            for (lane, channel) in channels.clone().enumerate() {
                let first = to.index(0, 0, row, 0) + lane;
                let last = to.index(0, 0, row, to.width - 1) + lane;
                source(n, channel, row, plane[first..=last].iter_mut().step_by(to.block));
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_layout(n: usize, c: usize, h: usize, w: usize) -> Vec<Layout> {
        let layouts =
            [Layout::planar(n, c, h, w), Layout::interleaved(n, c, h, w), Layout::blocked(n, c, h, w)];
        let bordered = |l: Layout| [0, 1, 3].map(|border| l.with_border(border).unwrap());
        layouts.into_iter().flat_map(|l| bordered(l.unwrap())).collect()
    }

    #[test]
    fn any_layout_to_any_other_and_back() {
        let cpu = Cpu::new(2).unwrap();
        for (n, c, h, w) in [(1, 1, 1, 1), (2, 3, 4, 5), (1, 16, 2, 2), (2, 17, 3, 1), (1, 33, 1, 7)] {
            let planar = Layout::planar(n, c, h, w).unwrap();
            let x: Vec<f32> = (1..=planar.len()).map(|i| i as f32).collect();
            for from in every_layout(n, c, h, w) {
                let mut a = vec![f32::NAN; from.len()];
                convert(&cpu, &x, planar, &mut a, from).unwrap();
                let sum: f64 = a.iter().map(|&v| f64::from(v)).sum();
                assert_eq!(sum, (x.len() * (x.len() + 1) / 2) as f64, "all else is zero: {from:?}");
                for to in every_layout(n, c, h, w) {
                    let (mut b, mut back) = (vec![f32::NAN; to.len()], vec![f32::NAN; x.len()]);
                    convert(&cpu, &a, from, &mut b, to).unwrap();
                    convert(&cpu, &b, to, &mut back, planar).unwrap();
                    assert_eq!(back, x, "{from:?} to {to:?}");
                }
            }
        }
    }

    #[test]
    fn index_counts_from_inside_the_border() {
        let layout = Layout::blocked(2, 20, 3, 4).unwrap().with_border(1).unwrap();
        assert_eq!((layout.blocks(), layout.row(), layout.plane()), (2, 96, 480));
        assert_eq!(layout.index(1, 1, 2, 3), 2 * 480 + 480 + 3 * 96 + 4 * 16);
    }

    #[test]
    fn bytes_are_normalised_by_channel() {
        let cpu = Cpu::new(1).unwrap();
        let layout = Layout::blocked(1, 2, 1, 2).unwrap();
        let mut y = vec![f32::NAN; 32];
        normalise(&cpu, &[0, 255, 51, 102], &[0.5, 0.2], &[0.25, 0.5], &mut y, layout).unwrap();
        for (at, wanted) in [(0, -2.0), (16, -1.2), (1, 1.6), (17, 0.4)] {
            assert!((y[at] - wanted).abs() < 1e-6, "{at}: {}", y[at]);
        }
        assert_eq!(y[2..16], [0.0; 14]);
    }

    #[test]
    fn empty_and_enormous_maps_are_errors() {
        for (n, c, h, w) in [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)] {
            for layout in
                [Layout::planar(n, c, h, w), Layout::interleaved(n, c, h, w), Layout::blocked(n, c, h, w)]
            {
                assert!(matches!(layout, Err(KernelError::Shape { .. })));
            }
        }
        assert!(Layout::blocked(usize::MAX, 1, 1, 1).is_err());
        assert!(Layout::planar(1, usize::MAX / 2, 3, 3).is_err());
        assert!(Layout::planar(1, 1, 1, 1).unwrap().with_border(usize::MAX).is_err());
    }

    #[test]
    fn wrong_lengths_and_maps_are_errors_and_write_nothing() {
        let cpu = Cpu::new(1).unwrap();
        let (a, b) = (Layout::planar(1, 2, 2, 2).unwrap(), Layout::blocked(1, 2, 2, 2).unwrap());
        let mut y = vec![7.0; 64];
        assert!(matches!(convert(&cpu, &[0.0; 7], a, &mut y, b), Err(KernelError::Length { found: 7, .. })));
        assert!(matches!(convert(&cpu, &[0.0; 8], a, &mut y[1..], b), Err(KernelError::Length { .. })));
        let other = Layout::planar(1, 2, 2, 3).unwrap();
        assert!(matches!(convert(&cpu, &[0.0; 12], other, &mut y, b), Err(KernelError::Shape { .. })));
        assert!(normalise(&cpu, &[0; 8], &[0.0; 1], &[1.0; 2], &mut y, b).is_err());
        assert!(normalise(&cpu, &[0; 8], &[0.0; 2], &[1.0; 3], &mut y, b).is_err());
        assert!(normalise(&cpu, &[0; 9], &[0.0; 2], &[1.0; 2], &mut y, b).is_err());
        assert_eq!(y, vec![7.0; 64]);
    }
}
