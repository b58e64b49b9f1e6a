//! The sizes of a convolution.

use crate::{Error, Layout};

/// The sizes of a two-dimensional convolution, as PyTorch's `conv2d` has them; pairs are (rows, columns).
///
/// `y[n, o, p, q] = sum over i, u, v of w[o, i, u, v] x[n, g(o) + i, p stride - padding + u dilation, ...]`
///
/// where `i` runs over the `in_channels / groups` channels of the group that `o` is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Size of the input.
    pub size: [usize; 2],
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Steps between output pixels.
    pub stride: [usize; 2],
    /// Zeros on each side of the input.
    pub padding: [usize; 2],
    /// Steps between the kernel's taps.
    pub dilation: [usize; 2],
    /// Groups of channels that do not mix.
    pub groups: usize,
}

impl ConvShape {
    /// A square kernel on square maps, padded by half the kernel; no dilation, one group.
    pub fn square(
        batch: usize,
        [in_channels, out_channels]: [usize; 2],
        size: usize,
        kernel: usize,
        stride: usize,
    ) -> Self {
        Self {
            batch,
            in_channels,
            out_channels,
            size: [size; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }

    /// Size of the output: `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down.
    ///
    /// # Errors
    /// [`Error::Shape`] where a number is zero or too large, the groups do not divide the
    /// channels, or the kernel is larger than the padded input.
    pub fn output(&self) -> Result<[usize; 2], Error> {
        let wrong = |reason: String| Error::Shape { what: "convolution".into(), reason };
        let pairs = [self.size, self.kernel, self.stride, self.dilation];
        let numbers = [self.batch, self.in_channels, self.out_channels, self.groups];
        if numbers.iter().chain(pairs.as_flattened()).any(|&number| number == 0) {
            return Err(wrong(format!("a size is zero in {self:?}")));
        }
        // Bounds that no real network comes near, so that no later sum or product of two can overflow.
        let most = 1 << 24;
        let mut all = numbers.iter().chain(pairs.as_flattened()).chain(&self.padding);
        if let Some(number) = all.find(|&&number| number > most) {
            return Err(wrong(format!("a size, stride or padding is {number}; give at most {most}")));
        }
        if [self.in_channels, self.out_channels].iter().any(|channels| !channels.is_multiple_of(self.groups))
        {
            let (i, o, g) = (self.in_channels, self.out_channels, self.groups);
            return Err(wrong(format!("{g} groups do not divide {i} input and {o} output channels")));
        }
        let mut output = [0; 2];
        for (axis, output) in output.iter_mut().enumerate() {
            let (padded, reach) = (self.size[axis] + 2 * self.padding[axis], self.reach(axis));
            if reach > padded {
                return Err(wrong(format!(
                    "a kernel that spans {reach} on an input of {padded} with padding"
                )));
            }
            *output = (padded - reach) / self.stride[axis] + 1;
        }
        Ok(output)
    }

    /// Pixels that the kernel spans on an axis.
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Length of the weights, `[out_channels][in_channels / groups][rows][columns]`.
    pub fn weights(&self) -> usize {
        self.out_channels * (self.in_channels / self.groups) * self.taps()
    }

    /// Multiplications and additions of the direct computation, for rates: padding counts as work.
    ///
    /// # Errors
    /// Those of [`ConvShape::output`].
    pub fn operations(&self) -> Result<f64, Error> {
        let [h, w] = self.output()?;
        let per_image = self.weights() as f64 * (h * w) as f64;
        Ok(2.0 * self.batch as f64 * per_image)
    }

    /// Taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The convolution of the output's gradient that gives the input's: the weights turned around, the
    /// padding what they reach beyond the old. `None` at strides above 1, and where that padding would be
    /// negative.
    pub(super) fn turned(&self) -> Option<Self> {
        if self.stride != [1, 1] {
            return None;
        }
        let size = self.output().ok()?;
        let reach = |axis: usize| (self.reach(axis) - 1).checked_sub(self.padding[axis]);
        let padding = [reach(0)?, reach(1)?];
        Some(Self { size, padding, ..self.exchanged() })
    }

    /// In- and output channels exchanged.
    pub(super) fn exchanged(&self) -> Self {
        Self { in_channels: self.out_channels, out_channels: self.in_channels, ..*self }
    }

    /// Checks that `input` and `output` are layouts of this convolution's maps.
    pub(super) fn check(&self, input: &Layout, output: &Layout) -> Result<(), Error> {
        let sizes = |l: &Layout| [l.batch(), l.channels(), l.height(), l.width()];
        let [h, w] = self.output()?;
        let wanted = [
            ("its input", input, [self.batch, self.in_channels, self.size[0], self.size[1]]),
            ("its output", output, [self.batch, self.out_channels, h, w]),
        ];
        for (what, layout, wanted) in wanted {
            if sizes(layout) != wanted {
                let reason = format!("{what} is {wanted:?}, the layout's maps are {:?}", sizes(layout));
                return Err(Error::Shape { what: "convolution".into(), reason });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sizes() {
        let of =
            |size, kernel, stride| ConvShape::square(1, [3, 8], size, kernel, stride).output().unwrap()[0];
        assert_eq!(
            (of(224, 7, 2), of(56, 3, 1), of(57, 3, 2), of(7, 1, 2), of(1, 3, 2)),
            (112, 56, 29, 4, 1)
        );
        let dilated =
            ConvShape { dilation: [2, 3], padding: [0, 3], ..ConvShape::square(1, [1, 1], 9, 3, 1) };
        assert_eq!(dilated.output().unwrap(), [5, 9]);
    }

    #[test]
    fn impossible_shapes_are_errors() {
        let good = ConvShape::square(1, [4, 6], 8, 3, 1);
        let bad = [
            (ConvShape { batch: 0, ..good }, "zero"),
            (ConvShape { stride: [1, 0], ..good }, "zero"),
            (ConvShape { groups: 0, ..good }, "zero"),
            (ConvShape { groups: 4, ..good }, "4 groups"),
            (ConvShape { kernel: [11, 3], ..good }, "spans 11"),
            (ConvShape { padding: [usize::MAX, 0], ..good }, "at most 16777216"),
            (ConvShape { dilation: [1, usize::MAX], ..good }, "at most 16777216"),
            (ConvShape { stride: [16_777_217; 2], ..good }, "is 16777217"),
        ];
        for (shape, word) in bad {
            let error = shape.output().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn operations_of_a_known_layer() {
        assert_eq!(ConvShape::square(1, [64, 64], 56, 3, 1).operations().unwrap(), 2.0 * 115_605_504.0);
    }
}
