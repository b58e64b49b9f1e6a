//! The gradients of a batch normalisation.

use super::{Bands, BatchStatistics, Place, same_blocked};
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, KernelError, Layout};

/// Where the ReLU behind a normalisation let nothing through.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// There is no ReLU.
    None,
    /// Where its output is 0.
    Output(&'a [f32], Layout),
    /// Where `scale x + shift` is not above 0: for a normalisation without a residual, so that its output
    /// need not be kept. The vectors are those of [`BatchStatistics::fold`].
    Recompute {
        /// `gamma / sqrt(var + eps)`
        scale: &'a [f32],
        /// `beta - mean scale`
        shift: &'a [f32],
    },
}

/// The gradients of `y = act(gamma xhat + beta + residual)` in training, where the statistics are the
/// batch's own: see the [module](super) for the formulas.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// What was normalised.
    pub x: (&'a [f32], Layout),
    /// The gradient by `y`.
    pub dy: (&'a [f32], Layout),
    /// The ReLU's mask.
    pub mask: Mask<'a>,
    /// The statistics of `x`.
    pub statistics: &'a BatchStatistics,
    /// The factor of each channel.
    pub gamma: &'a [f32],
    /// What was added to the variance.
    pub eps: f32,
}

/// The vectors of the channels that a pass reads, filled up to whole blocks.
const VECTORS: usize = 5;

impl Backward<'_> {
    /// Floats of workspace that [`Backward::run`] needs for maps that lie as `maps` says.
    pub fn workspace(maps: &Layout) -> usize {
        super::statistics::workspace(maps) + VECTORS * maps.blocks() * BLOCK
    }

    /// Computes `dgamma`, `dbeta` and `dx`, and `g`, the gradient behind the ReLU, where it is asked for:
    /// what goes on to the residual. Two passes over `x`, `dy` and the mask. The borders of `dx` and `g`,
    /// and the lanes past the last channel, become 0. `g` may not lie as another layout than `dx`.
    ///
    /// # Errors
    /// [`KernelError::Length`] where a slice is too short or too long, [`KernelError::Shape`] where the
    /// maps are not blocked or not the same.
    pub fn run(
        &self,
        cpu: &Cpu,
        [dgamma, dbeta]: [&mut [f32]; 2],
        (dx, to): (&mut [f32], Layout),
        g: Option<&mut [f32]>,
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check(&to, dx.len(), g.as_deref(), [dgamma, dbeta])?;
        if workspace.len() < Self::workspace(&to) {
            check_length("the workspace", Self::workspace(&to), workspace.len())?;
        }
        let (vectors, partial) = workspace.split_at_mut(VECTORS * to.blocks() * BLOCK);
        vectors.fill(0.0);
        let (mut rows, len) = (vectors.chunks_exact_mut(to.blocks() * BLOCK), to.channels());
        let mut next = || rows.next().expect("there are VECTORS rows");
        let (scale, shift, a, b, c) = (next(), next(), next(), next(), next());
        if let Mask::Recompute { scale: factor, shift: summand } = self.mask {
            scale[..len].copy_from_slice(factor);
            shift[..len].copy_from_slice(summand);
        }
        // Until the sums are known, `c` holds the mean.
        c[..len].copy_from_slice(&self.statistics.mean);
        let bands = Bands::new(&to);
        let partial = &mut partial[..2 * BLOCK * bands.count()];
        let target = Parts::new(partial);
        cpu.pool().for_each(bands.count(), |band, _| {
            // SAFETY: every band has a part of its own.
            let target = unsafe { target.part(2 * BLOCK * band..2 * BLOCK * (band + 1)) };
            let rows = Gated { of: self, scale, shift, place: &bands.place(band) };
            cpu.isa().run(Reduce { rows, mean: c, target });
        });
        self.finish_sums(&bands, &to, partial, [dgamma, dbeta], [a, b, c]);
        let (dx, g) = (Parts::new(dx), g.map(Parts::new));
        cpu.pool().for_each(bands.count(), |band, _| {
            let place = bands.place(band);
            let rows = Gated { of: self, scale, shift, place: &place };
            cpu.isa().run(Write { rows, factors: [a, b, c], dx, g, to: &to });
            // SAFETY: every band has its rows, and the border beside and beyond them, for itself.
            unsafe { to.clear_border(dx, place.n, place.block, place.rows.clone()) };
            if let Some(g) = g {
                // SAFETY: as above.
                unsafe { to.clear_border(g, place.n, place.block, place.rows) };
            }
        });
        Ok(())
    }

    fn check(&self, to: &Layout, dx: usize, g: Option<&[f32]>, by: [&[f32]; 2]) -> Result<(), KernelError> {
        const WHAT: &str = "the gradient of a normalisation";
        to.check("the gradient by the input", dx)?;
        g.map_or(Ok(()), |g| to.check("the gradient behind the ReLU", g.len()))?;
        for (what, (values, layout)) in [("the input", self.x), ("the gradient by the output", self.dy)] {
            same_blocked(WHAT, &layout, to)?;
            layout.check(what, values.len())?;
        }
        match self.mask {
            Mask::None => {}
            Mask::Output(y, layout) => {
                same_blocked(WHAT, &layout, to)?;
                layout.check("the output", y.len())?;
            }
            Mask::Recompute { scale, shift } => {
                check_length("the scale", to.channels(), scale.len())?;
                check_length("the shift", to.channels(), shift.len())?;
            }
        }
        let vectors = [by[0], by[1], self.gamma, &self.statistics.mean, &self.statistics.variance];
        vectors.into_iter().try_for_each(|v| check_length("a vector of the channels", to.channels(), v.len()))
    }

    /// Adds up the bands of a channel block, in their order.
    fn block_sums(bands: &Bands, maps: &Layout, partial: &[f32], block: usize) -> [[f64; BLOCK]; 2] {
        let mut sums = [[0.0; BLOCK]; 2];
        for n in 0..maps.batch() {
            let first = (n * maps.blocks() + block) * bands.per_plane;
            for band in first..first + bands.per_plane {
                let partial = &partial[2 * BLOCK * band..2 * BLOCK * (band + 1)];
                for (sums, partial) in sums.iter_mut().zip(partial.chunks_exact(BLOCK)) {
                    sums.iter_mut().zip(partial).for_each(|(sum, &part)| *sum += f64::from(part));
                }
            }
        }
        sums
    }

    /// Adds up the bands and leaves the factors of `dx = a g + b x + c`.
    fn finish_sums(
        &self,
        bands: &Bands,
        maps: &Layout,
        partial: &[f32],
        [dgamma, dbeta]: [&mut [f32]; 2],
        [a, b, c]: [&mut [f32]; 3],
    ) {
        let count = (maps.batch() * maps.height() * maps.width()) as f64;
        let mut block_sums = [[0.0; BLOCK]; 2];
        for channel in 0..maps.channels() {
            let lane = channel % BLOCK;
            if lane == 0 {
                block_sums = Self::block_sums(bands, maps, partial, channel / BLOCK);
            }
            let [sum, products] = block_sums.map(|lanes| lanes[lane]);
            let variance = f64::from(self.statistics.variance[channel]);
            let inverse = 1.0 / (variance + f64::from(self.eps)).sqrt();
            let by_gamma = products * inverse;
            dgamma[channel] = by_gamma as f32;
            dbeta[channel] = sum as f32;
            let factor = f64::from(self.gamma[channel]) * inverse;
            let slope = -factor * inverse * by_gamma / count;
            a[channel] = factor as f32;
            b[channel] = slope as f32;
            c[channel] = (-factor * sum / count - slope * f64::from(self.statistics.mean[channel])) as f32;
        }
    }
}

