//! What follows a product, done while its sums are still in registers.

use crate::layout::{Layout, Steps, check_length};
use crate::memory::Parts;
use crate::simd::{BLOCK, Simd};
use crate::{Error, MapsRef};

/// Epilogue of a convolution, done before its result is stored: `y = act(scale z + shift + residual)`.
///
/// `scale` and `shift` have one value for each output channel: a bias is a `shift` alone, a folded batch
/// normalisation is both. `act` is ReLU where `relu` says so, else the identity. The default changes
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Factor of each output channel.
    pub scale: Option<&'a [f32]>,
    /// Summand of each output channel.
    pub shift: Option<&'a [f32]>,
    /// Feature maps to add: blocked, of the output's size, with any border.
    pub residual: Option<MapsRef<'a>>,
    /// ReLU: negative results become 0.
    pub relu: bool,
}

/// An [`Epilogue`] made ready: the vectors filled up with zeros to whole channel blocks.
pub(crate) struct Finish<'a> {
    scale: Option<&'a [f32]>,
    shift: Option<&'a [f32]>,
    residual: Option<MapsRef<'a>>,
    relu: bool,
    /// `[bands][2][channels]`: where to add up the results and their squares.
    sums: Option<Parts<'a>>,
    channels: usize,
}

/// Place of a strip: its first channel, its pixels' place in the residual, and its band.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) channel: usize,
    pub(crate) residual_at: usize,
    pub(crate) band: usize,
}

impl Place {
    /// Place of the vector from channel `lane` of the block on.
    pub(crate) fn lane(self, lane: usize) -> Self {
        Self { channel: self.channel + lane, residual_at: self.residual_at + lane, ..self }
    }
}

impl<'a> Epilogue<'a> {
    /// Checks the lengths against `output`, and copies the vectors into `scratch`
    /// ([`Finish::scratch`] floats). `sums`, where given, are zeros, [`Finish::sums`] floats.
    pub(crate) fn prepare(
        &self,
        output: &Layout,
        scratch: &'a mut [f32],
        sums: Option<&'a mut [f32]>,
    ) -> Result<Finish<'a>, Error> {
        for (what, values) in [("the scale", self.scale), ("the shift", self.shift)] {
            values.map_or(Ok(()), |values| check_length(what, output.channels(), values.len()))?;
        }
        if let Some(MapsRef { values, layout }) = &self.residual {
            if !layout.same_maps(output) || layout.block() != BLOCK {
                return Err(Error::Shape {
                    what: "the residual".into(),
                    reason: format!("{layout:?} cannot be added to {output:?}"),
                });
            }
            layout.check("the residual", values.len())?;
        }
        let channels = output.blocks() * BLOCK;
        let (scale, shift) = scratch.split_at_mut(channels);
        let fill = |target: &'a mut [f32], values: Option<&[f32]>| {
            values.map(|values| {
                target.fill(0.0);
                target[..values.len()].copy_from_slice(values);
                &*target
            })
        };
        Ok(Finish {
            scale: fill(scale, self.scale),
            shift: fill(&mut shift[..channels], self.shift),
            residual: self.residual,
            relu: self.relu,
            sums: sums.map(Parts::new),
            channels,
        })
    }
}

