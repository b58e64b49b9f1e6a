//! Weights packed for the micro-kernel.

use std::ops::Range;

use crate::memory::Buffer;
use crate::simd::BLOCK;

/// Output channels that the micro-kernel computes together, and what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panel {
    /// The first of its channel blocks.
    pub(crate) block: usize,
    /// How many blocks it has.
    pub(crate) blocks: usize,
    /// The first entry of the offset list that it reads.
    pub(crate) first: usize,
    /// How many entries it reads.
    pub(crate) entries: usize,
    /// The first input block that it reads.
    pub(crate) input: usize,
    /// How many input blocks it reads.
    pub(crate) inputs: usize,
    /// Where its weights start.
    pub(crate) at: usize,
}

/// Weights as `[panel][entry][depth][blocks * 16]`.
///
/// An entry is one (input block, tap) with `depth` channels, in this order. A panel of a grouped convolution has the
/// entries of its own groups only, with zeros where a group ends inside a block.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    pub(crate) list: Vec<Panel>,
    pub(crate) depth: usize,
    pub(crate) taps: usize,
    pub(crate) values: Buffer,
}

impl Panels {
    /// Zeros for `blocks` channel blocks in panels of `width` blocks, of which those from block `b` on
    /// read `taps` taps of the input blocks `reads(b, blocks of the panel)`.
    pub(crate) fn zeroed(
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
        Self { list, depth, taps, values: Buffer::zeroed(at) }
    }

    /// The weights of entries `range`, counted from the panel's first.
    pub(crate) fn of(&self, panel: &Panel, range: Range<usize>) -> &[f32] {
        let entry = self.depth * panel.blocks * BLOCK;
        &self.values[panel.at + range.start * entry..panel.at + range.end * entry]
    }
}
