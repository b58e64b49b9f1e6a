//! Mean and variance of a batch, and their running values.

use super::{Bands, LineStart, TILE, total};
use crate::layout::{check_length, workspace as floats};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, Sums};

/// The mean and the biased variance of each channel over all images and pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Images times pixels.
    pub count: usize,
    /// `sum x / count`
    pub mean: Vec<f32>,
    /// `sum (x - mean)^2 / count`
    pub variance: Vec<f32>,
    /// Constant statistics, where true: running ones, through which no gradient flows to the maps.
    pub constant: bool,
}

impl BatchStatistics {
    /// Zeros for maps of layout `maps`.
    pub fn zeroed(maps: &Layout) -> Self {
        let count = maps.batch() * maps.height() * maps.width();
        let channels = maps.channels();
        Self { count, mean: vec![0.0; channels], variance: vec![0.0; channels], constant: false }
    }

    /// Takes the statistics from the sums that a convolution left of its output: `var = sum x^2 / count - mean^2`,
    /// not below 0.
    ///
    /// In float64, but the sums are float32: where a channel's mean is more than 1,000 times its standard
    /// deviation, [`statistics`] keeps digits that this loses.
    ///
    /// # Errors
    /// [`Error::Length`] where the sums are of another number of channels.
    pub fn set_from_sums(&mut self, sums: &Sums<'_>) -> Result<(), Error> {
        check_length("the sums", self.mean.len(), sums.sum.len())?;
        check_length("the sums of squares", self.mean.len(), sums.squares.len())?;
        let count = self.count as f64;
        for (channel, (&sum, &squares)) in sums.sum.iter().zip(&*sums.squares).enumerate() {
            let mean = f64::from(sum) / count;
            let variance = f64::from(squares) / count - mean * mean;
            self.mean[channel] = mean as f32;
            // A NaN stays one.
            self.variance[channel] = if variance < 0.0 { 0.0 } else { variance as f32 };
        }
        Ok(())
    }

    /// `scale = gamma / sqrt(var + eps)` and `shift = beta - mean scale`: what normalises, scales and
    /// shifts in one multiply-add.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice has not one value for every channel.
    pub fn fold(
        &self,
        [gamma, beta]: [&[f32]; 2],
        eps: f32,
        [scale, shift]: [&mut [f32]; 2],
    ) -> Result<(), Error> {
        for values in [gamma, beta, scale, shift] {
            check_length("the scale and shift of a normalisation", self.mean.len(), values.len())?;
        }
        for channel in 0..self.mean.len() {
            let factor =
                f64::from(gamma[channel]) / (f64::from(self.variance[channel]) + f64::from(eps)).sqrt();
            scale[channel] = factor as f32;
            shift[channel] = (f64::from(beta[channel]) - f64::from(self.mean[channel]) * factor) as f32;
        }
        Ok(())
    }

    /// Moves the running values by PyTorch's rule: `running += momentum (batch - running)`, with the
    /// unbiased variance, `count / (count - 1)` times the biased; a batch of one value leaves it at that.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice has not one value for every channel.
    pub fn update(&self, momentum: f32, [mean, variance]: [&mut [f32]; 2]) -> Result<(), Error> {
        check_length("the running mean", self.mean.len(), mean.len())?;
        check_length("the running variance", self.mean.len(), variance.len())?;
        let unbiased = self.count as f32 / (self.count.max(2) - 1) as f32;
        let toward = |running: &mut f32, batch: f32| *running += momentum * (batch - *running);
        mean.iter_mut().zip(&self.mean).for_each(|(running, &batch)| toward(running, batch));
        let pairs = variance.iter_mut().zip(&self.variance);
        pairs.for_each(|(running, &batch)| toward(running, batch * unbiased));
        Ok(())
    }
}

/// Computes the statistics of `x`, which is blocked, in one pass; `workspace` holds at least
/// [`BatchStatistics::workspace`] floats.
///
/// Every band of pixels is summed around its own first, and the bands are put together in float64 around
/// their common mean (Chan, Golub and LeVeque 1983): a mean far from zero costs no digits.
///
/// # Errors
/// [`Error::Length`] where a slice is too short or too long, [`Error::Shape`] where the maps
/// are not blocked.
pub fn statistics(
    cpu: &Cpu,
    x: &[f32],
    maps: Layout,
    into: &mut BatchStatistics,
    workspace: &mut [f32],
) -> Result<(), Error> {
    moments(cpu, x, maps, [&mut into.mean, &mut into.variance], workspace)?;
    into.count = maps.batch() * maps.height() * maps.width();
    Ok(())
}

