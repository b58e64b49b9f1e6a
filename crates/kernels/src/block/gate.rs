//! Gate of a branch: squeeze-and-excitation and stochastic depth, `f[n, c] = depth[n] sigmoid(W2 relu(W1 m + b1) +
//! b2)`, `m = mean(N(z))`, and the gradient `df = f g + e` of what it multiplies.

use super::norm::Norm;
use super::parameters::SqueezeGradients;
use super::pass::{BackwardPass, Input};
use super::plan::Block;
use super::resources::Resources;
use super::shape::Order;
use super::tape::Gate;
use crate::eltwise::{Join, gated_sums};
use crate::linear::{Linear, LinearBackward, LinearGradients};
use crate::norm::{apply, apply_workspace};
use crate::pool::global_average;
use crate::{Buffer, Epilogue, Error, MapsMut, MapsRef};

/// Output of the last convolution of a branch.
#[derive(Clone, Copy)]
pub(super) struct BranchOutput<'a> {
    pub(super) z: MapsRef<'a>,
    /// Normalisation that is still to be applied to it.
    pub(super) norm: Option<&'a Norm>,
}

/// The linear layers of a squeeze-and-excitation.
struct SqueezeLayers {
    reduce: Linear,
    expand: Linear,
}

impl Block {
    fn squeeze_layers(&self, middle: usize) -> SqueezeLayers {
        let (batch, channels) = (self.y.batch(), self.y.channels());
        SqueezeLayers {
            reduce: Linear { batch, ins: channels, outs: middle },
            expand: Linear { batch, ins: middle, outs: channels },
        }
    }

    /// Presence of a gate: true where the branch is multiplied by anything.
    pub(super) fn is_gated(&self, input: &Input<'_>) -> bool {
        self.squeeze.is_some() || input.depth.is_some()
    }

    /// `f`, `[batch, channels]`; none where the branch is multiplied by nothing.
    pub(super) fn gate(
        &self,
        on: &mut Resources<'_>,
        input: &Input<'_>,
        branch: BranchOutput<'_>,
        gate: &mut Gate,
    ) -> Result<Option<Buffer>, Error> {
        if !self.is_gated(input) {
            return Ok(None);
        }
        if let (Some(middle), Some(by)) = (self.squeeze, &input.parameters.squeeze) {
            let channels = self.y.channels();
            global_average(on.cpu, branch.z, &mut gate.mean)?;
            if let Some(norm) = branch.norm {
                // The mean goes through the normalisation, an affine map.
                for row in gate.mean.chunks_exact_mut(channels) {
                    let affine = norm.scale.iter().zip(&norm.shift);
                    row.iter_mut().zip(affine).for_each(|(mean, (a, b))| *mean = a * *mean + b);
                }
            }
            let SqueezeLayers { reduce, expand } = self.squeeze_layers(middle);
            reduce.forward(on.cpu, &gate.mean, by.reduce[0], by.reduce[1], &mut gate.middle)?;
            gate.middle.iter_mut().for_each(|h| *h = if *h < 0.0 { 0.0 } else { *h });
            expand.forward(on.cpu, &gate.middle, by.expand[0], by.expand[1], &mut gate.gate)?;
            gate.gate.iter_mut().for_each(|u| *u = 1.0 / (1.0 + (-*u).exp()));
        }
        Ok(Some(self.factors(on, input, gate)))
    }

    /// `f` from the sigmoids, which are there.
    fn factors(&self, on: &mut Resources<'_>, input: &Input<'_>, gate: &Gate) -> Buffer {
        let channels = self.y.channels();
        let mut factors = on.scratch.take(self.y.batch() * channels);
        for (at, factor) in factors.iter_mut().enumerate() {
            let depth = input.depth.map_or(1.0, |depth| depth[at / channels]);
            *factor = gate.gate.get(at).map_or(depth, |gate| depth * gate);
        }
        factors
    }
}

/// Vectors of a gate's gradient, `[batch, channels]`.
struct GateSums<'a> {
    /// `sum of g z` over the pixels; becomes `e`.
    e: &'a mut [f32],
    /// `sum of g` over the pixels.
    total: &'a [f32],
}

