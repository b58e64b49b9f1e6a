//! Weights of bytes in the order in which the micro-kernel reads them.

use super::bytes::{bytes, bytes_mut, floats_for};
use super::conv::Conv;
use crate::{Buffer, Error};

/// Weights of a convolution, and what makes outputs of its sums:
///
/// `y[o] = factor[o] sum over i of (q[i] - zero) w[o, i] + bias[o]`
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[out_channels][in_channels][rows][columns]`.
    pub values: &'a [i8],
    /// Factor of the sums of each output channel.
    pub factor: &'a [f32],
    /// Bias of each output channel.
    pub bias: &'a [f32],
    /// The byte of the input that stands for 0.
    pub zero: u8,
}

/// [`Weights`] packed for one [`Conv`].
#[derive(Clone, Debug)]
pub struct Packed {
    values: Buffer,
    /// `-zero` times the sum of the weights: what the sums begin with.
    pub(super) starts: Vec<i32>,
    pub(super) factor: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// The convolution that they are packed for.
    pub(super) order: Order,
}

/// Order of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) ins: usize,
    pub(super) outs: usize,
    pub(super) kernel: [usize; 2],
    /// Input channels of a block, and output channels of a panel.
    pub(super) depth: usize,
    pub(super) panel: usize,
}

/// True where no weight is beyond 63: then AVX2 sums two products in 16 bits.
pub fn is_narrow(weights: &[i8]) -> bool {
    weights.iter().all(|weight| (-63..=63).contains(weight))
}

impl Packed {
    pub(super) fn values(&self) -> &[i8] {
        let bytes = bytes(&self.values);
        // SAFETY: a signed byte has the size and alignment of one without a sign.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
    }
}

impl Order {
    /// Bytes of packed weights.
    pub(super) fn bytes(&self) -> usize {
        self.outs.next_multiple_of(self.panel) * self.of_output()
    }

    /// Packed weights of an output channel.
    fn of_output(&self) -> usize {
        self.ins.next_multiple_of(self.depth) * self.kernel[0] * self.kernel[1]
    }

    /// Place of a weight.
    fn place(&self, out: usize, input: usize, tap: [usize; 2]) -> usize {
        let [rows, columns] = self.kernel;
        let (panel, lane) = (out / self.panel, out % self.panel);
        let (block, channel) = (input / self.depth, input % self.depth);
        let pixel = (block * rows + tap[0]) * columns + tap[1];
        let group = pixel * self.depth / 4 + channel / 4;
        panel * self.panel * self.of_output() + (group * self.panel + lane) * 4 + channel % 4
    }
}

impl Conv {
    /// Packs weights.
    ///
    /// # Errors
    /// [`Error::Length`] where there are not as many as the shape has, [`Error::Shape`] where some are beyond 63 and the
    /// convolution was made for narrow ones.
    pub fn pack(&self, weights: &Weights<'_>) -> Result<Packed, Error> {
        let (order, [rows, columns]) = (self.order(), self.order().kernel);
        let each = order.ins * rows * columns;
        length("weights", order.outs * each, weights.values.len())?;
        length("factors", order.outs, weights.factor.len())?;
        length("biases", order.outs, weights.bias.len())?;
        if self.narrow() && !is_narrow(weights.values) {
            let reason = "a weight is beyond 63, and the convolution was made for narrow ones".into();
            return Err(Error::Shape { what: "int8 weights".into(), reason });
        }
        let mut values = Buffer::zeroed(floats_for(order.bytes()));
        let packed = bytes_mut(&mut values);
        let panels = order.outs.next_multiple_of(order.panel);
        let mut starts = vec![0; panels];
        for (out, filter) in weights.values.chunks_exact(each.max(1)).enumerate() {
            let sum: i32 = filter.iter().map(|&w| i32::from(w)).sum();
            starts[out] = -i32::from(weights.zero) * sum;
            for (at, &weight) in filter.iter().enumerate() {
                let (input, tap) = (at / (rows * columns), at % (rows * columns));
                packed[order.place(out, input, [tap / columns, tap % columns])] = weight as u8;
            }
        }
        let padded = |values: &[f32]| {
            let mut padded = values.to_vec();
            padded.resize(panels, 0.0);
            padded
        };
        let (factor, bias) = (padded(weights.factor), padded(weights.bias));
        Ok(Packed { values, starts, factor, bias, order })
    }
}

/// # Errors
/// [`Error::Length`] where the two differ.
pub(super) fn length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}