/// Computes the mean and the biased variance of each channel of `x`, as [`statistics`] does, into slices of one value
/// for every channel.
///
/// # Errors
/// Those of [`statistics`].
pub fn moments(
    cpu: &Cpu,
    x: &[f32],
    maps: Layout,
    [mean, variance]: [&mut [f32]; 2],
    workspace: &mut [f32],
) -> Result<(), Error> {
    super::same_blocked("the statistics of a batch", &maps, &maps)?;
    maps.check("the input", x.len())?;
    check_length("the statistics", maps.channels(), mean.len())?;
    check_length("the statistics", maps.channels(), variance.len())?;
    let bands = Bands::new(&maps);
    let workspace = floats(BatchStatistics::workspace(&maps), workspace)?;
    let target = Parts::new(workspace);
    cpu.pool().for_each(bands.count(), |band, _| {
        // SAFETY: every band has a part of its own.
        let target = unsafe { target.part(3 * BLOCK * band..3 * BLOCK * (band + 1)) };
        cpu.isa().run(Moments { x, maps: &maps, bands, band, target });
    });
    let [mean, variance] = [mean, variance].map(Parts::new);
    cpu.pool().for_each(maps.blocks(), |block, _| {
        let [means, variances] =
            cpu.isa().run(Together { maps: &maps, bands: &bands, moments: workspace, block });
        let channels = block * BLOCK..((block + 1) * BLOCK).min(maps.channels());
        for (values, lanes) in [(mean, means), (variance, variances)] {
            // SAFETY: the channels of a block are one task's.
            let values = unsafe { values.part(channels.clone()) };
            values.iter_mut().zip(lanes).for_each(|(value, lane)| *value = lane as f32);
        }
    });
    Ok(())
}

/// Mean and variance of a channel block from the moments of its bands: the mean first, then the squares
/// around it, `sum (x - p)^2 - (sum (x - p))^2 / pixels + pixels (band mean - mean)^2` for each band.
struct Together<'a> {
    maps: &'a Layout,
    bands: &'a Bands,
    moments: &'a [f32],
    block: usize,
}

impl Kernel for Together<'_> {
    type Output = [[f64; BLOCK]; 2];

    /// Plain Rust that becomes vectors: the token has none of float64.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [[f64; BLOCK]; 2] {
        let count = (self.maps.batch() * self.maps.height() * self.maps.width()) as f64;
        let (mut mean, mut around) = ([0.0; BLOCK], [0.0; BLOCK]);
        self.each(|pixels, [pivot, sum, _]| {
            for lane in 0..BLOCK {
                mean[lane] += pixels * f64::from(pivot[lane]) + f64::from(sum[lane]);
            }
        });
        for mean in &mut mean {
            *mean /= count;
        }
        self.each(|pixels, [pivot, sum, squares]| {
            let inverse = 1.0 / pixels;
            for lane in 0..BLOCK {
                let sum = f64::from(sum[lane]);
                let distance = f64::from(pivot[lane]) + sum * inverse - mean[lane];
                around[lane] += f64::from(squares[lane]) - sum * sum * inverse + pixels * distance * distance;
            }
        });
        for around in &mut around {
            // A NaN stays one.
            *around = if *around < 0.0 { 0.0 } else { *around / count };
        }
        [mean, around]
    }
}

impl Together<'_> {
    /// Calls `each(pixels, moments)` for the bands of the block, in their order.
    #[inline(always)]
    fn each(&self, mut each: impl FnMut(f64, [&[f32; BLOCK]; 3])) {
        for band in self.bands.of_block(self.block) {
            let place = self.bands.place(band);
            let pixels = place.images.len() * place.rows.len() * self.maps.width();
            let (moments, _) = self.moments[3 * BLOCK * band..3 * BLOCK * (band + 1)].as_chunks();
            each(pixels as f64, [&moments[0], &moments[1], &moments[2]]);
        }
    }
}

impl BatchStatistics {
    /// Floats of workspace that [`statistics`] needs for maps of layout `maps`.
    pub fn workspace(maps: &Layout) -> usize {
        3 * BLOCK * Bands::new(maps).count()
    }
}

/// The first pixel of a band, and the sums of the distances from it and of their squares.
struct Moments<'a> {
    x: &'a [f32],
    maps: &'a Layout,
    bands: Bands,
    band: usize,
    target: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.bands.place(self.band);
        let (lines, pixels) = place.lines(self.maps.border() == 0, self.maps.width());
        for lane in (0..BLOCK).step_by(S::LANES) {
            let pivot =
                s.read(self.x, self.maps.index(place.images.start, place.block, place.rows.start, 0) + lane);
            let (mut sum, mut squares) = (s.zero(), s.zero());
            for line in 0..lines {
                let LineStart { image: n, row } = place.line(line, lines);
                let start = self.maps.index(n, place.block, row, 0) + lane;
                let x = &self.x[start..start + (pixels - 1) * BLOCK + S::LANES];
                let (mut sums, mut parts) = ([s.zero(); TILE], [s.zero(); TILE]);
                let whole = pixels / TILE * TILE;
                for pixel in (0..whole).step_by(TILE) {
                    for i in 0..TILE {
                        // SAFETY: the slice ends with the last pixel's vector.
                        let x = unsafe { s.load(x.as_ptr().add((pixel + i) * BLOCK)) };
                        let distance = s.sub(x, pivot);
                        sums[i] = s.add(sums[i], distance);
                        parts[i] = s.fma(distance, distance, parts[i]);
                    }
                }
                for pixel in whole..pixels {
                    // SAFETY: as above.
                    let distance = s.sub(unsafe { s.load(x.as_ptr().add(pixel * BLOCK)) }, pivot);
                    sums[0] = s.add(sums[0], distance);
                    parts[0] = s.fma(distance, distance, parts[0]);
                }
                sum = s.add(sum, total(s, sums));
                squares = s.add(squares, total(s, parts));
            }
            for (at, value) in [pivot, sum, squares].into_iter().enumerate() {
                let target = &mut self.target[at * BLOCK + lane..][..S::LANES];
                // SAFETY: just sliced to a vector's length.
                unsafe { s.store(target.as_mut_ptr(), value) }
            }
        }
    }
}
