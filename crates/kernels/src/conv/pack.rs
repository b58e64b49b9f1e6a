//! Weights packed for the micro-kernel, once or at every training step.

use super::kernel::KernelView;
use crate::gemm::{Panel, Panels};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Isa, Pool};

/// Tasks that the packing of a panel is cut into.
const SHARES: usize = 4;

/// Where a tap of the kernel is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Which of several [`Panels`].
    pub(super) class: usize,
    /// Which of its taps.
    pub(super) tap: usize,
}

/// Panels that are being filled.
struct Class<'a> {
    list: &'a [Panel],
    depth: usize,
    taps: usize,
    values: Parts<'a>,
}

/// Packs `kernels` into the panels of all classes, which have their blocks in common and differ in their taps:
/// tap `t` of the values belongs to `slot(t)`.
pub(super) fn pack(
    pool: &Pool,
    isa: Isa,
    kernels: KernelView<'_>,
    classes: &mut [Panels],
    slot: impl Fn(usize) -> Slot + Sync,
) {
    let classes: Vec<_> = classes
        .iter_mut()
        .map(|Panels { list, depth, taps, values }| Class {
            list,
            depth: *depth,
            taps: *taps,
            values: Parts::new(values),
        })
        .collect();
    let Some(first) = classes.first() else { return };
    pool.for_each(first.list.len() * SHARES, |task, _| {
        let (panel, share) = (task / SHARES, task % SHARES);
        isa.run(Share { kernels, classes: &classes, slot: &slot, panel, share });
    });
}

/// A share of the input blocks of one panel, in all classes.
struct Share<'a, F> {
    kernels: KernelView<'a>,
    classes: &'a [Class<'a>],
    slot: &'a F,
    panel: usize,
    share: usize,
}

impl<F: Fn(usize) -> Slot> Kernel for Share<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (panel, depth) = (self.classes[0].list[self.panel], self.classes[0].depth);
        let width = panel.blocks * BLOCK;
        for input in self.share * panel.inputs / SHARES..(self.share + 1) * panel.inputs / SHARES {
            let channels = (panel.input + input) * depth..(panel.input + input + 1) * depth;
            for block in 0..panel.blocks {
                let target = |tap: usize| {
                    let slot = (self.slot)(tap);
                    let class = &self.classes[slot.class];
                    let row = (input * class.taps + slot.tap) * depth;
                    let at = class.list[self.panel].at + row * width + block * BLOCK;
                    assert!(at + (depth - 1) * width + BLOCK <= class.values.len());
                    class.values.pointer(at)
                };
                // SAFETY: the targets of all inputs were just checked; a panel's rows of an input block are
                // one task's.
                unsafe { self.kernels.transpose(s, panel.block + block, channels.clone(), target, width) }
            }
        }
    }
}