/// The rows of a band, with `g = dy act'(y)`.
struct Gated<'a> {
    of: &'a Backward<'a>,
    scale: &'a [f32],
    shift: &'a [f32],
    place: &'a Place,
}

impl Gated<'_> {
    /// Calls `each(pixel, x, g)` for the pixels of `row`, for the channels from `lane` on.
    #[inline(always)]
    fn row<S: Simd>(&self, s: S, row: usize, lane: usize, mut each: impl FnMut(usize, S::V, S::V)) {
        let Place { n, block, .. } = *self.place;
        let ((x, x_maps), (dy, dy_maps)) = (self.of.x, self.of.dy);
        let width = x_maps.width();
        let len = (width - 1) * BLOCK + S::LANES;
        let slice = |values: &'_ [f32], maps: &Layout| {
            let at = maps.index(n, block, row, 0) + lane;
            assert!(at + len <= values.len());
            at
        };
        let (x, dy) =
            (x.as_ptr().wrapping_add(slice(x, &x_maps)), dy.as_ptr().wrapping_add(slice(dy, &dy_maps)));
        let at = |pixel: usize| pixel * BLOCK;
        // SAFETY: all rows were just checked to lie in their slices.
        unsafe {
            match self.of.mask {
                Mask::None => (0..width).for_each(|p| each(p, s.load(x.add(at(p))), s.load(dy.add(at(p))))),
                Mask::Output(y, maps) => {
                    let y = y.as_ptr().add(slice(y, &maps));
                    for p in 0..width {
                        each(p, s.load(x.add(at(p))), s.gate(s.load(dy.add(at(p))), s.load(y.add(at(p)))));
                    }
                }
                Mask::Recompute { .. } => {
                    let [scale, shift] = [self.scale, self.shift].map(|v| s.read(v, block * BLOCK + lane));
                    for p in 0..width {
                        let x = s.load(x.add(at(p)));
                        each(p, x, s.gate(s.load(dy.add(at(p))), s.fma(x, scale, shift)));
                    }
                }
            }
        }
    }
}

