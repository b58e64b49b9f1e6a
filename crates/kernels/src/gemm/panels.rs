//! Weights packed for the micro-kernel: where each of them lies.

use std::ops::Range;

use crate::simd::BLOCK;

/// Output channels that the micro-kernel computes together, and what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panel {
    /// The first of its channel blocks.
    pub(crate) block: usize,
    /// Number of output blocks.
    pub(crate) blocks: usize,
    /// The first entry of the offset list that it reads.
    pub(crate) first: usize,
    /// Number of entries that it reads.
    pub(crate) entries: usize,
    /// The first input block that it reads.
    pub(crate) input: usize,
    /// Number of input blocks that it reads.
    pub(crate) inputs: usize,
    /// Offset of its weights.
    pub(crate) at: usize,
}

/// Panels of packed weights, `[panel][entry][depth][blocks * 16]`.
///
/// An entry is one (input block, tap) with `depth` channels, in this order. A panel of a grouped convolution has the
/// entries of its own groups only, with zeros where a group ends inside a block.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    pub(crate) list: Vec<Panel>,
    pub(crate) depth: usize,
    pub(crate) taps: usize,
    /// Floats of all panels.
    pub(crate) floats: usize,
}

impl Panels {
    /// The order for `blocks` channel blocks in panels of `width` blocks, of which those from block `b` on
    /// read `taps` taps of the input blocks `reads(b, blocks of the panel)`.
    pub(crate) fn new(
        [blocks, width]: [usize; 2],
        depth: usize,
        taps: usize,
        reads: impl Fn(usize, usize) -> Range<usize>,
    ) -> Self {
        let mut list = Vec::new();
        let mut at = 0;
        for block in (0..blocks).step_by(width) {
            let blocks = width.min(blocks - block);
            let read = reads(block, blocks);
            let (first, entries) = (read.start * taps, read.len() * taps);
            list.push(Panel { block, blocks, first, entries, input: read.start, inputs: read.len(), at });
            at += entries * depth * blocks * BLOCK;
        }
        Self { list, depth, taps, floats: at }
    }

    /// Weights of the entries `range` of `panel`, counted from its first, of `values`.
    #[inline(always)]
    pub(crate) fn of<'a>(&self, values: &'a [f32], panel: &Panel, range: Range<usize>) -> &'a [f32] {
        let entry = self.depth * panel.blocks * BLOCK;
        &values[panel.at + range.start * entry..panel.at + range.end * entry]
    }
}
