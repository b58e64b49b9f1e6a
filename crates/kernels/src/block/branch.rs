//! Branch of a block, `F(x)`: `z = w * R(N(z))`, one convolution after the other, forward and backward.

use super::convolve::{Activations, ConvForward};
use super::group_backward::{ConvBackward, ConvOutputGradient, DataGradientTarget, JoinGradient};
use super::groups::{GroupSlices, part};
use super::norm::Norm;
use super::parameters::BlockGradients;
use super::pass::{BackwardPass, ForwardPass, Gradients, InputGradient, StatisticsSource};
use super::resources::Resources;
use super::shape::{Order, Shortcut};
use crate::norm::{Mask, Spread, pass_workspace};
use crate::{Buffer, Error, MapsMut, MapsRef, Scratch};

impl ForwardPass<'_> {
    /// `z = w * a` and the statistics of `z`, one convolution after the other; without the last where that
    /// gives the block's output.
    pub(super) fn branch(
        &self,
        on: &mut Resources<'_>,
        norms: &mut [Norm],
        written: &mut [Buffer],
    ) -> Result<(), Error> {
        let (block, parameters) = (self.block, self.input.parameters);
        for (index, layer) in block.links.iter().enumerate().filter(|&(index, _)| block.writes(index)) {
            let (before, after) = norms.split_at_mut(block.norm_after(index).unwrap_or(norms.len()));
            let (below, z) = written.split_at_mut(index);
            let from = Activations { x: self.input.x, norms: before, written: below };
            let weights = parameters.links[index].weights;
            let read = |on: &mut Resources<'_>, group: usize| block.conv_input(on, index, group, from);
            let mut norm = after.first_mut().filter(|_| self.statistics == StatisticsSource::Batch);
            let conv = ConvForward { conv: &layer.forward, weights, residual: None };
            block.convolve(on, &conv, read, &mut z[0], norm.as_deref_mut())?;
            if let (Some(norm), Some(after)) = (norm, block.norm_after(index)) {
                norm.fold(&parameters.links[after], parameters.eps)?;
            }
        }
        Ok(())
    }
}

/// Gradient on its way down a branch: with respect to the output of a normalisation, and how it goes on from there.
#[derive(Default)]
pub(super) struct BranchGradient {
    /// Gradient behind the normalisation and ReLU that follow a convolution; none where it is `g`.
    pub(super) behind: Option<Buffer>,
    /// Factors of the second pass through that normalisation; none where there is none.
    pub(super) factors: Option<Buffer>,
}

impl BranchGradient {
    pub(super) fn release(self, scratch: &mut Scratch) {
        [self.behind, self.factors].into_iter().flatten().for_each(|buffer| scratch.give(buffer));
    }
}

/// The branch's part of a backward pass.
#[derive(Clone, Copy)]
pub(super) struct BranchBackward<'a> {
    pub(super) pass: BackwardPass<'a>,
    /// Factors of the second pass through the projection's normalisation, where it has one.
    pub(super) projection_factors: Option<&'a [f32]>,
}

