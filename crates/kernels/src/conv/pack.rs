//! Weights packed for the micro-kernel, once or at every training step.

use std::ops::Range;

use super::kernel::KernelView;
use super::method::Workers;
use crate::gemm::Panels;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};

/// Tasks that the packing of a panel is cut into, for several threads to share it. With 16 the panels of 1x1 layers at
/// stride 1 take 1.09 to 1.29 times as long forward; 1 gives 0.80 to 1.20 of the speed, mean 1.01, within the noise (23
/// layers, `cargo bench --bench packing`, AVX-512, two threads, in turns). Tasks write places of their own: no result
/// depends on it.
const SHARES: usize = 4;

/// Tasks that the packing of all panels together is cut into. 4 and 64 give 0.89 to 1.13 and 0.88 to
/// 1.33 of its speed, means 1.00 and 1.03, within the noise of the same runs.
const ACROSS: usize = 16;

/// Place where a tap of the kernel is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Index of the [`Panels`].
    pub(super) class: usize,
    /// Index of the tap.
    pub(super) tap: usize,
}

/// Panels that are being filled.
struct Class<'a> {
    panels: &'a Panels,
    values: Parts<'a>,
}

/// Packs `kernels` into `values`, in the order of `panels`, all of their taps.
pub(super) fn pack_panels(
    workers: Workers<'_>,
    kernels: KernelView<'_>,
    panels: &Panels,
    values: &mut [f32],
) {
    let slot = |tap| Slot { class: 0, tap: kernels.tap(tap) };
    pack(workers, kernels, vec![(panels, values)], slot);
}

/// Packs `kernels` into the panels of all classes, which have their blocks in common and differ in their taps:
/// tap `t` of the values belongs to `slot(t)`.
pub(super) fn pack(
    workers: Workers<'_>,
    kernels: KernelView<'_>,
    classes: Vec<(&Panels, &mut [f32])>,
    slot: impl Fn(usize) -> Slot + Sync,
) {
    let Workers { pool, isa } = workers;
    let classes: Vec<_> =
        classes.into_iter().map(|(panels, values)| Class { panels, values: Parts::new(values) }).collect();
    let Some(Class { panels: first, .. }) = classes.first() else { return };
    let panels = first.list.len();
    // What is read lies along the input channels, or, exchanged, across the panels: all read the same inputs.
    let across =
        kernels.is_exchanged() && first.list.iter().all(|panel| panel.inputs == first.list[0].inputs);
    let tasks = if across { ACROSS } else { panels * SHARES };
    pool.for_each(tasks, |task, _| {
        let (panels, share, shares) = if across {
            (0..panels, task, ACROSS)
        } else {
            (task / SHARES..task / SHARES + 1, task % SHARES, SHARES)
        };
        let inputs = first.list[panels.start].inputs;
        let inputs = share * inputs / shares..(share + 1) * inputs / shares;
        isa.run(Share { kernels, classes: &classes, slot: &slot, panels, inputs });
    });
}

/// Some of the input blocks of some panels, in all classes.
struct Share<'a, F> {
    kernels: KernelView<'a>,
    classes: &'a [Class<'a>],
    slot: &'a F,
    panels: Range<usize>,
    inputs: Range<usize>,
}

impl<F: Fn(usize) -> Slot> Kernel for Share<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let list = &self.classes[0].panels.list;
        // Along the input channels of 16 rows at a time, or along the rows.
        let (inside, outside) =
            if self.panels.len() == 1 { (self.inputs.clone(), 0..1) } else { (0..1, self.inputs.clone()) };
        for outer in outside {
            for panel in self.panels.clone() {
                for block in 0..list[panel].blocks {
                    for inner in inside.clone() {
                        self.block(s, panel, block, outer + inner);
                    }
                }
            }
        }
    }
}

impl<F: Fn(usize) -> Slot> Share<'_, F> {
    /// Packs what the channels of block `block` of panel `panel` read of the panel's input block `input`.
    #[inline(always)]
    fn block<S: Simd>(&self, s: S, panel: usize, block: usize, input: usize) {
        let (depth, of) = (self.classes[0].panels.depth, self.classes[0].panels.list[panel]);
        let width = of.blocks * BLOCK;
        let channels = (of.input + input) * depth..(of.input + input + 1) * depth;
        let target = |tap: usize| {
            let slot = (self.slot)(tap);
            let class = &self.classes[slot.class];
            let row = (input * class.panels.taps + slot.tap) * depth;
            let at = class.panels.list[panel].at + row * width + block * BLOCK;
            assert!(at + (depth - 1) * width + BLOCK <= class.values.len());
            class.values.pointer(at)
        };
        // SAFETY: the targets of all inputs were just checked; a panel's rows of an input block are one
        // task's.
        unsafe { self.kernels.transpose(s, of.block + block, channels, target, width) }
    }
}
