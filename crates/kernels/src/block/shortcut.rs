//! `S(x)` and its gradient.

use super::forward::Input;
use super::parameters::LinkGradients;
use super::plan::{Block, Projection};
use super::run::{Held, Map, Run};
use super::shape::{Order, Shortcut};
use super::tape::Norm;
use crate::eltwise::{zero_pad, zero_pad_backward};
use crate::pool;
use crate::{Buffer, Epilogue, KernelError, Layout};

/// What the shortcut adds to the branch.
pub(super) struct Side<'a> {
    pub(super) maps: Held<'a>,
    pub(super) layout: Layout,
    /// What it is still to be normalised by.
    pub(super) norm: Option<&'a Norm>,
}

impl Block {
    /// `S(x)`, in pre-activation `S(h)` where it is not the identity: a projection goes to `projected` where
    /// it has a normalisation, whose statistics are taken.
    pub(super) fn shortcut<'a>(
        &self,
        run: &mut Run<'_>,
        (h, input): (&[f32], &Input<'a>),
        (projected, norm): (&'a mut Buffer, Option<&'a mut Norm>),
    ) -> Result<Option<Side<'a>>, KernelError> {
        let plain = |maps, layout| Some(Side { maps, layout, norm: None });
        if let Some(projection) = &self.projection {
            let link = input.parameters.link(self.links.len());
            let (step, none) = (&projection.step, Epilogue::default());
            let read = projection.read(run, (h, self.links[0].input))?;
            let Some(norm) = norm else {
                let mut s = run.scratch.take(step.output.len());
                step.ahead.forward(run, (&read, link.weights), &none, None, &mut s)?;
                read.release(run.scratch);
                return Ok(plain(Held::Own(s), step.output));
            };
            step.ahead.forward(run, (&read, link.weights), &none, Some(norm.sums()), projected)?;
            read.release(run.scratch);
            norm.set_from_sums()?;
            norm.fold(link, input.parameters.eps)?;
            return Ok(Some(Side { maps: Held::Lent(projected), layout: step.output, norm: Some(norm) }));
        }
        if let Some(padded) = self.padded(run, h)? {
            return Ok(plain(Held::Own(padded), self.y.with_border(0)?));
        }
        let identity = plain(Held::Lent(input.x), self.x);
        Ok(identity.filter(|_| self.shortcut == Shortcut::Identity))
    }

    /// The zero-padded shortcut's maps, where it is one.
    pub(super) fn padded(&self, run: &mut Run<'_>, h: &[f32]) -> Result<Option<Buffer>, KernelError> {
        let Some((stride, before)) = self.zero_pad() else { return Ok(None) };
        let to = self.y.with_border(0)?;
        let mut s = run.scratch.take(to.len());
        zero_pad(run.cpu, (h, self.links[0].input), stride, before, (&mut s, to))?;
        Ok(Some(s))
    }

    /// The channels of zeros before the input's in a zero-padded shortcut, and its stride.
    fn zero_pad(&self) -> Option<(usize, usize)> {
        let Shortcut::ZeroPad { stride } = self.shortcut else { return None };
        Some((stride, (self.y.channels() - self.x.channels()) / 2))
    }

    /// `(dS/dx)^T g`, in pre-activation by `h`: what is added to the branch's gradient where that is stored.
    /// `dz` is the gradient by what a projection gives.
    pub(super) fn shortcut_backward<'a>(
        &self,
        run: &mut Run<'_>,
        (h, weights): (&[f32], &[f32]),
        (dz, g): (&[f32], Map<'a>),
        by: Option<&mut LinkGradients<'_>>,
    ) -> Result<Option<(Held<'a>, Layout)>, KernelError> {
        if let (Some(projection), Some(by)) = (&self.projection, by) {
            let back = projection.backward(run, (h, self.links[0].input), (dz, weights), by.weights)?;
            return Ok(Some((Held::Own(back), self.links[0].dx.with_border(0)?)));
        }
        if let Some((stride, before)) = self.zero_pad() {
            let to = self.links[0].dx;
            let mut back = run.scratch.take(to.len());
            zero_pad_backward(run.cpu, g, stride, before, (&mut back, to))?;
            return Ok(Some((Held::Own(back), to)));
        }
        let adds = self.shortcut == Shortcut::Identity && self.order == Order::PostActivation;
        Ok(adds.then_some((Held::Lent(g.0), g.1)))
    }
}

impl Projection {
    /// What the convolution reads: `h`, or the mean of its pixels.
    pub(super) fn read<'a>(&self, run: &mut Run<'_>, h: Map<'a>) -> Result<Held<'a>, KernelError> {
        let Some(pooling) = &self.pooling else { return Ok(Held::Lent(h.0)) };
        let mut pooled = run.scratch.take(self.step.input.len());
        pool::average(run.cpu, pooling, h, (&mut pooled, self.step.input))?;
        Ok(Held::Own(pooled))
    }

    /// `dw`, and the gradient by `h`, without a border.
    fn backward(
        &self,
        run: &mut Run<'_>,
        h: Map<'_>,
        (dz, weights): (&[f32], &[f32]),
        dw: &mut [f32],
    ) -> Result<Buffer, KernelError> {
        let (step, to) = (&self.step, h.1.with_border(0)?);
        let read = self.read(run, h)?;
        step.by_weights(run, &read, dz, dw)?;
        read.release(run.scratch);
        let mut back = run.scratch.take(step.dx.len());
        step.by_input(run, (dz, weights), None, &mut back)?;
        let Some(pooling) = &self.pooling else { return Ok(back) };
        let mut dh = run.scratch.take(to.len());
        pool::average_backward(run.cpu, pooling, (&back, step.dx), (&mut dh, to))?;
        run.scratch.give(back);
        Ok(dh)
    }
}
