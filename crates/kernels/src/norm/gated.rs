//! `g = dy act'(y)`, pixel by pixel: what both passes of a normalisation's gradient read.

use super::{LineStart, Place};
use crate::memory::Parts;
use crate::simd::{BLOCK, Simd};
use crate::{Error, Layout, MapsRef};

/// Mask of the ReLU behind a normalisation: where it let nothing through.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// There is no ReLU.
    None,
    /// Output of the ReLU, which is 0 there.
    Output(MapsRef<'a>),
    /// Recomputed: where `scale x + shift` is not above 0, for a normalisation without a residual, so that its output
    /// need not be kept. The vectors are those of [`BatchStatistics::fold`](super::BatchStatistics::fold).
    Recompute {
        /// `gamma / sqrt(var + eps)`
        scale: &'a [f32],
        /// `beta - mean scale`
        shift: &'a [f32],
    },
}

impl<'a> Mask<'a> {
    /// Scale and shift, empty where there are none.
    pub(super) fn vectors(&self) -> [&'a [f32]; 2] {
        match self {
            Self::Recompute { scale, shift } => [scale, shift],
            _ => [&[], &[]],
        }
    }
}

/// The gradient with respect to a normalisation's output.
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

    /// Pointer to `len` floats from `at` on.
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
    pub(super) x: MapsRef<'a>,
    pub(super) dy: Upstream<'a>,
    pub(super) dy_layout: Layout,
    pub(super) mask: Mask<'a>,
}

/// Kinds of [`Mask`], as constants: a loop over pixels is compiled for each.
pub(super) const NONE: usize = 0;
pub(super) const OUTPUT: usize = 1;
pub(super) const RECOMPUTE: usize = 2;
/// [`OUTPUT`], and `dy` becomes `g`.
pub(super) const GATE: usize = 3;

impl<'a> Maps<'a> {
    /// Maps with a `dy` that stays as it is.
    pub(super) fn new(x: MapsRef<'a>, dy: MapsRef<'a>, mask: Mask<'a>) -> Self {
        Self { x, dy: Upstream::Read(dy.values), dy_layout: dy.layout, mask }
    }

    /// Checks all against the maps that are computed, of layout `to`.
    pub(super) fn check(&self, to: &Layout) -> Result<(), Error> {
        const WHAT: &str = "the gradient of a normalisation";
        super::same_blocked(WHAT, &self.x.layout, to)?;
        self.x.check("the input")?;
        super::same_blocked(WHAT, &self.dy_layout, to)?;
        self.dy_layout.check("the gradient with respect to the output", self.dy.len())?;
        match self.mask {
            Mask::None => Ok(()),
            Mask::Output(y) => {
                super::same_blocked(WHAT, &y.layout, to)?;
                y.check("the output")
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
    /// Absence of a border in all maps, and in those that are written, of layout `to`.
    pub(super) fn is_flat(&self, to: Option<&Layout>) -> bool {
        let mask = if let Mask::Output(y) = self.maps.mask { y.layout.border() } else { 0 };
        self.maps.x.layout.border() + self.maps.dy_layout.border() + mask + to.map_or(0, Layout::border) == 0
    }

    /// Pointer to `dy` of the first pixel of a line, where it becomes `g`; the line was checked.
    pub(super) fn gate(&self, at: LineStart, lane: usize) -> Option<*mut f32> {
        let Upstream::Gate(dy) = self.maps.dy else { return None };
        Some(dy.pointer(self.maps.dy_layout.index(at.image, self.place.block, at.row, 0) + lane))
    }

    /// The `pixels` pixels of a line, for the channels from `lane` on.
    #[inline(always)]
    pub(super) fn line<S: Simd>(&self, s: S, start: LineStart, pixels: usize, lane: usize) -> Line<S> {
        let (block, len) = (self.place.block, (pixels - 1) * BLOCK + S::LANES);
        let at = |maps: &Layout| maps.index(start.image, block, start.row, 0) + lane;
        let Maps { x, dy, dy_layout, mask } = self.maps;
        let (x, dy) = (x.values[at(&x.layout)..][..len].as_ptr(), dy.pointer(at(dy_layout), len));
        let y = if let Mask::Output(y) = mask { y.values[at(&y.layout)..][..len].as_ptr() } else { dy };
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
