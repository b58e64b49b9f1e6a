//! `y = act(F(x) + S(x))`

use super::groups::{Shares, part};
use super::parameters::BlockParameters;
use super::plan::Block;
use super::run::{Held, Map, MapMut, Run};
use super::shape::Order;
use super::shortcut::Side;
use super::step::Ahead;
use super::tape::{Norm, Tape};
use crate::eltwise::{Beside, Join};
use crate::layout::check_length;
use crate::norm::{BatchStatistics, statistics};
use crate::{Buffer, Cpu, Epilogue, Error, Layout, Scratch, Sums};

/// What a block is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its input, as [`Block::x`] says.
    pub x: &'a [f32],
    /// Its parameters.
    pub parameters: &'a BlockParameters<'a>,
    /// Stochastic depth (Huang et al. 2016): the factor of each image's branch, `[batch]`.
    pub depth: Option<&'a [f32]>,
}

/// Which statistics the normalisations have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistics {
    /// The batch's own.
    Batch,
    /// Those on the tape, which are folded.
    OnTape,
}

/// What the convolutions of a branch read, and where from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) x: &'a [f32],
    pub(super) norms: &'a [Norm],
    /// What each convolution gave.
    pub(super) written: &'a [Buffer],
}

impl Block {
    /// Computes `y` with the batch's own statistics, and leaves on the tape what the backward pass reads.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is too short or too long, [`Error::Shape`] where parameters
    /// or tape are another block's.
    pub fn forward(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        tape: &mut Tape,
        y: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        self.check_input(input, y.len())?;
        self.check_tape(tape)?;
        self.forward_with(&mut Run { cpu, scratch }, input, (tape, Statistics::Batch), y)
    }

    /// The forward pass with the statistics of the batch, or those that are on the tape.
    pub(super) fn forward_with(
        &self,
        run: &mut Run<'_>,
        input: &Input<'_>,
        (tape, statistics): (&mut Tape, Statistics),
        y: &mut [f32],
    ) -> Result<(), Error> {
        let Tape { written, projected, norms, gate } = tape;
        let (norms, beside) = norms.split_at_mut(self.links.len());
        if (self.order, statistics) == (Order::PreActivation, Statistics::Batch) {
            self.enter(run, input, norms)?;
        }
        self.branch(run, input, (norms, statistics), written)?;
        let from = Source { x: input.x, norms, written };
        let side = self.shortcut(run, from, input, (projected, beside.first_mut(), statistics))?;
        match self.order {
            Order::PostActivation => {
                let last = self.links.len() - 1;
                let (z, norm) = ((&written[last][..], self.whole(self.last().output)?), &norms[last]);
                let factors = self.factors(run, input, (z, Some(norm)), gate)?;
                self.join(run, (z, Some(norm)), factors.as_deref(), side.as_ref(), (y, self.y))?;
                factors.into_iter().for_each(|factors| run.scratch.give(factors));
            }
            Order::PreActivation => self.close(run, (from, input), gate, side.as_ref(), y)?,
        }
        side.into_iter().for_each(|side| side.maps.release(run.scratch));
        Ok(())
    }

    pub(super) fn check_input(&self, input: &Input<'_>, y: usize) -> Result<(), Error> {
        self.check_parameters(input.parameters)?;
        self.x.check("the block's input", input.x.len())?;
        self.y.check("the block's output", y)?;
        input.depth.map_or(Ok(()), |depth| check_length("the branches' factors", self.y.batch(), depth.len()))
    }

    /// The statistics of `x` in pre-activation, where the branch begins with `h = R(N(x))`.
    fn enter(&self, run: &mut Run<'_>, input: &Input<'_>, norms: &mut [Norm]) -> Result<(), Error> {
        let norm = &mut norms[0];
        run.with(BatchStatistics::workspace(&self.x), |cpu, workspace| {
            statistics(cpu, input.x, self.x, &mut norm.statistics, workspace)
        })?;
        norm.fold(input.parameters.link(0), input.parameters.eps)
    }

