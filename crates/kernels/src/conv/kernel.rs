//! A convolution's weights, as one of its passes reads them.

use std::ops::Range;

use super::ConvShape;
use crate::simd::{BLOCK, Simd};

/// Floats ahead of a transpose by which its rows are fetched into the cache: they are too far apart to be
/// fetched unasked.
const AHEAD: usize = 4 * BLOCK;

/// Weights `[out_channels][in_channels / groups][rows][columns]`.
///
/// The gradient with respect to the input of a convolution is a convolution with the same weights, in- and output
/// channels exchanged and, at stride 1, the taps in reverse order: it reads them so, without a copy.
#[derive(Clone, Copy)]
pub(super) struct KernelView<'a> {
    values: &'a [f32],
    /// Channels of a group that the reading convolution sums over.
    ins: usize,
    /// Channels of a group that it computes.
    outs: usize,
    groups: usize,
    taps: usize,
    exchanged: bool,
}

/// Inputs that the 16 channels of an output block read: consecutive channels, or of one of them where the
/// channels are exchanged: a matrix of as many columns as these have taps.
enum Rows {
    /// Column `c` of channel `i` is `values[at + i stride + c]`.
    Whole { at: usize, stride: usize },
    /// Some of it is 0: of the channels from `channel` on, what they read of `inputs`.
    Ragged { channel: usize, inputs: Range<usize> },
}

/// Column `c` is `values[at + c]` where it is `filled`, else 0. `at` may be below 0, wrapping around, where the
/// first columns are not filled.
struct Row {
    at: usize,
    filled: Range<usize>,
}

