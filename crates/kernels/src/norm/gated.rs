//! `g = dy act'(y)`, pixel by pixel: what both passes of a normalisation's gradient read.

use super::{Mask, Place};
use crate::memory::Parts;
use crate::simd::{BLOCK, Simd};
use crate::{Error, Layout};

/// The gradient by a normalisation's output.
#[derive(Clone, Copy)]
pub(super) enum Upstream<'a> {
    /// Read.
    Read(&'a [f32]),
    /// Replaced by `g` as it is read: the mask is needed once.
    Gate(Parts<'a>),
}

impl Upstream<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Read(dy) => dy.len(),
            Self::Gate(dy) => dy.len(),
        }
    }

    /// Where `len` floats from `at` on lie.
    fn pointer(&self, at: usize, len: usize) -> *const f32 {
        match self {
            Self::Read(dy) => dy[at..at + len].as_ptr(),
            Self::Gate(dy) => {
                assert!(at + len <= dy.len());
                dy.pointer(at)
            }
        }
    }
}

/// The maps of both passes.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) x: (&'a [f32], Layout),
    pub(super) dy: (Upstream<'a>, Layout),
    pub(super) mask: Mask<'a>,
}

/// Kinds of [`Mask`], as constants: a loop over pixels is compiled for each.
pub(super) const NONE: usize = 0;
pub(super) const OUTPUT: usize = 1;
pub(super) const RECOMPUTE: usize = 2;
/// [`OUTPUT`], and `dy` becomes `g`.
pub(super) const GATE: usize = 3;

impl Maps<'_> {
    /// Checks all against the maps that are computed, which lie as `to` says.
    pub(super) fn check(&self, to: &Layout) -> Result<(), Error> {
        const WHAT: &str = "the gradient of a normalisation";
        let dy = (self.dy.0.len(), self.dy.1);
        let named = [("the input", (self.x.0.len(), self.x.1)), ("the gradient by the output", dy)];
        for (what, (len, layout)) in named {
            super::same_blocked(WHAT, &layout, to)?;
            layout.check(what, len)?;
        }
        match self.mask {
            Mask::None => Ok(()),
            Mask::Output(y, layout) => {
                super::same_blocked(WHAT, &layout, to)?;
                layout.check("the output", y.len())
            }
            Mask::Recompute { scale, shift } => {
                crate::layout::check_length("the scale", to.channels(), scale.len())?;
                crate::layout::check_length("the shift", to.channels(), shift.len())
            }
        }
    }
}

/// A band of them, and scale and shift of [`Mask::Recompute`], filled up to whole blocks.
#[derive(Clone, Copy)]
pub(super) struct Gated<'a> {
    pub(super) maps: &'a Maps<'a>,
    pub(super) scale: &'a [f32],
    pub(super) shift: &'a [f32],
    pub(super) place: &'a Place,
}

/// Pixels that lie together, from a lane on: where to read `x`, and `g = dy act'(y)`.
pub(super) struct Line<S: Simd> {
    x: *const f32,
    dy: *const f32,
    /// The output; `dy` where that is not the mask.
    y: *const f32,
    scale: S::V,
    shift: S::V,
}

impl Gated<'_> {
    /// Whether all maps, and those that are written (which lie as `to` says), have no border.
    pub(super) fn is_flat(&self, to: Option<&Layout>) -> bool {
        let mask = if let Mask::Output(_, maps) = self.maps.mask { maps.border() } else { 0 };
        self.maps.x.1.border() + self.maps.dy.1.border() + mask + to.map_or(0, Layout::border) == 0
    }

    /// Where `dy` of the first pixel of a line is to be written, where it becomes `g`; the line was checked.
    pub(super) fn gate(&self, (n, row): (usize, usize), lane: usize) -> Option<*mut f32> {
        let (Upstream::Gate(dy), maps) = self.maps.dy else { return None };
        Some(dy.pointer(maps.index(n, self.place.block, row, 0) + lane))
    }

    /// The `pixels` pixels of image `n` from the start of `row` on, for the channels from `lane` on.
    #[inline(always)]
    pub(super) fn line<S: Simd>(
        &self,
        s: S,
        (n, row): (usize, usize),
        pixels: usize,
        lane: usize,
    ) -> Line<S> {
        let (block, len) = (self.place.block, (pixels - 1) * BLOCK + S::LANES);
        let at = |maps: &Layout| maps.index(n, block, row, 0) + lane;
        let ((x, x_maps), (dy, dy_maps)) = (self.maps.x, self.maps.dy);
        let (x, dy) = (x[at(&x_maps)..][..len].as_ptr(), dy.pointer(at(&dy_maps), len));
        let y = if let Mask::Output(y, maps) = self.maps.mask { y[at(&maps)..][..len].as_ptr() } else { dy };
        let channel = block * BLOCK + lane;
        Line { x, dy, y, scale: s.read(self.scale, channel), shift: s.read(self.shift, channel) }
    }
}

impl<S: Simd> Line<S> {
    /// `x` and `g` of a pixel.
    ///
    /// # Safety
    /// It is one of the line's.
    #[inline(always)]
    pub(super) unsafe fn pixel<const MASK: usize>(&self, s: S, pixel: usize) -> (S::V, S::V) {
        // SAFETY: the line was checked to lie in all maps.
        unsafe {
            let (x, dy) = (s.load(self.x.add(pixel * BLOCK)), s.load(self.dy.add(pixel * BLOCK)));
            let g = match MASK {
                NONE => dy,
                OUTPUT | GATE => s.gate(dy, s.load(self.y.add(pixel * BLOCK))),
                // Rounded as the forward pass does, so that both see the same ReLU.
                _ => s.gate(dy, s.add(s.mul(x, self.scale), self.shift)),
            };
            (x, g)
        }
    }
}
