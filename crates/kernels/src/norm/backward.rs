//! The gradients of a batch normalisation.

use super::{Bands, BatchStatistics, Place, TILE, same_blocked, total};
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
            let place = bands.place(band);
            let band = Gated { of: self, scale, shift, place: &place };
            match self.mask {
                Mask::None => cpu.isa().run(Reduce::<NONE> { band, mean: c, target }),
                Mask::Output(..) => cpu.isa().run(Reduce::<OUTPUT> { band, mean: c, target }),
                Mask::Recompute { .. } => cpu.isa().run(Reduce::<RECOMPUTE> { band, mean: c, target }),
            }
        });
        self.finish_sums(&bands, &to, partial, [dgamma, dbeta], [a, b, c]);
        let (dx, g) = (Parts::new(dx), g.map(Parts::new));
        cpu.pool().for_each(bands.count(), |band, _| {
            let place = bands.place(band);
            let (band, factors) = (Gated { of: self, scale, shift, place: &place }, [&*a, &*b, &*c]);
            let to = &to;
            match self.mask {
                Mask::None => cpu.isa().run(Write::<NONE> { band, factors, dx, g, to }),
                Mask::Output(..) => cpu.isa().run(Write::<OUTPUT> { band, factors, dx, g, to }),
                Mask::Recompute { .. } => cpu.isa().run(Write::<RECOMPUTE> { band, factors, dx, g, to }),
            }
            for n in place.images.clone() {
                for y in [Some(dx), g].into_iter().flatten() {
                    // SAFETY: every band has its rows, and the border beside and beyond them, for itself.
                    unsafe { to.clear_border(y, n, place.block, place.rows.clone()) };
                }
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
    fn block_sums(bands: &Bands, partial: &[f32], block: usize) -> [[f64; BLOCK]; 2] {
        let mut sums = [[0.0; BLOCK]; 2];
        for band in bands.of_block(block) {
            let partial = &partial[2 * BLOCK * band..2 * BLOCK * (band + 1)];
            for (sums, partial) in sums.iter_mut().zip(partial.chunks_exact(BLOCK)) {
                sums.iter_mut().zip(partial).for_each(|(sum, &part)| *sum += f64::from(part));
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
                block_sums = Self::block_sums(bands, partial, channel / BLOCK);
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

/// A band, and the vectors of the channels.
struct Gated<'a> {
    of: &'a Backward<'a>,
    scale: &'a [f32],
    shift: &'a [f32],
    place: &'a Place,
}

/// Pixels that lie together, from a lane on: where to read `x`, and `g = dy act'(y)`.
struct Line<S: Simd> {
    x: *const f32,
    dy: *const f32,
    /// The output; `dy` where that is not the mask.
    y: *const f32,
    scale: S::V,
    shift: S::V,
}

/// Kinds of [`Mask`], as constants: a loop over pixels is compiled for each.
const NONE: usize = 0;
const OUTPUT: usize = 1;
const RECOMPUTE: usize = 2;

impl Gated<'_> {
    /// Whether all maps, and those that are written (which lie as `to` says), have no border.
    fn is_flat(&self, to: Option<&Layout>) -> bool {
        let mask = if let Mask::Output(_, maps) = self.of.mask { maps.border() } else { 0 };
        self.of.x.1.border() + self.of.dy.1.border() + mask + to.map_or(0, Layout::border) == 0
    }

    /// The `pixels` pixels of image `n` from the start of `row` on, for the channels from `lane` on.
    #[inline(always)]
    fn line<S: Simd>(&self, s: S, (n, row): (usize, usize), pixels: usize, lane: usize) -> Line<S> {
        let block = self.place.block;
        let checked = |values: &[f32], maps: &Layout| {
            let at = maps.index(n, block, row, 0) + lane;
            values[at..at + (pixels - 1) * BLOCK + S::LANES].as_ptr()
        };
        let ((x, x_maps), (dy, dy_maps)) = (self.of.x, self.of.dy);
        let (x, dy) = (checked(x, &x_maps), checked(dy, &dy_maps));
        let y = if let Mask::Output(y, maps) = self.of.mask { checked(y, &maps) } else { dy };
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
    unsafe fn pixel<const MASK: usize>(&self, s: S, pixel: usize) -> (S::V, S::V) {
        // SAFETY: the line was checked to lie in all maps.
        unsafe {
            let (x, dy) = (s.load(self.x.add(pixel * BLOCK)), s.load(self.dy.add(pixel * BLOCK)));
            let g = match MASK {
                NONE => dy,
                OUTPUT => s.gate(dy, s.load(self.y.add(pixel * BLOCK))),
                _ => s.gate(dy, s.fma(x, self.scale, self.shift)),
            };
            (x, g)
        }
    }
}

/// `sum g` and `sum g (x - mean)` of a band.
struct Reduce<'a, const MASK: usize> {
    band: Gated<'a>,
    mean: &'a [f32],
    target: &'a mut [f32],
}

impl<const MASK: usize> Kernel for Reduce<'_, MASK> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.band.place;
        let (lines, pixels) = place.lines(self.band.is_flat(None), self.band.of.x.1.width());
        for lane in (0..BLOCK).step_by(S::LANES) {
            let mean = s.read(self.mean, place.block * BLOCK + lane);
            let (mut sum, mut product) = (s.zero(), s.zero());
            for line in 0..lines {
                let line = self.band.line(s, place.line(line, lines), pixels, lane);
                let (mut sums, mut products) = ([s.zero(); TILE], [s.zero(); TILE]);
                let whole = pixels / TILE * TILE;
                for pixel in (0..whole).step_by(TILE) {
                    for i in 0..TILE {
                        // SAFETY: the pixel is below `pixels`.
                        let (x, g) = unsafe { line.pixel::<MASK>(s, pixel + i) };
                        sums[i] = s.add(sums[i], g);
                        products[i] = s.fma(g, s.sub(x, mean), products[i]);
                    }
                }
                for pixel in whole..pixels {
                    // SAFETY: as above.
                    let (x, g) = unsafe { line.pixel::<MASK>(s, pixel) };
                    sums[0] = s.add(sums[0], g);
                    products[0] = s.fma(g, s.sub(x, mean), products[0]);
                }
                sum = s.add(sum, total(s, sums));
                product = s.add(product, total(s, products));
            }
            for (at, total) in [sum, product].into_iter().enumerate() {
                let target = &mut self.target[at * BLOCK + lane..][..S::LANES];
                // SAFETY: just sliced to a vector's length.
                unsafe { s.store(target.as_mut_ptr(), total) }
            }
        }
    }
}

/// `dx = a g + b x + c` of a band, and `g`.
struct Write<'a, const MASK: usize> {
    band: Gated<'a>,
    factors: [&'a [f32]; 3],
    dx: Parts<'a>,
    g: Option<Parts<'a>>,
    to: &'a Layout,
}

impl<const MASK: usize> Kernel for Write<'_, MASK> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.band.place;
        let (lines, pixels) = place.lines(self.band.is_flat(Some(self.to)), self.to.width());
        for lane in (0..BLOCK).step_by(S::LANES) {
            let channel = place.block * BLOCK + lane;
            let [a, b, c] = [0, 1, 2].map(|i| s.read(self.factors[i], channel));
            for line in 0..lines {
                let (n, row) = place.line(line, lines);
                let line = self.band.line(s, (n, row), pixels, lane);
                let at = self.to.index(n, place.block, row, 0) + lane;
                assert!(at + (pixels - 1) * BLOCK + S::LANES <= self.dx.len());
                let dx = self.dx.pointer(at);
                let behind = self.g.map(|g| g.pointer(at));
                for pixel in 0..pixels {
                    // SAFETY: the pixels were just checked; `g` is as long as `dx`. A band has its rows for
                    // itself.
                    unsafe {
                        let (x, g) = line.pixel::<MASK>(s, pixel);
                        s.store(dx.add(pixel * BLOCK), s.fma(a, g, s.fma(b, x, c)));
                        if let Some(behind) = behind {
                            s.store(behind.add(pixel * BLOCK), g);
                        }
                    }
                }
            }
        }
    }
}
