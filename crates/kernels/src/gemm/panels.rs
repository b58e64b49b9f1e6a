//! Weights packed for the micro-kernel.

use crate::Pool;
use crate::memory::{Buffer, Parts};
use crate::simd::BLOCK;

/// Tasks that the packing of a panel is cut into.
const SHARES: usize = 4;

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
    /// Where its weights start.
    pub(crate) at: usize,
}

/// Weights as `[panel][entry][depth][blocks * 16]`.
///
/// An entry is one (input block, tap) with `depth` channels. A panel of a grouped convolution has the
/// entries of its own groups only, with zeros where a group ends inside a block.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    pub(crate) list: Vec<Panel>,
    pub(crate) depth: usize,
    pub(crate) values: Buffer,
}

impl Panels {
    /// Zeros for `blocks` channel blocks in panels of `width` blocks, of which those from block `b` on
    /// read `entries(b, blocks of the panel)`.
    pub(crate) fn zeroed(
        blocks: usize,
        width: usize,
        depth: usize,
        entries: impl Fn(usize, usize) -> std::ops::Range<usize>,
    ) -> Self {
        let mut list = Vec::new();
        let mut at = 0;
        for block in (0..blocks).step_by(width) {
            let blocks = width.min(blocks - block);
            let read = entries(block, blocks);
            list.push(Panel { block, blocks, first: read.start, entries: read.len(), at });
            at += read.len() * depth * blocks * BLOCK;
        }
        Self { list, depth, values: Buffer::zeroed(at) }
    }

    /// Packs: `weight(channel, entry, k)` is the weight.
    pub(crate) fn fill(&mut self, pool: &Pool, weight: impl Fn(usize, usize, usize) -> f32 + Sync) {
        let (list, depth, values) = (&self.list, self.depth, Parts::new(&mut self.values));
        pool.for_each(list.len() * SHARES, |task, _| {
            let (panel, share) = (&list[task / SHARES], task % SHARES);
            let channels = panel.blocks * BLOCK;
            let rows = panel.entries * depth;
            let rows = share * rows / SHARES..(share + 1) * rows / SHARES;
            let (start, end) = (panel.at + rows.start * channels, panel.at + rows.end * channels);
            // SAFETY: panels do not overlap, and neither do a panel's rows.
            let target = unsafe { values.part(start..end) };
            for (row, target) in rows.zip(target.chunks_exact_mut(channels)) {
                let (entry, k) = (panel.first + row / depth, row % depth);
                for (lane, target) in target.iter_mut().enumerate() {
                    *target = weight(panel.block * BLOCK + lane, entry, k);
                }
            }
        });
    }

    /// The weights of entries `range`, counted from the panel's first.
    pub(crate) fn of(&self, panel: &Panel, range: std::ops::Range<usize>) -> &[f32] {
        let entry = self.depth * panel.blocks * BLOCK;
        &self.values[panel.at + range.start * entry..panel.at + range.end * entry]
    }
}