impl BranchBackward<'_> {
    /// `(dF/dx)^T df + (dS/dx)^T g`, from the last convolution down; `dy` is `g`.
    pub(super) fn run(
        &self,
        on: &mut Resources<'_>,
        mut from: BranchGradient,
        dy: &mut [f32],
        gradients: Gradients<'_, '_>,
    ) -> Result<(), Error> {
        let block = self.pass.block;
        let Gradients { parameters, x } = gradients;
        // A post-activation block's first convolution reads `x` itself.
        let normalised = usize::from(block.order == Order::PostActivation)..block.links.len();
        for index in normalised.rev() {
            let next = self.inner_conv(on, index, &from, dy, parameters)?;
            std::mem::replace(&mut from, next).release(on.scratch);
        }
        match block.order {
            Order::PreActivation => self.first_norm(on, &from, dy, x)?,
            Order::PostActivation => self.first_conv(on, &from, dy, Gradients { parameters, x })?,
        }
        from.release(on.scratch);
        Ok(())
    }

    /// Gradient through convolution `index`, to the normalisation before it.
    fn inner_conv(
        &self,
        on: &mut Resources<'_>,
        index: usize,
        from: &BranchGradient,
        g: &[f32],
        gradients: &mut BlockGradients<'_>,
    ) -> Result<BranchGradient, Error> {
        let block = self.pass.block;
        let (norm, layer) = (block.norm_before(index).unwrap_or(0), &block.links[index]);
        let count = block.groups.count;
        let (of_group, sums_of_group) = (layer.layouts.dx.len(), 2 * layer.layouts.dx.channels());
        let mut da = on.scratch.take(count * of_group);
        let mut sums = on.scratch.take(count * sums_of_group);
        let target = DataGradientTarget::Norm {
            index: norm,
            da: GroupSlices::new(&mut da, of_group),
            sums: GroupSlices::new(&mut sums, sums_of_group),
        };
        self.conv(index, from, JoinGradient::Read(g), target).run(on, gradients)?;
        let factors = self.pass.norm_factors(on, norm, sums, gradients)?;
        Ok(BranchGradient { behind: Some(da), factors: Some(factors) })
    }

    /// Gradient through a post-activation block's first convolution, to `dx`.
    fn first_conv(
        &self,
        on: &mut Resources<'_>,
        from: &BranchGradient,
        dy: &mut [f32],
        gradients: Gradients<'_, '_>,
    ) -> Result<(), Error> {
        let block = self.pass.block;
        let (g, target) = match gradients.x {
            InputGradient::Unwanted => (JoinGradient::Read(dy), DataGradientTarget::Unwanted),
            InputGradient::To(dx) => {
                let dx = GroupSlices::new(dx, block.x_of_group.len());
                (JoinGradient::Read(dy), DataGradientTarget::Input(dx))
            }
            InputGradient::OverDy => {
                let dy = GroupSlices::new(dy, block.y_of_group.len());
                (JoinGradient::Overwrite(dy), DataGradientTarget::OverG)
            }
        };
        self.conv(0, from, g, target).run(on, gradients.parameters)
    }

    /// Convolution `index`, with the gradient that comes `from` above.
    fn conv<'a>(
        &'a self,
        index: usize,
        from: &'a BranchGradient,
        g: JoinGradient<'a>,
        target: DataGradientTarget<'a>,
    ) -> ConvBackward<'a> {
        let (pass, block) = (self.pass, self.pass.block);
        let layout = block.links.get(index + 1).map_or(block.y_of_group, |next| next.layouts.dx);
        let mask = match block.norm_after(index) {
            // Behind the join, the ReLU has been seen to where the output was read.
            Some(last) if index + 1 == block.links.len() && !block.reads_output(pass.input) => {
                pass.tape.norms[last].relu()
            }
            Some(norm) if index + 1 < block.links.len() => pass.tape.norms[norm].relu(),
            _ => Mask::None,
        };
        let dz = ConvOutputGradient {
            behind: from.behind.as_deref(),
            layout,
            mask,
            factors: from.factors.as_deref(),
        };
        ConvBackward { pass, index, dz, g, projection_factors: self.projection_factors, target }
    }

    /// Gradient of `h = R(N(x))` of a pre-activation block, back to `x`, where the identity's gradient is added.
    fn first_norm(
        &self,
        on: &mut Resources<'_>,
        from: &BranchGradient,
        dy: &mut [f32],
        dx: InputGradient<'_>,
    ) -> Result<(), Error> {
        let (Some(dh), Some(factors)) = (&from.behind, &from.factors) else { return Ok(()) };
        let (pass, block) = (self.pass, self.pass.block);
        let (layout, of_h) = (block.x_of_group, block.links[0].layouts.dx);
        let backward = |on: &mut Resources<'_>, group: usize, g: &[f32], dx: &mut [f32]| {
            let identity = block.shortcut == Shortcut::Identity;
            let residual = identity.then_some(MapsRef::new(g, block.y_of_group));
            let (x, dy) = (part(pass.input.x, layout, group), part(dh, of_h, group));
            let spread = Spread { x, dy, mask: pass.tape.norms[0].relu(), factors, residual };
            on.with(pass_workspace(&layout), |cpu, workspace| {
                spread.run(cpu, MapsMut::new(dx, layout), workspace)
            })
        };
        match dx {
            InputGradient::Unwanted => Ok(()),
            InputGradient::To(dx) => {
                let slices = GroupSlices::new(dx, layout.len());
                block.groups.each(on, |on, group| {
                    let g = part(dy, block.y_of_group, group).values;
                    backward(on, group, g, &mut slices.take(group))
                })
            }
            InputGradient::OverDy => {
                let slices = GroupSlices::new(dy, layout.len());
                block.groups.each(on, |on, group| {
                    let (mut dx, mut over) = (on.scratch.take(layout.len()), slices.take(group));
                    backward(on, group, &over, &mut dx)?;
                    over.copy_from_slice(&dx);
                    on.scratch.give(dx);
                    Ok(())
                })
            }
        }
    }
}