    /// `R(N(x))`, as a convolution reads it.
    pub(super) fn normalised<'a>(
        &self,
        run: &mut Run<'_>,
        norm: &Norm,
        x: Map<'_>,
        to: Layout,
    ) -> Result<Held<'a>, Error> {
        let mut a = run.scratch.take(to.len());
        norm.apply(run, x, None, true, (&mut a, to))?;
        Ok(Held::Own(a))
    }

    /// What convolution `index` reads of a group: `x` or `h`, then `R(N(z))`.
    pub(super) fn reads<'a>(
        &self,
        run: &mut Run<'_>,
        index: usize,
        group: usize,
        from: Source<'a>,
    ) -> Result<Held<'a>, Error> {
        let x = match index.checked_sub(1) {
            Some(below) => part(&from.written[below], self.links[below].output, group),
            None => part(from.x, self.x_of_group, group),
        };
        match self.norm_before(index) {
            Some(norm) => self.normalised(run, &from.norms[norm], x, self.links[index].input),
            None => Ok(Held::Lent(x.0)),
        }
    }

    /// `z = conv(a) + residual` group by group, where `read` gives `a` and a group of the residual lies as it
    /// says; and the statistics of `z` where they are asked for.
    pub(super) fn convolve<'a>(
        &self,
        run: &mut Run<'_>,
        (ahead, weights): (&Ahead, &[f32]),
        read: impl Fn(&mut Run<'_>, usize) -> Result<Held<'a>, Error> + Sync,
        residual: Option<Map<'_>>,
        (z, norm): (&mut [f32], Option<&mut Norm>),
    ) -> Result<(), Error> {
        let channels = ahead.conv.shape().out_channels;
        let summed = norm.is_some();
        let mut sums = run.scratch.take(if summed { 2 * channels * self.groups.count } else { 0 });
        let (z, sums_of) = (Shares::of(z, ahead.conv.output().len()), Shares::of(&mut sums, 2 * channels));
        ahead.packed(run, weights, |run, packed| {
            self.groups.each(run, |run, group| {
                let residual = residual.map(|(maps, of_group)| part(maps, of_group, group));
                let epilogue = Epilogue { residual, ..Epilogue::default() };
                let a = read(run, group)?;
                let z = &mut z.take(group);
                if summed {
                    let mut sums = sums_of.take(group);
                    let (sum, squares) = sums.split_at_mut(channels);
                    ahead.run(run, (&a, packed), &epilogue, Some(Sums { sum, squares }), z)?;
                } else {
                    ahead.run(run, (&a, packed), &epilogue, None, z)?;
                }
                a.release(run.scratch);
                Ok(())
            })
        })?;
        norm.map_or(Ok(()), |norm| norm.set_from_sums(&sums))?;
        run.scratch.give(sums);
        Ok(())
    }

    /// `z = conv(a)` and the statistics of `z`, one convolution after the other; without the last where that
    /// gives the block's output.
    fn branch(
        &self,
        run: &mut Run<'_>,
        input: &Input<'_>,
        (norms, statistics): (&mut [Norm], Statistics),
        written: &mut [Buffer],
    ) -> Result<(), Error> {
        for (index, step) in self.links.iter().enumerate().filter(|&(index, _)| self.writes(index)) {
            let (before, after) = norms.split_at_mut(self.norm_after(index).unwrap_or(norms.len()));
            let (below, z) = written.split_at_mut(index);
            let from = Source { x: input.x, norms: before, written: below };
            let weights = input.parameters.links[index].weights;
            let read = |run: &mut Run<'_>, group: usize| self.reads(run, index, group, from);
            let mut norm = after.first_mut().filter(|_| statistics == Statistics::Batch);
            let into = (&mut z[0][..], norm.as_deref_mut());
            self.convolve(run, (&step.ahead, weights), read, None, into)?;
            if let (Some(norm), Some(after)) = (norm, self.norm_after(index)) {
                norm.fold(&input.parameters.links[after], input.parameters.eps)?;
            }
        }
        Ok(())
    }

    /// Which normalisation follows convolution `index` of the branch; none a pre-activation block's last.
    pub(super) fn norm_after(&self, index: usize) -> Option<usize> {
        match self.order {
            Order::PostActivation => Some(index),
            Order::PreActivation => Some(index + 1).filter(|&after| after < self.links.len()),
        }
    }

    /// `y = act(f N(z) + S)` in one pass: `f` is 1 without `factors`.
    pub(super) fn join(
        &self,
        run: &mut Run<'_>,
        (z, norm): (Map<'_>, Option<&Norm>),
        factors: Option<&[f32]>,
        side: Option<&Side<'_>>,
        y: MapMut<'_>,
    ) -> Result<(), Error> {
        let channels = self.y.channels();
        let [mut scale, mut shift] = [0, 1].map(|_| run.scratch.take(self.y.batch() * channels));
        for (at, (scale, shift)) in scale.iter_mut().zip(&mut *shift).enumerate() {
            let (factor, channel) = (factors.map_or(1.0, |factors| factors[at]), at % channels);
            let [a, b] = norm.map_or([1.0, 0.0], |norm| [norm.scale[channel], norm.shift[channel]]);
            let beside = side.and_then(|side| side.norm).map_or(0.0, |norm| norm.shift[channel]);
            (*scale, *shift) = (factor * a, factor * b + beside);
        }
        let residual = side.map(|side| Beside {
            maps: (&side.maps[..], side.layout),
            factor: side.norm.map(|norm| &norm.scale[..]),
        });
        let relu = self.order == Order::PostActivation;
        Join { scale: &scale, shift: &shift, residual, relu }.run(run.cpu, z, y)?;
        [scale, shift].into_iter().for_each(|vector| run.scratch.give(vector));
        Ok(())
    }
}
