//! The gradients of a batch normalisation.

use super::gated::{Maps, Upstream};
use super::spread::Target;
use super::{BatchStatistics, reduce, spread};
use crate::layout::{check_length, workspace as floats};
use crate::memory::Parts;
use crate::{Cpu, Error, Layout};

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

impl<'a> Mask<'a> {
    /// Scale and shift, empty where there are none.
    pub(super) fn vectors(&self) -> [&'a [f32]; 2] {
        match self {
            Self::Recompute { scale, shift } => [scale, shift],
            _ => [&[], &[]],
        }
    }
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

impl Backward<'_> {
    /// Floats of workspace that [`Backward::run`] needs for maps that lie as `maps` says.
    pub fn workspace(maps: &Layout) -> usize {
        5 * maps.channels() + pass_workspace(maps)
    }

    /// Computes `dgamma`, `dbeta` and `dx`, and `g`, the gradient behind the ReLU, where it is asked for:
    /// what goes on to the residual. Two passes over `x`, `dy` and the mask. The borders of `dx` and `g`,
    /// and the lanes past the last channel, become 0. `g` may not lie as another layout than `dx`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long, [`Error::Shape`] where the
    /// maps are not blocked or not the same.
    pub fn run(
        &self,
        cpu: &Cpu,
        by: [&mut [f32]; 2],
        (dx, to): (&mut [f32], Layout),
        g: Option<&mut [f32]>,
        workspace: &mut [f32],
    ) -> Result<(), Error> {
        let workspace = floats(Self::workspace(&to), workspace)?;
        let (vectors, workspace) = workspace.split_at_mut(5 * to.channels());
        let (sums, factors) = vectors.split_at_mut(2 * to.channels());
        sum(self.x, (self.dy.0, self.dy.1), self.mask, &self.statistics.mean, sums).run(cpu, workspace)?;
        let parameters = Parameters { statistics: self.statistics, gamma: self.gamma, eps: self.eps };
        parameters.factors(sums, by, factors)?;
        let maps = Maps { x: self.x, dy: (Upstream::Read(self.dy.0), self.dy.1), mask: self.mask };
        spread::spread(cpu, &maps, factors, Target { dx: (dx, to), g, residual: None }, workspace)
    }
}

/// Floats of workspace that either pass needs alone.
pub(crate) fn pass_workspace(maps: &Layout) -> usize {
    reduce::workspace(maps).max(spread::workspace(maps))
}

/// What a normalisation is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) statistics: &'a BatchStatistics,
    pub(crate) gamma: &'a [f32],
    pub(crate) eps: f32,
}

impl Parameters<'_> {
    /// `dgamma`, `dbeta` and the factors `[a][b][c]` of `dx = a g + b x + c`, from the sums that [`Sum`] leaves
    /// of each group of images, `[group][2][channels]`, added up in their order.
    pub(crate) fn factors(
        &self,
        sums: &[f32],
        [dgamma, dbeta]: [&mut [f32]; 2],
        factors: &mut [f32],
    ) -> Result<(), Error> {
        let BatchStatistics { count, mean, variance } = self.statistics;
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
            let (factor, count) = (f64::from(self.gamma[channel]) * inverse, *count as f64);
            let slope = -factor * inverse * by_gamma / count;
            factors[channel] = factor as f32;
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

/// Of `dy`, which stays as it is.
pub(crate) fn sum<'a>(
    x: (&'a [f32], Layout),
    (dy, lies): (&'a [f32], Layout),
    mask: Mask<'a>,
    mean: &'a [f32],
    sums: &'a mut [f32],
) -> Sum<'a> {
    Sum { maps: Maps { x, dy: (Upstream::Read(dy), lies), mask }, mean, sums }
}

/// Of `dy`, which becomes `g`, behind the ReLU whose output is `y`.
pub(crate) fn gate<'a>(
    x: (&'a [f32], Layout),
    (dy, lies): (&'a mut [f32], Layout),
    y: (&'a [f32], Layout),
    mean: &'a [f32],
    sums: &'a mut [f32],
) -> Sum<'a> {
    let maps = Maps { x, dy: (Upstream::Gate(Parts::new(dy)), lies), mask: Mask::Output(y.0, y.1) };
    Sum { maps, mean, sums }
}

impl Sum<'_> {
    /// With [`pass_workspace`] floats of workspace.
    ///
    /// # Errors
    /// As for [`Backward::run`].
    pub(crate) fn run(self, cpu: &Cpu, workspace: &mut [f32]) -> Result<(), Error> {
        reduce::reduce(cpu, &self.maps, self.mean, self.sums, workspace)
    }
}

/// The second pass, `dx = a g + b x + c + residual`, on some images.
pub(crate) struct Spread<'a> {
    pub(crate) x: (&'a [f32], Layout),
    pub(crate) dy: (&'a [f32], Layout),
    pub(crate) mask: Mask<'a>,
    /// `[a][b][c]` of each channel.
    pub(crate) factors: &'a [f32],
    pub(crate) residual: Option<(&'a [f32], Layout)>,
}

impl Spread<'_> {
    /// With [`pass_workspace`] floats of workspace.
    ///
    /// # Errors
    /// As for [`Backward::run`].
    pub(crate) fn run(
        &self,
        cpu: &Cpu,
        dx: (&mut [f32], Layout),
        workspace: &mut [f32],
    ) -> Result<(), Error> {
        let maps = Maps { x: self.x, dy: (Upstream::Read(self.dy.0), self.dy.1), mask: self.mask };
        let target = Target { dx, g: None, residual: self.residual };
        spread::spread(cpu, &maps, self.factors, target, workspace)
    }
}
