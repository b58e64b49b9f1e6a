//! The graph in its normal form.

use std::rc::Rc;

/// A map of `[channels, height, width]` for each image, and what makes it of others.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) op: Op,
    /// Maps that it is made of, which stand before it.
    pub(super) reads: Vec<usize>,
    pub(super) shape: [usize; 3],
    /// The node that it comes from, for messages.
    pub(super) node: String,
}

/// Rows and columns added at the top, the left, the bottom and the right.
pub(super) type Pads = [usize; 4];

/// Layer that makes a map of others.
#[derive(Debug)]
pub(super) enum Op {
    /// The graph's input.
    Input,
    /// A convolution, or of features a matrix.
    Conv(Conv),
    /// `x scale[c] + shift[c]`
    Affine { scale: Vec<f32>, shift: Vec<f32> },
    /// Batch normalisation by running statistics.
    BatchNorm { weight: Rc<[f32]>, bias: Rc<[f32]>, mean: Rc<[f32]>, variance: Rc<[f32]>, epsilon: f64 },
    /// Group normalisation without a scale and a shift.
    GroupNorm { groups: usize, epsilon: f64 },
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Softmax over the channels.
    Softmax,
    /// Maximum of windows.
    MaxPool(Window),
    /// Mean of windows.
    AveragePool(Window),
    /// Rows and columns of a value around the map.
    Pad { pads: Pads, value: f32 },
    /// Rows and columns of the reflected map around it.
    Reflect { pads: Pads },
    /// Every so many rows and columns.
    Sample { stride: usize },
    /// Channels of zeros on both sides.
    PadChannels { before: usize, after: usize },
    /// Mean of each channel.
    Mean,
    /// A convolution along the channels of features, padded to its size.
    AlongChannels { weight: Rc<[f32]> },
    /// `a + b`
    Add,
    /// `a b`, of a map and a number for each of its channels.
    Gate,
}

/// A square convolution.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    /// `[outputs, inputs / groups, kernel, kernel]`
    pub(super) weight: Rc<[f32]>,
    pub(super) bias: Option<Rc<[f32]>>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) groups: usize,
    pub(super) window: Window,
}

/// A square window that moves over a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) pads: Pads,
    /// True where the last window may hang over the edge.
    pub(super) ceil: bool,
    /// True where a mean counts what was added around the map.
    pub(super) counts_pads: bool,
}

impl Window {
    /// `[height, width]` behind the window; `None` where it does not fit.
    pub(super) fn output(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.pads;
        let side = |side: usize, before: usize, after: usize| {
            let room = side.checked_add(before)?.checked_add(after)?.checked_sub(self.kernel)?;
            let last = if self.ceil { room.div_ceil(self.stride) } else { room / self.stride };
            // The last window begins within the map or what is before it.
            let hangs = self.ceil && last * self.stride >= side + before;
            Some(last + 1 - usize::from(hangs))
        };
        Some([side(height, top, bottom)?, side(width, left, right)?])
    }

    /// The number of rows and columns around the map, where it is the same on every side.
    pub(super) fn padding(&self) -> Option<usize> {
        self.pads.iter().all(|&pad| pad == self.pads[0]).then_some(self.pads[0])
    }
}
