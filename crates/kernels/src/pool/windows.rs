//! Which pixels are pooled together.

use std::ops::Range;

use crate::simd::BLOCK;
use crate::{Error, Layout};

/// Windows of a pooling: the input pixels of each output pixel.
///
/// ```
/// use residual_kernels::pool::Pooling;
///
/// // The pooling behind ResNet's stem: 3x3, stride 2, padded by 1.
/// let pooling = Pooling::windows([112, 112], [3, 3], [2, 2], [1, 1])?;
/// assert_eq!(pooling.output(), [56, 56]);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    size: [usize; 2],
    /// Bins of each axis, for each pixel of the output.
    pub(super) bins: [Vec<Bin>; 2],
}

/// Pixels on an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bin {
    pub(super) range: Range<usize>,
    /// Divisor of an average.
    pub(super) count: usize,
}

pub(super) fn wrong(reason: String) -> Error {
    Error::Shape { what: "pooling".into(), reason }
}

impl Pooling {
    /// Windows of `kernel` pixels, `stride` apart, on maps of `size` with `padding` on every side; output
    /// `(size + 2 padding - kernel) / stride + 1`, rounded down. An average counts the padding
    /// (PyTorch's `count_include_pad`), unless [`Pooling::without_padding`] is asked for.
    ///
    /// # Errors
    /// [`Error::Shape`] where a size is zero, a window does not fit, or the padding is more than
    /// half the kernel.
    pub fn windows(
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Result<Self, Error> {
        let mut bins = [Vec::new(), Vec::new()];
        for (axis, bins) in bins.iter_mut().enumerate() {
            let (size, kernel, stride, padding) = (size[axis], kernel[axis], stride[axis], padding[axis]);
            let positive = size > 0 && kernel > 0 && stride > 0 && padding <= kernel / 2;
            let padded = padding.checked_mul(2).and_then(|both| both.checked_add(size));
            let Some(room) = padded.filter(|_| positive).and_then(|padded| padded.checked_sub(kernel)) else {
                return Err(wrong(format!(
                    "windows of {kernel} at stride {stride} on {size} pixels padded by {padding}"
                )));
            };
            bins.extend((0..room / stride + 1).map(|pixel| {
                let start = pixel * stride;
                // No start is beyond `room`, so that no sum is beyond the padded size.
                let range = start.saturating_sub(padding)..(start + kernel - padding).min(size);
                Bin { range, count: kernel }
            }));
        }
        Ok(Self { size, bins })
    }

    /// Windows of `kernel` pixels, `stride` apart, without padding; the last may hang over the far edge as
    /// long as it starts inside (PyTorch's `ceil_mode`), and an average divides by the pixels that are
    /// there: the pooling of ResNet-D's shortcuts (He et al. 2019, section 4.2).
    ///
    /// # Errors
    /// [`Error::Shape`] where a size is zero.
    pub fn overhanging(size: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Result<Self, Error> {
        if [size, kernel, stride].as_flattened().contains(&0) {
            return Err(wrong(format!("windows of {kernel:?} at stride {stride:?} on {size:?} pixels")));
        }
        let bins = [0, 1].map(|axis| {
            let (size, kernel, stride) = (size[axis], kernel[axis], stride[axis]);
            let count = (size.saturating_sub(kernel).div_ceil(stride) + 1).min((size - 1) / stride + 1);
            let range = |pixel: usize| pixel * stride..(pixel * stride).saturating_add(kernel).min(size);
            (0..count).map(|pixel| Bin { count: range(pixel).len(), range: range(pixel) }).collect()
        });
        Ok(Self { size, bins })
    }

    /// Bins that cut maps of `size` into `output` pixels, PyTorch's adaptive pooling: pixel i is made of
    /// `floor(i size / output) .. ceil((i + 1) size / output)`. One pixel is the global pooling.
    ///
    /// # Errors
    /// [`Error::Shape`] where a size is zero.
    pub fn adaptive(size: [usize; 2], output: [usize; 2]) -> Result<Self, Error> {
        if size.iter().chain(&output).any(|&number| number == 0) {
            return Err(wrong(format!("from {size:?} to {output:?} pixels")));
        }
        let bins = [0, 1].map(|axis| {
            let (size, output) = (size[axis], output[axis]);
            let range = |pixel: usize| pixel * size / output..((pixel + 1) * size).div_ceil(output);
            (0..output).map(|pixel| Bin { count: range(pixel).len(), range: range(pixel) }).collect()
        });
        Ok(Self { size, bins })
    }

    /// Windows of which an average does not count the padding.
    #[must_use]
    pub fn without_padding(mut self) -> Self {
        self.bins.iter_mut().flatten().for_each(|bin| bin.count = bin.range.len());
        self
    }

    /// Size of the output.
    pub fn output(&self) -> [usize; 2] {
        [self.bins[0].len(), self.bins[1].len()]
    }

    /// Input pixels of each output pixel on an axis.
    pub(crate) fn ranges(&self, axis: usize) -> impl Iterator<Item = Range<usize>> + Clone + '_ {
        self.bins[axis].iter().map(|bin| bin.range.clone())
    }

    /// Checks the layouts of the input's and the output's side, and the slices.
    pub(crate) fn check(&self, maps: [(&Layout, usize); 2]) -> Result<(), Error> {
        let [(input, x), (output, y)] = maps;
        let sizes = |l: &Layout| (l.batch(), l.channels());
        let fits = [input.height(), input.width()] == self.size
            && [output.height(), output.width()] == self.output()
            && sizes(input) == sizes(output);
        if !fits || [input, output].iter().any(|layout| layout.block() != BLOCK) {
            return Err(wrong(format!("{input:?} to {output:?} is not this pooling of blocked maps")));
        }
        input.check("the input's side", x)?;
        output.check("the output's side", y)
    }
}