impl BackwardPass<'_> {
    /// `df = f g + e`, where `e` is what the branch receives through its mean. `dy` becomes `g` where there is a ReLU.
    pub(super) fn gate(
        &self,
        on: &mut Resources<'_>,
        y: &[f32],
        dy: &mut [f32],
        gradients: Option<&mut SqueezeGradients<'_>>,
    ) -> Result<Buffer, Error> {
        let (block, layout, last) = (self.block, self.block.y, self.block.links.len() - 1);
        let [mut e, mut total] = [0, 1].map(|_| on.scratch.take(layout.batch() * layout.channels()));
        if block.order == Order::PostActivation || block.squeeze.is_some() {
            self.gate_sums(on, y, dy, [&mut e, &mut total])?;
        }
        let norm = block.norm_after(last).map(|index| &self.tape.norms[index]);
        self.squeeze(on, norm, GateSums { e: &mut e, total: &total }, gradients)?;
        let factors = block.factors(on, self.input, &self.tape.gate);
        let mut df = on.scratch.take(layout.len());
        let join = Join { scale: &factors, shift: &e, residual: None, relu: false };
        join.run(on.cpu, MapsRef::new(dy, layout), MapsMut::new(&mut df, layout))?;
        [e, total, factors].into_iter().for_each(|vector| on.scratch.give(vector));
        Ok(df)
    }

    /// `sum of g z` and `sum of g` over the pixels of each channel of each image; `dy` becomes `g` where there is a
    /// ReLU.
    fn gate_sums(
        &self,
        on: &mut Resources<'_>,
        y: &[f32],
        dy: &mut [f32],
        sums: [&mut [f32]; 2],
    ) -> Result<(), Error> {
        let (block, layout, last) = (self.block, self.block.y, self.block.links.len() - 1);
        let rectified = block.order == Order::PostActivation;
        let z = MapsRef::new(&self.tape.written[last], block.whole(block.last().layouts.output)?);
        let mut g = on.scratch.take(if rectified { layout.len() } else { 0 });
        let behind = rectified.then_some(MapsMut::new(&mut g, layout));
        let y = rectified.then_some(MapsRef::new(y, layout));
        gated_sums(on.cpu, z, MapsRef::new(dy, layout), y, behind, sums)?;
        if rectified {
            on.with(apply_workspace(&layout), |cpu, workspace| {
                let (g, dy) = (MapsRef::new(&g, layout), MapsMut::new(dy, layout));
                apply(cpu, g, &Epilogue::default(), dy, workspace)
            })?;
        }
        on.scratch.give(g);
        Ok(())
    }

    /// Gradient with respect to the mean of the branch through the gate, over the pixels that it is the mean of:
    /// `e[n, c] = dm / pixels`.
    fn squeeze(
        &self,
        on: &mut Resources<'_>,
        norm: Option<&Norm>,
        sums: GateSums<'_>,
        gradients: Option<&mut SqueezeGradients<'_>>,
    ) -> Result<(), Error> {
        let (block, input, gate) = (self.block, self.input, &self.tape.gate);
        let GateSums { e, total } = sums;
        let (Some(middle), Some(parameters), Some(by)) =
            (block.squeeze, &input.parameters.squeeze, gradients)
        else {
            e.fill(0.0);
            return Ok(());
        };
        let channels = block.y.channels();
        // du = depth (sum of g N(z)) s (1 - s), where N(z) = a z + b.
        for (at, (e, total)) in e.iter_mut().zip(total).enumerate() {
            let [a, b] =
                norm.map_or([1.0, 0.0], |norm| [norm.scale[at % channels], norm.shift[at % channels]]);
            let depth = input.depth.map_or(1.0, |depth| depth[at / channels]);
            let s = gate.gate[at];
            *e = depth * (a * *e + b * *total) * s * (1.0 - s);
        }
        let mut dh = on.scratch.take(gate.middle.len());
        let SqueezeLayers { reduce, expand } = block.squeeze_layers(middle);
        let [dw, db] = &mut by.expand;
        let read = LinearBackward { x: &gate.middle, weights: parameters.expand[0], dy: e };
        expand.backward(on.cpu, read, LinearGradients { dx: Some(&mut dh), dw, db })?;
        dh.iter_mut().zip(&gate.middle).for_each(|(dh, &h)| *dh = if h > 0.0 { *dh } else { 0.0 });
        let [dw, db] = &mut by.reduce;
        let read = LinearBackward { x: &gate.mean, weights: parameters.reduce[0], dy: &dh };
        reduce.backward(on.cpu, read, LinearGradients { dx: Some(&mut *e), dw, db })?;
        on.scratch.give(dh);
        let pixels = (block.y.height() * block.y.width()) as f32;
        e.iter_mut().for_each(|e| *e /= pixels);
        Ok(())
    }
}
