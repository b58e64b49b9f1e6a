//! `S(x)` and its gradient.

use super::forward::{Input, Source, Statistics};
use super::groups::Shares;
use super::plan::{Block, Projection};
use super::run::{Held, Map, Run};
use super::shape::{Order, Shortcut};
use super::step::BackWeights;
use super::tape::Norm;
use crate::eltwise::{zero_pad, zero_pad_backward};
use crate::pool;
use crate::{Buffer, Error, Layout};

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
        from: Source<'_>,
        input: &Input<'a>,
        (projected, norm, statistics): (&'a mut Buffer, Option<&'a mut Norm>, Statistics),
    ) -> Result<Option<Side<'a>>, Error> {
        let plain = |maps, layout| Some(Side { maps, layout, norm: None });
        if let Some(projection) = &self.projection {
            let link = input.parameters.link(self.links.len());
            let (step, layout) = (&projection.step, self.whole(projection.step.output)?);
            let of = (&step.ahead, link.weights);
            let read = |run: &mut Run<'_>, group: usize| {
                let h = self.reads(run, 0, group, from)?;
                projection.read(run, h, self.links[0].input)
            };
            let Some(norm) = norm else {
                let mut s = run.scratch.take(layout.len());
                self.convolve(run, of, read, None, (&mut s, None))?;
                return Ok(plain(Held::Own(s), layout));
            };
            let asked = (statistics == Statistics::Batch).then_some(&mut *norm);
            self.convolve(run, of, read, None, (projected, asked))?;
            if statistics == Statistics::Batch {
                norm.fold(link, input.parameters.eps)?;
            }
            return Ok(Some(Side { maps: Held::Lent(projected), layout, norm: Some(norm) }));
        }
        if let Some(padded) = self.padded(run, from)? {
            return Ok(plain(Held::Own(padded), self.y.with_border(0)?));
        }
        let identity = plain(Held::Lent(input.x), self.x);
        Ok(identity.filter(|_| self.shortcut == Shortcut::Identity))
    }

    /// The zero-padded shortcut's maps, where it is one.
    fn padded(&self, run: &mut Run<'_>, from: Source<'_>) -> Result<Option<Buffer>, Error> {
        let Some((stride, before)) = self.zero_pad() else { return Ok(None) };
        let to = self.y_of_group.with_border(0)?;
        let mut s = run.scratch.take(to.len() * self.groups.count);
        let shares = Shares::of(&mut s, to.len());
        self.groups.each(run, |run, group| {
            let h = self.reads(run, 0, group, from)?;
            zero_pad(run.cpu, (&h, self.links[0].input), stride, before, (&mut shares.take(group), to))?;
            h.release(run.scratch);
            Ok(())
        })?;
        Ok(Some(s))
    }

    /// The channels of zeros before the input's in a zero-padded shortcut, and its stride.
    pub(super) fn zero_pad(&self) -> Option<(usize, usize)> {
        let Shortcut::ZeroPad { stride } = self.shortcut else { return None };
        Some((stride, (self.y.channels() - self.x.channels()) / 2))
    }

    /// `(dS/dx)^T g` of a group through a shortcut without parameters, in pre-activation by `h`: what is added
    /// to the branch's gradient where that is stored.
    pub(super) fn shortcut_backward<'a>(
        &self,
        run: &mut Run<'_>,
        g: Map<'a>,
    ) -> Result<Option<(Held<'a>, Layout)>, Error> {
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
    pub(super) fn read<'a>(&self, run: &mut Run<'_>, h: Held<'a>, lies: Layout) -> Result<Held<'a>, Error> {
        let Some(pooling) = &self.pooling else { return Ok(h) };
        let to = self.step.input.with_batch(lies.batch())?;
        let mut pooled = run.scratch.take(to.len());
        pool::average(run.cpu, pooling, (&h, lies), (&mut pooled, to))?;
        h.release(run.scratch);
        Ok(Held::Own(pooled))
    }

    /// `dw` of a group.
    pub(super) fn by_weights(
        &self,
        run: &mut Run<'_>,
        h: Map<'_>,
        dz: &[f32],
        dw: &mut [f32],
    ) -> Result<(), Error> {
        let read = self.read(run, Held::Lent(h.0), h.1)?;
        self.step.by_weights(run, &read, dz, dw)?;
        read.release(run.scratch);
        Ok(())
    }

    /// The gradient by `h` of a group, which lies as `lies` says; without a border.
    pub(super) fn by_input(
        &self,
        run: &mut Run<'_>,
        lies: Layout,
        weights: (&[f32], BackWeights<'_>),
    ) -> Result<(Buffer, Layout), Error> {
        let (step, to) = (&self.step, lies.with_border(0)?);
        let mut back = run.scratch.take(step.dx.len());
        step.by_input(run, weights, None, &mut back)?;
        let Some(pooling) = &self.pooling else { return Ok((back, to)) };
        let mut dh = run.scratch.take(to.len());
        pool::average_backward(run.cpu, pooling, (&back, step.dx), (&mut dh, to))?;
        run.scratch.give(back);
        Ok((dh, to))
    }
}
