//! What the branch is multiplied by: squeeze-and-excitation and stochastic depth.

use super::forward::{Input, Source};
use super::parameters::SqueezeGradients;
use super::plan::Block;
use super::run::{Map, Run};
use super::tape::{Gate, Norm};
use crate::linear::Linear;
use crate::pool::global_average;
use crate::{Buffer, Error};

use super::shortcut::Side;

impl Block {
    /// The two linear layers, for a middle of so many channels.
    fn layers(&self, middle: usize) -> [Linear; 2] {
        let (batch, channels) = (self.y.batch(), self.y.channels());
        [Linear { batch, ins: channels, outs: middle }, Linear { batch, ins: middle, outs: channels }]
    }

    /// Whether the branch is multiplied by anything.
    pub(super) fn is_gated(&self, input: &Input<'_>) -> bool {
        self.squeeze.is_some() || input.depth.is_some()
    }

    /// `f[n, c] = depth[n] sigmoid(W2 relu(W1 mean(N(z)) + b1) + b2)`, `[batch, channels]`; `None` where
    /// the branch is multiplied by nothing.
    pub(super) fn factors(
        &self,
        run: &mut Run<'_>,
        input: &Input<'_>,
        (z, norm): (Map<'_>, Option<&Norm>),
        gate: &mut Gate,
    ) -> Result<Option<Buffer>, Error> {
        if !self.is_gated(input) {
            return Ok(None);
        }
        if let (Some(middle), Some(by)) = (self.squeeze, &input.parameters.squeeze) {
            let channels = self.y.channels();
            global_average(run.cpu, z, &mut gate.mean)?;
            if let Some(norm) = norm {
                // The mean goes through the normalisation, an affine map.
                for row in gate.mean.chunks_exact_mut(channels) {
                    let affine = norm.scale.iter().zip(&norm.shift);
                    row.iter_mut().zip(affine).for_each(|(mean, (a, b))| *mean = a * *mean + b);
                }
            }
            let [reduce, expand] = self.layers(middle);
            reduce.forward(run.cpu, &gate.mean, by.reduce[0], by.reduce[1], &mut gate.middle)?;
            gate.middle.iter_mut().for_each(|h| *h = if *h < 0.0 { 0.0 } else { *h });
            expand.forward(run.cpu, &gate.middle, by.expand[0], by.expand[1], &mut gate.gate)?;
            gate.gate.iter_mut().for_each(|u| *u = 1.0 / (1.0 + (-*u).exp()));
        }
        Ok(Some(self.gated(run, input, gate)))
    }

    /// `f` from the gate, which is there.
    pub(super) fn gated(&self, run: &mut Run<'_>, input: &Input<'_>, gate: &Gate) -> Buffer {
        let channels = self.y.channels();
        let mut factors = run.scratch.take(self.y.batch() * channels);
        for (at, factor) in factors.iter_mut().enumerate() {
            let depth = input.depth.map_or(1.0, |depth| depth[at / channels]);
            *factor = gate.gate.get(at).map_or(depth, |gate| depth * gate);
        }
        factors
    }

    /// The last convolution of a pre-activation block and the join: `y = f conv(a) + S`.
    pub(super) fn close(
        &self,
        run: &mut Run<'_>,
        (from, input): (Source<'_>, &Input<'_>),
        gate: &mut Gate,
        side: Option<&Side<'_>>,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let (step, last) = (self.last(), self.links.len() - 1);
        let conv = (&step.ahead, input.parameters.link(last).weights);
        let read = |run: &mut Run<'_>, group: usize| self.reads(run, last, group, from);
        if !self.is_gated(input) {
            let of_group = |side: &Side<'_>| side.layout.with_batch(self.groups.images);
            let residual = side.map(|side| Ok((&*side.maps, of_group(side)?))).transpose()?;
            return self.convolve(run, conv, read, residual, (y, None));
        }
        let (mut fresh, layout) = (None, self.whole(step.output)?);
        let z = if self.squeeze.is_some() {
            &from.written[last]
        } else {
            let z = fresh.insert(run.scratch.take(layout.len()));
            self.convolve(run, conv, read, None, (z, None))?;
            z
        };
        let z = (&z[..], layout);
        let factors = self.factors(run, input, (z, None), gate)?;
        self.join(run, (z, None), factors.as_deref(), side, (y, self.y))?;
        factors.into_iter().chain(fresh).for_each(|buffer| run.scratch.give(buffer));
        Ok(())
    }

    /// What the mean of the branch receives through the gate, over the pixels that it is the mean of:
    /// `e[n, c] = dm / pixels`. `sums` are `sum of g z` and `sum of g` over the pixels of each channel of each
    /// image, and become `e` and nothing.
    pub(super) fn squeeze_backward(
        &self,
        run: &mut Run<'_>,
        input: &Input<'_>,
        (gate, norm): (&Gate, Option<&Norm>),
        sums: [&mut [f32]; 2],
        by: Option<&mut SqueezeGradients<'_>>,
    ) -> Result<(), Error> {
        let [e, total] = sums;
        let (Some(middle), Some(parameters), Some(by)) = (self.squeeze, &input.parameters.squeeze, by) else {
            e.fill(0.0);
            return Ok(());
        };
        let channels = self.y.channels();
        // du = depth (sum of g N(z)) s (1 - s), where N(z) = a z + b.
        for (at, (e, total)) in e.iter_mut().zip(total).enumerate() {
            let [a, b] =
                norm.map_or([1.0, 0.0], |norm| [norm.scale[at % channels], norm.shift[at % channels]]);
            let depth = input.depth.map_or(1.0, |depth| depth[at / channels]);
            let s = gate.gate[at];
            *e = depth * (a * *e + b * *total) * s * (1.0 - s);
        }
        let mut dh = run.scratch.take(gate.middle.len());
        let [reduce, expand] = self.layers(middle);
        let [dw, db] = &mut by.expand;
        expand.backward(run.cpu, (&gate.middle, parameters.expand[0], e), Some(&mut dh), dw, db)?;
        dh.iter_mut().zip(&gate.middle).for_each(|(dh, &h)| *dh = if h > 0.0 { *dh } else { 0.0 });
        let [dw, db] = &mut by.reduce;
        reduce.backward(run.cpu, (&gate.mean, parameters.reduce[0], &dh), Some(&mut *e), dw, db)?;
        run.scratch.give(dh);
        let pixels = (self.y.height() * self.y.width()) as f32;
        e.iter_mut().for_each(|e| *e /= pixels);
        Ok(())
    }
}