/// `sum g` and `sum g (x - mean)` of a band.
struct Reduce<'a> {
    rows: Gated<'a>,
    mean: &'a [f32],
    target: &'a mut [f32],
}

impl Kernel for Reduce<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.rows.place;
        for lane in (0..BLOCK).step_by(S::LANES) {
            let mean = s.read(self.mean, place.block * BLOCK + lane);
            let mut totals = [s.zero(); 2];
            for row in place.rows.clone() {
                let mut sums = [[s.zero(); 4]; 2];
                self.rows.row(s, row, lane, |pixel, x, g| {
                    let i = pixel % 4;
                    sums[0][i] = s.add(sums[0][i], g);
                    sums[1][i] = s.fma(g, s.sub(x, mean), sums[1][i]);
                });
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = s.add(*total, s.add(s.add(sum[0], sum[1]), s.add(sum[2], sum[3])));
                }
            }
            for (at, total) in totals.into_iter().enumerate() {
                let target = &mut self.target[at * BLOCK + lane..][..S::LANES];
                // SAFETY: just sliced to a vector's length.
                unsafe { s.store(target.as_mut_ptr(), total) }
            }
        }
    }
}

/// `dx = a g + b x + c` of a band, and `g`.
struct Write<'a> {
    rows: Gated<'a>,
    factors: [&'a [f32]; 3],
    dx: Parts<'a>,
    g: Option<Parts<'a>>,
    to: &'a Layout,
}

impl Kernel for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.rows.place;
        let width = self.to.width();
        for lane in (0..BLOCK).step_by(S::LANES) {
            let [a, b, c] = self.factors.map(|v| s.read(v, place.block * BLOCK + lane));
            for row in place.rows.clone() {
                let at = self.to.index(place.n, place.block, row, 0) + lane;
                assert!(at + (width - 1) * BLOCK + S::LANES <= self.dx.len());
                let dx = self.dx.pointer(at);
                let behind = self.g.map(|g| g.pointer(at));
                self.rows.row(s, row, lane, |pixel, x, g| {
                    // SAFETY: the row was just checked; `g` is as long as `dx`. A band has its rows for itself.
                    unsafe {
                        s.store(dx.add(pixel * BLOCK), s.fma(a, g, s.fma(b, x, c)));
                        if let Some(behind) = behind {
                            s.store(behind.add(pixel * BLOCK), g);
                        }
                    }
                });
            }
        }
    }
}
