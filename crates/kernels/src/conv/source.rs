//! The input as the micro-kernel reads it: as it is, or copied with a border or subsampled.

use super::ConvShape;
use crate::memory::Parts;
use crate::{Cpu, Error, Layout};

/// Source that a direct convolution reads from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) layout: Layout,
    /// The steps between the pixels that the convolution reads from `layout`.
    pub(super) stride: [usize; 2],
    /// The steps between the input's pixels that the copy keeps; `None` where there is no copy.
    copied: Option<[usize; 2]>,
}

impl Source {
    /// The input itself where its border is as wide as the padding, else a copy.
    ///
    /// A pointwise convolution that skips pixels reads a copy of those that it does not skip: the copy's
    /// pixels lie next to each other, and every panel of weights reads them again.
    pub(super) fn new(shape: &ConvShape, input: Layout) -> Result<Self, Error> {
        let padding = shape.padding.into_iter().max().unwrap_or(0);
        if shape.taps() == 1 && padding == 0 && shape.stride != [1, 1] && input.block() > 1 {
            let [h, w] = shape.output()?;
            let layout = Layout::blocked(input.batch(), input.channels(), h, w)?;
            return Ok(Self { layout, stride: [1, 1], copied: Some(shape.stride) });
        }
        if input.border() >= padding {
            return Ok(Self { layout: input, stride: shape.stride, copied: None });
        }
        Ok(Self { layout: input.with_border(padding)?, stride: shape.stride, copied: Some([1, 1]) })
    }

    /// Floats of the copy.
    pub(super) fn scratch(&self) -> usize {
        self.copied.map_or(0, |_| self.layout.len())
    }

    /// The input as the convolution reads it, copied into `scratch` if it has to be.
    pub(super) fn read<'a>(
        &self,
        cpu: &Cpu,
        x: &'a [f32],
        input: Layout,
        scratch: &'a mut [f32],
    ) -> &'a [f32] {
        let Some([down, across]) = self.copied else { return x };
        let to = self.layout;
        let target = Parts::new(scratch);
        cpu.pool().for_each(to.batch() * to.blocks(), |index, _| {
            let (n, block) = (index / to.blocks(), index % to.blocks());
            // SAFETY: every iteration has a plane of its own.
            let plane = unsafe { target.part(index * to.plane()..(index + 1) * to.plane()) };
            if to.border() > 0 {
                plane.fill(0.0);
            }
            for y in 0..to.height() {
                let row = &mut plane[to.index(0, 0, y, 0)..][..to.width() * to.block()];
                let from = &x[input.index(n, block, y * down, 0)..];
                let pixels = from.chunks(across * to.block()).map(|chunk| &chunk[..to.block()]);
                row.chunks_exact_mut(to.block()).zip(pixels).for_each(|(y, x)| y.copy_from_slice(x));
            }
        });
        scratch
    }
}