impl Finish<'_> {
    /// Floats that [`Epilogue::prepare`] needs for an output of `blocks` channel blocks.
    pub(crate) fn scratch(blocks: usize) -> usize {
        2 * blocks * BLOCK
    }

    /// Floats of the sums of `bands` bands.
    pub(crate) fn sums(bands: usize, blocks: usize) -> usize {
        2 * bands * blocks * BLOCK
    }

    /// Offset of pixel (`y`, `x`) of channel block `block` of image `n` in the residual; 0 without one.
    pub(crate) fn residual_at(&self, n: usize, block: usize, y: usize, x: usize) -> usize {
        self.residual.map_or(0, |maps| maps.layout.index(n, block, y, x))
    }

    /// Strides of the residual; zeros without one.
    pub(crate) fn residual_steps(&self) -> Steps {
        self.residual.map_or(Steps::default(), |maps| maps.layout.steps())
    }

    /// Panics unless all that maps of layout `output` touch lies in the slices.
    pub(crate) fn check_maps(&self, output: &Layout, band: usize) {
        assert!(output.blocks() * BLOCK <= self.channels);
        if let Some(MapsRef { values, layout }) = &self.residual {
            assert!(layout.same_maps(output) && values.len() == layout.len());
        }
        if let Some(sums) = &self.sums {
            assert!((band + 1) * 2 * self.channels <= sums.len());
        }
    }

    /// Absence of a border between the rows of the residual, if there is any.
    pub(crate) fn is_flat(&self) -> bool {
        self.residual.is_none_or(|maps| maps.layout.border() == 0)
    }

    /// Panics unless all that `rows` neighbouring pixels of `blocks` channel blocks touch lies in the slices.
    #[inline(always)]
    pub(crate) fn check(&self, place: &Place, rows: usize, blocks: usize) {
        assert!(place.channel + blocks * BLOCK <= self.channels);
        if let Some(MapsRef { values, layout }) = &self.residual {
            assert!(place.residual_at + (blocks - 1) * layout.plane() + rows * BLOCK <= values.len());
        }
        if let Some(sums) = &self.sums {
            assert!((place.band + 1) * 2 * self.channels <= sums.len());
        }
    }

    /// Applies to a row of `MR` pixels, `step` floats apart, from pixel `first` of the strip on, and `NV` vectors.
    ///
    /// # Safety
    /// As for [`Finish::apply_rows`].
    #[inline(always)]
    pub(crate) unsafe fn apply<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        place: &Place,
        first: usize,
        step: usize,
        row: &mut [[S::V; NV]; MR],
    ) {
        let place = Place { residual_at: place.residual_at + first * step, ..*place };
        // SAFETY: the caller vouches for it.
        unsafe { self.apply_rows(s, &place, [0, step], std::array::from_mut(row)) }
    }

    /// Applies to `ROWS` rows of `MR` pixels and `NV` vectors; in the residual, rows are `row` floats apart and
    /// pixels `step`.
    ///
    /// # Safety
    /// `check` has passed for the strip or the tile, and nothing else touches its channels' sums.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "constant bounds and indices keep the arrays in registers"
    )]
    pub(crate) unsafe fn apply_rows<S: Simd, const ROWS: usize, const MR: usize, const NV: usize>(
        &self,
        s: S,
        place: &Place,
        [row, step]: [usize; 2],
        tile: &mut [[[S::V; NV]; MR]; ROWS],
    ) {
        // SAFETY: `check` covers the channels' vectors, the residual's pixels and the sums.
        unsafe {
            if let Some(sums) = &self.sums {
                let at = place.band * 2 * self.channels + place.channel;
                for v in 0..NV {
                    let (sum, squares) =
                        (sums.pointer(at + v * S::LANES), sums.pointer(at + v * S::LANES).add(self.channels));
                    let (mut a, mut b) = (s.load(sum), s.load(squares));
                    for i in 0..ROWS {
                        for r in 0..MR {
                            a = s.add(a, tile[i][r][v]);
                            b = s.fma(tile[i][r][v], tile[i][r][v], b);
                        }
                    }
                    s.store(sum, a);
                    s.store(squares, b);
                }
            }
            if let Some(scale) = self.scale {
                for v in 0..NV {
                    let scale = s.load(scale.as_ptr().add(place.channel + v * S::LANES));
                    for i in 0..ROWS {
                        for r in 0..MR {
                            tile[i][r][v] = s.mul(tile[i][r][v], scale);
                        }
                    }
                }
            }
            if let Some(shift) = self.shift {
                for v in 0..NV {
                    let shift = s.load(shift.as_ptr().add(place.channel + v * S::LANES));
                    for i in 0..ROWS {
                        for r in 0..MR {
                            tile[i][r][v] = s.add(tile[i][r][v], shift);
                        }
                    }
                }
            }
            if let Some(MapsRef { values: residual, layout }) = &self.residual {
                let residual = residual.as_ptr().add(place.residual_at);
                for v in 0..NV {
                    let column = v * S::LANES / BLOCK * layout.plane() + v * S::LANES % BLOCK;
                    for i in 0..ROWS {
                        for r in 0..MR {
                            let summand = s.load(residual.add(column + i * row + r * step));
                            tile[i][r][v] = s.add(tile[i][r][v], summand);
                        }
                    }
                }
            }
            if self.relu {
                for i in 0..ROWS {
                    for r in 0..MR {
                        for v in 0..NV {
                            tile[i][r][v] = s.relu(tile[i][r][v]);
                        }
                    }
                }
            }
        }
    }
}
