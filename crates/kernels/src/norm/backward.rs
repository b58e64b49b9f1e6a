//! The gradients of a batch normalisation.

use super::gated::{Maps, Mask, Upstream};
use super::spread::Target;
use super::{BatchStatistics, reduce, spread};
use crate::layout::{check_length, workspace as floats};
use crate::memory::Parts;
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// The gradients of `y = act(gamma xhat + beta + residual)` in training, where the statistics are the
/// batch's own: see the [module](super) for the formulas.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// Input of the normalisation.
    pub x: MapsRef<'a>,
    /// Gradient with respect to `y`.
    pub dy: MapsRef<'a>,
    /// The ReLU's mask.
    pub mask: Mask<'a>,
    /// The statistics of `x`.
    pub statistics: &'a BatchStatistics,
    /// The factor of each channel.
    pub gamma: &'a [f32],
    /// Epsilon, which was added to the variance.
    pub eps: f32,
}

impl Backward<'_> {
    /// Floats of workspace that [`Backward::run`] needs for maps of layout `maps`.
    pub fn workspace(maps: &Layout) -> usize {
        5 * maps.channels() + pass_workspace(maps)
    }

    /// Computes `dgamma`, `dbeta` and `dx`, and `g`, the gradient behind the ReLU, where it is asked for:
    /// what goes on to the residual. Two passes over `x`, `dy` and the mask. The borders of `dx` and `g`,
    /// and the lanes past the last channel, become 0. `g` has the layout of `dx`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long, [`Error::Shape`] where the
    /// maps are not blocked or not the same.
    pub fn run(
        &self,
        cpu: &Cpu,
        by: [&mut [f32]; 2],
        dx: MapsMut<'_>,
        g: Option<&mut [f32]>,
        workspace: &mut [f32],
    ) -> Result<(), Error> {
        let to = dx.layout;
        let workspace = floats(Self::workspace(&to), workspace)?;
        let (vectors, workspace) = workspace.split_at_mut(5 * to.channels());
        let (sums, factors) = vectors.split_at_mut(2 * to.channels());
        Sum::new(self.x, self.dy, self.mask, &self.statistics.mean, sums).run(cpu, workspace)?;
        let parameters = Parameters { statistics: self.statistics, gamma: self.gamma, eps: self.eps };
        parameters.factors(sums, by, factors)?;
        let maps = Maps::new(self.x, self.dy, self.mask);
        let target = Target { dx, g, residual: None };
        spread::spread(cpu, &maps, factors, target, workspace)
    }
}

/// Floats of workspace that either pass needs alone.
pub(crate) fn pass_workspace(maps: &Layout) -> usize {
    reduce::workspace(maps).max(spread::workspace(maps))
}

/// Parameters of a normalisation.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) statistics: &'a BatchStatistics,
    pub(crate) gamma: &'a [f32],
    pub(crate) eps: f32,
}

impl Parameters<'_> {
    /// `dgamma`, `dbeta` and the factors `[a][b][c]` of `dx = a g + b x + c`, from the sums that [`Sum`] leaves
    /// of each group of images, `[group][2][channels]`, added up in their order. With constant statistics `a` alone is
    /// not zero.
    pub(crate) fn factors(
        &self,
        sums: &[f32],
        [dgamma, dbeta]: [&mut [f32]; 2],
        factors: &mut [f32],
    ) -> Result<(), Error> {
        let BatchStatistics { count, mean, variance, constant } = self.statistics;
        let channels = mean.len();
        for vector in [&*dgamma, &*dbeta, self.gamma, variance] {
            check_length("a vector of the channels", channels, vector.len())?;
        }
        check_length("the factors of a gradient", 3 * channels, factors.len())?;
        for channel in 0..channels {
            let total = |at: usize| {
                let groups = sums.chunks_exact(2 * channels);
                groups.map(|sums| f64::from(sums[at * channels + channel])).sum::<f64>()
            };
            let (sum, products) = (total(0), total(1));
            let inverse = 1.0 / (f64::from(variance[channel]) + f64::from(self.eps)).sqrt();
            let by_gamma = products * inverse;
            dgamma[channel] = by_gamma as f32;
            dbeta[channel] = sum as f32;
            let factor = f64::from(self.gamma[channel]) * inverse;
            factors[channel] = factor as f32;
            if *constant {
                [factors[channels + channel], factors[2 * channels + channel]] = [0.0; 2];
                continue;
            }
            let count = *count as f64;
            let slope = -factor * inverse * by_gamma / count;
            factors[channels + channel] = slope as f32;
            factors[2 * channels + channel] =
                (-factor * sum / count - slope * f64::from(mean[channel])) as f32;
        }
        Ok(())
    }
}

/// The first pass: `[sum of g][sum of g (x - mean)]` of each channel over some images.
pub(crate) struct Sum<'a> {
    maps: Maps<'a>,
    mean: &'a [f32],
    sums: &'a mut [f32],
}

impl<'a> Sum<'a> {
    /// Sums of a `dy` that stays as it is.
    pub(crate) fn new(
        x: MapsRef<'a>,
        dy: MapsRef<'a>,
        mask: Mask<'a>,
        mean: &'a [f32],
        sums: &'a mut [f32],
    ) -> Self {
        Self { maps: Maps::new(x, dy, mask), mean, sums }
    }

    /// Sums of a `dy` that becomes `g`, behind the ReLU whose output is `y`.
    pub(crate) fn gating(
        x: MapsRef<'a>,
        dy: MapsMut<'a>,
        y: MapsRef<'a>,
        mean: &'a [f32],
        sums: &'a mut [f32],
    ) -> Self {
        let upstream = Upstream::Gate(Parts::new(dy.values));
        let maps = Maps { x, dy: upstream, dy_layout: dy.layout, mask: Mask::Output(y) };
        Self { maps, mean, sums }
    }

    /// Runs the pass, with [`pass_workspace`] floats of workspace.
    ///
    /// # Errors
    /// As for [`Backward::run`].
    pub(crate) fn run(self, cpu: &Cpu, workspace: &mut [f32]) -> Result<(), Error> {
        reduce::reduce(cpu, &self.maps, self.mean, self.sums, workspace)
    }
}

/// The second pass, `dx = a g + b x + c + residual`, on some images.
pub(crate) struct Spread<'a> {
    pub(crate) x: MapsRef<'a>,
    pub(crate) dy: MapsRef<'a>,
    pub(crate) mask: Mask<'a>,
    /// `[a][b][c]` of each channel.
    pub(crate) factors: &'a [f32],
    pub(crate) residual: Option<MapsRef<'a>>,
}

impl Spread<'_> {
    /// Runs the pass, with [`pass_workspace`] floats of workspace.
    ///
    /// # Errors
    /// As for [`Backward::run`].
    pub(crate) fn run(&self, cpu: &Cpu, dx: MapsMut<'_>, workspace: &mut [f32]) -> Result<(), Error> {
        let maps = Maps::new(self.x, self.dy, self.mask);
        let target = Target { dx, g: None, residual: self.residual };
        spread::spread(cpu, &maps, self.factors, target, workspace)
    }
}
