//! Join of a block, `y = act(f N(z) + S)`, and its gradient `g = act'(y) dy`.

use super::branch::BranchGradient;
use super::convolve::{Activations, ConvForward};
use super::gate::BranchOutput;
use super::parameters::BlockGradients;
use super::pass::{BackwardPass, ForwardPass, Input};
use super::plan::Block;
use super::resources::Resources;
use super::shape::Order;
use super::shortcut::ShortcutOutput;
use super::tape::Gate;
use crate::eltwise::{Join, ScaledResidual};
use crate::norm::{Mask, Sum, pass_workspace};
use crate::{Error, MapsMut, MapsRef};

/// Both paths of a block where they meet.
#[derive(Clone, Copy)]
pub(super) struct JoinOperands<'a> {
    pub(super) branch: BranchOutput<'a>,
    pub(super) shortcut: Option<&'a ShortcutOutput<'a>>,
}

impl ForwardPass<'_> {
    /// `y = R(f N(z) + S)` of a post-activation block.
    pub(super) fn join_normalised(
        &self,
        on: &mut Resources<'_>,
        from: Activations<'_>,
        gate: &mut Gate,
        shortcut: Option<&ShortcutOutput<'_>>,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let (block, last) = (self.block, self.block.links.len() - 1);
        let z = MapsRef::new(&from.written[last], block.whole(block.last().layouts.output)?);
        let branch = BranchOutput { z, norm: Some(&from.norms[last]) };
        block.gate_and_join(on, self.input, JoinOperands { branch, shortcut }, gate, y)
    }

    /// `y = f w * a + S` of a pre-activation block, whose last convolution is part of the join.
    pub(super) fn join_convolved(
        &self,
        on: &mut Resources<'_>,
        from: Activations<'_>,
        gate: &mut Gate,
        shortcut: Option<&ShortcutOutput<'_>>,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let block = self.block;
        let (layer, last) = (block.last(), block.links.len() - 1);
        let weights = self.input.parameters.link(last).weights;
        let read = |on: &mut Resources<'_>, group: usize| block.conv_input(on, last, group, from);
        let mut conv = ConvForward { conv: &layer.forward, weights, residual: None };
        if !block.is_gated(self.input) {
            let of_group = |shortcut: &ShortcutOutput<'_>| shortcut.layout.with_batch(block.groups.images);
            if let Some(shortcut) = shortcut {
                conv.residual = Some(MapsRef::new(&shortcut.maps, of_group(shortcut)?));
            }
            return block.convolve(on, &conv, read, y, None);
        }
        let (mut fresh, layout) = (None, block.whole(layer.layouts.output)?);
        let z = if block.squeeze.is_some() {
            &from.written[last]
        } else {
            let z = fresh.insert(on.scratch.take(layout.len()));
            block.convolve(on, &conv, read, z, None)?;
            z
        };
        let branch = BranchOutput { z: MapsRef::new(z, layout), norm: None };
        block.gate_and_join(on, self.input, JoinOperands { branch, shortcut }, gate, y)?;
        fresh.into_iter().for_each(|buffer| on.scratch.give(buffer));
        Ok(())
    }
}

impl Block {
    /// `y = act(f N(z) + S)`, with `f` from the gate.
    pub(super) fn gate_and_join(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        of: JoinOperands<'_>,
        gate: &mut Gate,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let factors = self.gate(on, input, of.branch, gate)?;
        self.join(on, of, factors.as_deref(), y)?;
        factors.into_iter().for_each(|factors| on.scratch.give(factors));
        Ok(())
    }

    /// `y = act(f N(z) + S)` in one pass; `f` is 1 without `factors`.
    fn join(
        &self,
        on: &mut Resources<'_>,
        of: JoinOperands<'_>,
        factors: Option<&[f32]>,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let JoinOperands { branch, shortcut } = of;
        let channels = self.y.channels();
        let [mut scale, mut shift] = [0, 1].map(|_| on.scratch.take(self.y.batch() * channels));
        for (at, (scale, shift)) in scale.iter_mut().zip(&mut *shift).enumerate() {
            let (factor, channel) = (factors.map_or(1.0, |factors| factors[at]), at % channels);
            let [a, b] = branch.norm.map_or([1.0, 0.0], |norm| [norm.scale[channel], norm.shift[channel]]);
            let beside = shortcut.and_then(|shortcut| shortcut.norm).map_or(0.0, |norm| norm.shift[channel]);
            (*scale, *shift) = (factor * a, factor * b + beside);
        }
        let residual = shortcut.map(|shortcut| ScaledResidual {
            maps: MapsRef::new(&shortcut.maps, shortcut.layout),
            factor: shortcut.norm.map(|norm| &norm.scale[..]),
        });
        let relu = self.order == Order::PostActivation;
        let join = Join { scale: &scale, shift: &shift, residual, relu };
        join.run(on.cpu, branch.z, MapsMut::new(y, self.y))?;
        [scale, shift].into_iter().for_each(|vector| on.scratch.give(vector));
        Ok(())
    }
}

impl BackwardPass<'_> {
    /// Gradient behind the join: `dy` becomes `g`, and through the gate `df`. Without a shortcut and a gate,
    /// the ReLU is left to the second pass of the last normalisation.
    pub(super) fn join(
        &self,
        on: &mut Resources<'_>,
        y: &[f32],
        dy: &mut [f32],
        gradients: &mut BlockGradients<'_>,
    ) -> Result<BranchGradient, Error> {
        let (block, last) = (self.block, self.block.links.len() - 1);
        let gated = block.is_gated(self.input);
        let df = gated.then(|| self.gate(on, y, &mut *dy, gradients.squeeze.as_mut())).transpose()?;
        if block.order == Order::PreActivation {
            return Ok(BranchGradient { behind: df, factors: None });
        }
        let (norm, layout) = (&self.tape.norms[last], block.whole(block.last().layouts.output)?);
        let z = MapsRef::new(&self.tape.written[last], layout);
        let mut sums = on.scratch.take(2 * norm.scale.len());
        match &df {
            Some(df) => {
                norm.gradient_sums(on, z, MapsRef::new(df, block.y), Mask::None, &mut sums)?;
            }
            None if !block.reads_output(self.input) => {
                norm.gradient_sums(on, z, MapsRef::new(dy, block.y), norm.relu(), &mut sums)?;
            }
            None => {
                let (dy, y) = (MapsMut::new(dy, block.y), MapsRef::new(y, block.y));
                let pass = Sum::gating(z, dy, y, &norm.statistics.mean, &mut sums);
                on.with(pass_workspace(&layout), |cpu, workspace| pass.run(cpu, workspace))?;
            }
        }
        let factors = self.norm_factors(on, last, sums, gradients)?;
        Ok(BranchGradient { behind: df, factors: Some(factors) })
    }
}
