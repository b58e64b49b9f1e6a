//! `y = act(F(x) + S(x))` with running statistics: nothing is kept.

use super::forward::Input;
use super::plan::Block;
use super::run::{Held, Map, Run};
use super::shape::{Order, Shortcut};
use super::shortcut::Side;
use super::tape::{Gate, Norm};
use crate::eltwise::zero_pad;
use crate::layout::check_length;
use crate::{Cpu, Epilogue, Error, Layout, Scratch};

/// The running statistics of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The mean of each channel.
    pub mean: &'a [f32],
    /// The variance of each channel.
    pub variance: &'a [f32],
}

impl Running<'_> {
    /// A normalisation with these statistics in place of a batch's.
    fn norm(&self, maps: &Layout) -> Result<Norm, Error> {
        check_length("a running mean", maps.channels(), self.mean.len())?;
        check_length("a running variance", maps.channels(), self.variance.len())?;
        let mut norm = Norm::zeroed(maps);
        norm.statistics.mean.copy_from_slice(self.mean);
        norm.statistics.variance.copy_from_slice(self.variance);
        Ok(norm)
    }
}

impl Block {
    /// Computes `y` with `running` statistics, one for each normalisation, the projection's last. Every
    /// normalisation is a scale and a shift in the convolution's epilogue: one pass, and nothing is kept.
    ///
    /// # Errors
    /// As for [`Block::forward`].
    pub fn evaluate(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        running: &[Running<'_>],
        y: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        self.check_input(input, y.len())?;
        let norms = self.folded(input, running)?;
        let run = &mut Run { cpu, scratch };
        let h = match self.order {
            Order::PostActivation => Held::Lent(input.x),
            Order::PreActivation => {
                self.normalised(run, &norms[0], (input.x, self.x), self.whole(self.links[0].input)?)?
            }
        };
        let side = self.side(run, (&h, input), norms.get(self.links.len()))?;
        let a = self.inside(run, h, input, &norms)?;
        self.finish(run, (&a, input), &norms, side.as_ref(), y)?;
        side.map(|side| side.maps).into_iter().chain([a]).for_each(|maps| maps.release(run.scratch));
        Ok(())
    }

    /// The normalisations with these statistics.
    pub(super) fn folded(&self, input: &Input<'_>, running: &[Running<'_>]) -> Result<Vec<Norm>, Error> {
        check_length("the running statistics", self.normalised.len(), running.len())?;
        let folded = |(index, (running, maps)): (usize, (&Running<'_>, &Layout))| {
            let mut norm = running.norm(maps)?;
            norm.fold(input.parameters.link(index), input.parameters.eps)?;
            Ok(norm)
        };
        running.iter().zip(&self.normalised).enumerate().map(folded).collect()
    }

    /// `S(x)`, normalised.
    fn side<'a>(
        &self,
        run: &mut Run<'_>,
        (h, input): (&[f32], &Input<'a>),
        norm: Option<&Norm>,
    ) -> Result<Option<Side<'a>>, Error> {
        let side = |maps, layout| Some(Side { maps, layout, norm: None });
        let read = self.whole(self.links[0].input)?;
        if let (Some(projection), Some(ahead)) = (&self.projection, &self.straight_projection) {
            let weights = input.parameters.link(self.links.len()).weights;
            let read = projection.read(run, Held::Lent(h), read)?;
            let mut s = run.scratch.take(ahead.conv.output().len());
            ahead.forward(run, (&read, weights), &affine(norm, false), &mut s)?;
            read.release(run.scratch);
            return Ok(side(Held::Own(s), *ahead.conv.output()));
        }
        if let Some((stride, before)) = self.zero_pad() {
            let to = self.y.with_border(0)?;
            let mut s = run.scratch.take(to.len());
            zero_pad(run.cpu, (h, read), stride, before, (&mut s, to))?;
            return Ok(side(Held::Own(s), to));
        }
        Ok(side(Held::Lent(input.x), self.x).filter(|_| self.shortcut == Shortcut::Identity))
    }

    /// `a = R(N(conv(a)))` up to what the last convolution reads.
    fn inside<'a>(
        &self,
        run: &mut Run<'_>,
        h: Held<'a>,
        input: &Input<'_>,
        norms: &[Norm],
    ) -> Result<Held<'a>, Error> {
        let mut a = h;
        for (index, pair) in self.links.windows(2).enumerate() {
            // What the next convolution reads, border and all.
            let to = self.whole(pair[1].input)?;
            let mut next = run.scratch.take(to.len());
            let norm = self.norm_after(index).map(|after| &norms[after]);
            let weights = input.parameters.links[index].weights;
            self.straight[index].forward(run, (&a, weights), &affine(norm, true), &mut next)?;
            std::mem::replace(&mut a, Held::Own(next)).release(run.scratch);
        }
        Ok(a)
    }

    /// `y = act(f N(conv(a)) + S)`
    fn finish(
        &self,
        run: &mut Run<'_>,
        (a, input): (&[f32], &Input<'_>),
        norms: &[Norm],
        side: Option<&Side<'_>>,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let (last, weights) = (self.links.len() - 1, input.parameters.link(self.links.len() - 1).weights);
        let norm = self.norm_after(last).map(|after| &norms[after]);
        if !self.is_gated(input) {
            let residual = side.map(|side| (&side.maps[..], side.layout));
            let relu = self.order == Order::PostActivation;
            let sum = Epilogue { residual, ..affine(norm, relu) };
            return self.straight[last].forward(run, (a, weights), &sum, y);
        }
        let mut z = run.scratch.take(self.y.len());
        self.straight[last].forward(run, (a, weights), &affine(norm, false), &mut z)?;
        let maps: Map<'_> = (&z, self.y);
        let mut gate = self.squeeze.map_or_else(Gate::default, |middle| Gate::zeroed(&self.y, middle));
        let factors = self.factors(run, input, (maps, None), &mut gate)?;
        self.join(run, (maps, None), factors.as_deref(), side, (y, self.y))?;
        factors.into_iter().chain([z]).for_each(|buffer| run.scratch.give(buffer));
        Ok(())
    }
}

/// A normalisation as a convolution's epilogue.
fn affine(norm: Option<&Norm>, relu: bool) -> Epilogue<'_> {
    let [scale, shift] = [norm.map(|norm| &norm.scale[..]), norm.map(|norm| &norm.shift[..])];
    Epilogue { scale, shift, residual: None, relu }
}
