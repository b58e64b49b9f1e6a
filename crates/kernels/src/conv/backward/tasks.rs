//! How the channels of weight gradients are cut into tasks.

use std::ops::Range;

/// Some output and some input channel blocks, all of whose products are one task's.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Task {
    pub(in crate::conv) outs: Range<usize>,
    pub(in crate::conv) ins: Range<usize>,
    /// Input blocks of a panel.
    pub(in crate::conv) width: usize,
}

impl Task {
    /// Tasks for all pairs of `outs` output blocks and panels of `width` of `ins` input blocks, in tasks of at most
    /// `together` blocks and panels.
    pub(in crate::conv) fn all([outs, ins]: [usize; 2], width: usize, together: [usize; 2]) -> Vec<Self> {
        let cut = |len: usize, by: usize| {
            let parts = len.div_ceil(by);
            (0..parts).map(move |part| part * len / parts..(part + 1) * len / parts)
        };
        let blocks = move |panels: Range<usize>| panels.start * width..(panels.end * width).min(ins);
        cut(outs, together[0])
            .flat_map(|outs| {
                cut(ins.div_ceil(width), together[1]).map(move |panels| Self {
                    outs: outs.clone(),
                    ins: blocks(panels),
                    width,
                })
            })
            .collect()
    }

    pub(in crate::conv) fn panels(&self) -> usize {
        self.ins.len().div_ceil(self.width)
    }

    /// The input blocks of panel `panel`.
    pub(in crate::conv) fn panel(&self, panel: usize) -> Range<usize> {
        let first = self.ins.start + panel * self.width;
        first..(first + self.width).min(self.ins.end)
    }
}
