//! A convolution's weights, as one of its passes reads them.

use std::ops::Range;

use super::ConvShape;
use crate::simd::BLOCK;

/// Weights `[out_channels][in_channels / groups][rows][columns]`.
///
/// The gradient of the input of a convolution at stride 1 is a convolution with the same weights, in- and
/// output channels exchanged and the taps in reverse order: it reads them so, without a copy.
#[derive(Clone, Copy)]
pub(super) struct KernelView<'a> {
    values: &'a [f32],
    /// Channels of a group that the reading convolution sums over.
    ins: usize,
    /// Channels of a group that it computes.
    outs: usize,
    taps: usize,
    exchanged: bool,
}

impl<'a> KernelView<'a> {
    /// For the convolution `shape`; where `exchanged`, the weights are those of the convolution of whose
    /// input this computes the gradient. There are [`ConvShape::weights`] of them.
    pub(super) fn new(shape: &ConvShape, values: &'a [f32], exchanged: bool) -> Self {
        let [ins, outs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
        assert_eq!(values.len(), shape.weights());
        Self { values, ins, outs, taps: shape.taps(), exchanged }
    }

    /// The taps by which output channel `channel` reads channel `from` of its group, in the order of the
    /// values: see [`KernelView::tap`].
    #[inline(always)]
    pub(super) fn taps(&self, channel: usize, from: usize) -> &'a [f32] {
        let at = if self.exchanged {
            let group = channel / self.outs;
            (group * self.ins + from) * self.outs + channel % self.outs
        } else {
            channel * self.ins + from
        };
        &self.values[at * self.taps..][..self.taps]
    }

    /// Where tap `tap` lies among [`KernelView::taps`].
    #[inline(always)]
    pub(super) fn tap(&self, tap: usize) -> usize {
        if self.exchanged { self.taps - 1 - tap } else { tap }
    }
}

/// The input blocks, of `depth` channels, in which the groups of the output blocks `blocks` lie.
pub(super) fn inputs_of(shape: &ConvShape, blocks: Range<usize>, depth: usize) -> Range<usize> {
    let [ins, outs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
    let last = (blocks.end * BLOCK).min(shape.out_channels) - 1;
    let channels = blocks.start * BLOCK / outs * ins..(last / outs + 1) * ins;
    channels.start / depth..channels.end.div_ceil(depth)
}