impl<'a> KernelView<'a> {
    /// Weights of the convolution `shape`; where `exchanged`, the weights are those of the convolution of whose
    /// input this computes the gradient. There are [`ConvShape::weights`] of them.
    pub(super) fn new(shape: &ConvShape, values: &'a [f32], exchanged: bool) -> Self {
        let [ins, outs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
        assert_eq!(values.len(), shape.weights());
        Self { values, ins, outs, groups: shape.groups, taps: shape.taps(), exchanged }
    }

    /// Exchange of in- and output channels.
    pub(super) fn is_exchanged(&self) -> bool {
        self.exchanged
    }

    /// Tap of the reading convolution that tap `tap` of the values is: at stride 1.
    #[inline(always)]
    pub(super) fn tap(&self, tap: usize) -> usize {
        if self.exchanged { self.taps - 1 - tap } else { tap }
    }

    /// Writes, for the input channels `inputs` and every tap, the weights of the 16 channels of output block
    /// `block`: those of the first of the inputs to `target(tap)`, of every other `step` floats behind the one
    /// before. 0 where a channel or its group does not read that input.
    ///
    /// # Safety
    /// The targets are valid for writing 16 floats.
    #[inline(always)]
    pub(super) unsafe fn transpose<S: Simd>(
        &self,
        s: S,
        block: usize,
        inputs: Range<usize>,
        target: impl Fn(usize) -> *mut f32,
        step: usize,
    ) {
        for first in (0..self.taps).step_by(BLOCK) {
            let taps = first..(first + BLOCK).min(self.taps);
            let mut targets = [std::ptr::null_mut(); BLOCK];
            for (tap, to) in taps.clone().zip(&mut targets) {
                *to = target(tap);
            }
            // SAFETY: the caller vouches for the targets.
            unsafe {
                if !self.exchanged && taps.len() == self.taps {
                    self.all_columns(s, &self.rows(block, &inputs), inputs.len(), &targets, step);
                    continue;
                }
                let all = self.rows(block, &inputs);
                for k in 0..inputs.len() {
                    let rows = self.rows_of(&all, k);
                    if self.exchanged && self.taps == 1 {
                        self.copy(s, &rows, targets[0].wrapping_add(k * step));
                        continue;
                    }
                    let mut next = targets;
                    for target in &mut next {
                        *target = target.wrapping_add(k * step);
                    }
                    self.columns(s, &rows, first, &next[..taps.len()]);
                }
            }
        }
    }

    /// Inputs of `inputs` that output block `block` reads.
    #[inline(always)]
    fn rows(&self, block: usize, inputs: &Range<usize>) -> Rows {
        let Self { ins, outs, taps, .. } = *self;
        let (channel, last) = (block * BLOCK, block * BLOCK + BLOCK - 1);
        let group = last / outs;
        let reads = group * ins..(group + 1) * ins;
        let whole = group < self.groups
            && (self.groups == 1 || channel / outs == group)
            && reads.start <= inputs.start
            && inputs.end <= reads.end;
        if !whole {
            return Rows::Ragged { channel, inputs: inputs.clone() };
        }
        if self.exchanged {
            Rows::Whole { at: (inputs.start * outs + channel - group * outs) * taps, stride: taps }
        } else {
            Rows::Whole { at: (channel * ins + inputs.start - reads.start) * taps, stride: ins * taps }
        }
    }

    /// Weights of input channel `k` of those of `rows`.
    #[inline(always)]
    fn rows_of(&self, rows: &Rows, k: usize) -> Rows {
        match *rows {
            Rows::Whole { at, stride } => {
                let apart = if self.exchanged { self.outs * self.taps } else { self.taps };
                Rows::Whole { at: at + k * apart, stride }
            }
            Rows::Ragged { channel, ref inputs } => {
                Rows::Ragged { channel, inputs: inputs.start + k..inputs.start + k + 1 }
            }
        }
    }

    /// Inputs of `inputs` that `channel` reads.
    fn row(&self, channel: usize, inputs: &Range<usize>) -> Row {
        let Self { ins, outs, taps, .. } = *self;
        let group = channel / outs;
        if group >= self.groups {
            return Row { at: 0, filled: 0..0 };
        }
        let reads = |input: usize| input.clamp(inputs.start, inputs.end) - inputs.start;
        let at = if self.exchanged {
            inputs.start * outs + channel - group * outs
        } else {
            (channel * ins + inputs.start).wrapping_sub(group * ins)
        };
        let filled = reads(group * ins) * taps..reads((group + 1) * ins) * taps;
        Row { at: at.wrapping_mul(taps), filled }
    }

    /// Writes the columns of `inputs` input channels, which have 16 taps at most.
    ///
    /// # Safety
    /// As for [`KernelView::transpose`].
    #[inline(always)]
    unsafe fn all_columns<S: Simd>(
        &self,
        s: S,
        rows: &Rows,
        inputs: usize,
        targets: &[*mut f32; BLOCK],
        step: usize,
    ) {
        let (mut ahead, mut tap) = (0, 0);
        for first in (0..inputs * self.taps).step_by(BLOCK) {
            let mut next = [std::ptr::null_mut(); BLOCK];
            for next in &mut next {
                *next = targets[tap].wrapping_add(ahead);
                (ahead, tap) = if tap + 1 == self.taps { (ahead + step, 0) } else { (ahead, tap + 1) };
            }
            let columns = BLOCK.min(inputs * self.taps - first);
            // SAFETY: the caller vouches for the targets.
            unsafe { self.columns(s, rows, first, &next[..columns]) }
        }
    }

    /// Writes columns of `rows` from `first` on, at most 16.
    ///
    /// # Safety
    /// The targets are valid for writing 16 floats.
    #[inline(always)]
    unsafe fn columns<S: Simd>(&self, s: S, rows: &Rows, first: usize, targets: &[*mut f32]) {
        match *rows {
            Rows::Whole { at, stride } if at + (BLOCK - 1) * stride + first + BLOCK <= self.values.len() => {
                let mut sources = [self.values.as_ptr(); BLOCK];
                for (i, source) in sources.iter_mut().enumerate() {
                    *source = source.wrapping_add(at + first + i * stride);
                    s.prefetch(source.wrapping_add(AHEAD));
                }
                // SAFETY: the last row was just checked to lie in the values; the caller vouches for the
                // targets.
                unsafe { s.transpose(&sources, targets) }
            }
            _ => {
                let mut stage = [[0.0; BLOCK]; BLOCK];
                self.stage(rows, first..first + targets.len(), &mut stage);
                // SAFETY: the rows are those of the stage; the caller vouches for the targets.
                unsafe { s.transpose(&stage.each_ref().map(|row| row.as_ptr()), targets) }
            }
        }
    }

    /// The columns `range` of `rows`, in a stage of zeros.
    #[inline(never)]
    fn stage(&self, rows: &Rows, range: Range<usize>, stage: &mut [[f32; BLOCK]; BLOCK]) {
        for (i, target) in stage.iter_mut().enumerate() {
            let row = match rows {
                Rows::Whole { at, stride } => Row { at: at + i * stride, filled: range.clone() },
                Rows::Ragged { channel, inputs } => self.row(channel + i, inputs),
            };
            let (start, end) = (row.filled.start.max(range.start), row.filled.end.min(range.end));
            if start < end {
                let source = &self.values[row.at.wrapping_add(start)..row.at.wrapping_add(end)];
                target[start - range.start..end - range.start].copy_from_slice(source);
            }
        }
    }

    /// The only column of `rows`: of kernels of one tap, exchanged, which lie one after the other.
    ///
    /// # Safety
    /// `target` is valid for writing 16 floats.
    #[inline(always)]
    unsafe fn copy<S: Simd>(&self, s: S, rows: &Rows, target: *mut f32) {
        let mut stage = [0.0; BLOCK];
        let source = match rows {
            Rows::Whole { at, .. } => {
                s.prefetch(self.values.as_ptr().wrapping_add(at + AHEAD));
                &self.values[*at..][..BLOCK]
            }
            Rows::Ragged { channel, inputs } => {
                for (i, target) in stage.iter_mut().enumerate() {
                    let row = self.row(channel + i, inputs);
                    *target = if row.filled.is_empty() { 0.0 } else { self.values[row.at] };
                }
                &stage
            }
        };
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: the caller vouches for the target.
            unsafe { s.store(target.add(lane), s.read(source, lane)) }
        }
    }
}

/// The input blocks, of `depth` channels, in which the groups of the output blocks `blocks` lie.
pub(super) fn inputs_of(shape: &ConvShape, blocks: Range<usize>, depth: usize) -> Range<usize> {
    let [ins, outs] = [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
    let last = (blocks.end * BLOCK).min(shape.out_channels) - 1;
    let channels = blocks.start * BLOCK / outs * ins..(last / outs + 1) * ins;
    channels.start / depth..channels.end.div_ceil(depth)
}
