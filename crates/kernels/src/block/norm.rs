//! Batch normalisation with ReLU in a block: `a = R(scale z + shift)`, and its gradient `dz = a g + b z + c`.
//!
//! Forward, the statistics come from the sums that the convolution before has left, and are folded into a scale and a
//! shift. Backward, a first pass takes the sums of `g` and of `g (z - mean)`, `g = R'(a) da`; the gradients with
//! respect to scale and shift follow, and the factors of the second pass, which is [`Spread`].

use super::parameters::LinkParameters;
use super::resources::{Operand, Resources};
use crate::norm::{
    BatchStatistics, Mask, Parameters, Spread, Sum, apply, apply_workspace, pass_workspace, statistics,
};
use crate::{Buffer, Epilogue, Error, Layout, MapsMut, MapsRef, Sums};

/// A normalisation on the tape.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) statistics: BatchStatistics,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Norm {
    pub(super) fn zeroed(maps: &Layout) -> Self {
        let zeros = || vec![0.0; maps.channels()];
        Self { statistics: BatchStatistics::zeroed(maps), scale: zeros(), shift: zeros() }
    }

    /// Takes the statistics of `x` itself.
    pub(super) fn set_from_maps(&mut self, on: &mut Resources<'_>, x: MapsRef<'_>) -> Result<(), Error> {
        on.with(BatchStatistics::workspace(&x.layout), |cpu, workspace| {
            statistics(cpu, x.values, x.layout, &mut self.statistics, workspace)
        })
    }

    /// Takes the statistics from the sums of each group of images, `[group][sum, squares][channels]`, added up in
    /// their order.
    pub(super) fn set_from_sums(&mut self, groups: &[f32]) -> Result<(), Error> {
        let channels = self.scale.len();
        let total =
            |at: usize| groups.chunks_exact(2 * channels).map(|sums| f64::from(sums[at])).sum::<f64>();
        let mut totals: Vec<f32> = (0..2 * channels).map(|at| total(at) as f32).collect();
        let (sum, squares) = totals.split_at_mut(channels);
        self.statistics.set_from_sums(&Sums { sum, squares })
    }

    /// Folds the statistics, which are there, into scale and shift.
    pub(super) fn fold(&mut self, link: &LinkParameters<'_>, eps: f32) -> Result<(), Error> {
        self.statistics.fold([link.gamma, link.beta], eps, [&mut self.scale, &mut self.shift])
    }

    /// `a = R(N(z))`, in the layout `to` that the next convolution reads.
    pub(super) fn activate<'a>(
        &self,
        on: &mut Resources<'_>,
        z: MapsRef<'_>,
        to: Layout,
    ) -> Result<Operand<'a>, Error> {
        let mut a = on.scratch.take(to.len());
        let epilogue = self.epilogue(true);
        on.with(apply_workspace(&to), |cpu, workspace| {
            apply(cpu, z, &epilogue, MapsMut::new(&mut a, to), workspace)
        })?;
        Ok(Operand::Owned(a))
    }

    /// The normalisation as a convolution's epilogue.
    pub(super) fn epilogue(&self, relu: bool) -> Epilogue<'_> {
        Epilogue { scale: Some(&self.scale), shift: Some(&self.shift), residual: None, relu }
    }

    /// The ReLU behind the normalisation, computed again from its input.
    pub(super) fn relu(&self) -> Mask<'_> {
        Mask::Recompute { scale: &self.scale, shift: &self.shift }
    }

    /// The first pass of the gradient: `[sum of g][sum of g (z - mean)]` of each channel.
    pub(super) fn gradient_sums(
        &self,
        on: &mut Resources<'_>,
        z: MapsRef<'_>,
        da: MapsRef<'_>,
        mask: Mask<'_>,
        sums: &mut [f32],
    ) -> Result<(), Error> {
        let pass = Sum::new(z, da, mask, &self.statistics.mean, sums);
        on.with(pass_workspace(&da.layout), |cpu, workspace| pass.run(cpu, workspace))
    }

    /// Gradients with respect to scale and shift from the `sums` of the first pass, and the factors `[a][b][c]` of the
    /// second. Without gradients the statistics are constants, and `a` alone is not zero.
    pub(super) fn gradient_factors(
        &self,
        on: &mut Resources<'_>,
        sums: Buffer,
        of: &LinkParameters<'_>,
        eps: f32,
        gradients: Option<NormGradients<'_>>,
    ) -> Result<Buffer, Error> {
        let mut factors = on.scratch.take(3 * self.scale.len());
        match gradients {
            Some(NormGradients { gamma, beta }) => {
                let of = Parameters { statistics: &self.statistics, gamma: of.gamma, eps };
                of.factors(&sums, [gamma, beta], &mut factors)?;
            }
            None => {
                factors.fill(0.0);
                factors[..self.scale.len()].copy_from_slice(&self.scale);
            }
        }
        on.scratch.give(sums);
        Ok(factors)
    }
}

/// Destinations of the gradients with respect to scale and shift.
pub(super) struct NormGradients<'a> {
    pub(super) gamma: &'a mut [f32],
    pub(super) beta: &'a mut [f32],
}

/// The second pass of a normalisation's gradient on a group of images: `dz` in the layout `to`.
pub(super) fn spread<'a>(
    on: &mut Resources<'_>,
    pass: &Spread<'_>,
    to: Layout,
) -> Result<Operand<'a>, Error> {
    let mut dz = on.scratch.take(to.len());
    on.with(pass_workspace(&to), |cpu, workspace| pass.run(cpu, MapsMut::new(&mut dz, to), workspace))?;
    Ok(Operand::Owned(dz))
}
