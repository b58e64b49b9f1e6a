//! `y = act(F(x) + S(x))`

use super::parameters::BlockParameters;
use super::plan::Block;
use super::run::{Held, Map, MapMut, Run};
use super::shape::Order;
use super::shortcut::Side;
use super::tape::{Norm, Tape};
use crate::eltwise::{Beside, Join};
use crate::layout::check_length;
use crate::norm::{BatchStatistics, statistics};
use crate::{Buffer, Cpu, Epilogue, KernelError, Scratch};

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

impl Block {
    /// Computes `y` with the batch's own statistics, and leaves on the tape what the backward pass reads.
    ///
    /// # Errors
    /// [`KernelError::Length`] where a slice is too short or too long, [`KernelError::Shape`] where parameters
    /// or tape are another block's.
    pub fn forward(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        tape: &mut Tape,
        y: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.check_input(input, y.len())?;
        self.check_tape(tape)?;
        let run = &mut Run { cpu, scratch };
        let Tape { written, projected, norms, gate } = tape;
        let (norms, beside) = norms.split_at_mut(self.links.len());
        let h = self.enter(run, input, norms)?;
        self.branch(run, &h, input.parameters, norms, written)?;
        let side = self.shortcut(run, (&h, input), (projected, beside.first_mut()))?;
        match self.order {
            Order::PostActivation => {
                let z = (&written[self.links.len() - 1][..], self.last().output);
                let norm = &norms[self.links.len() - 1];
                let factors = self.factors(run, input, (z, Some(norm)), gate)?;
                self.join(run, (z, Some(norm)), factors.as_deref(), side.as_ref(), (y, self.y))?;
                factors.into_iter().for_each(|factors| run.scratch.give(factors));
            }
            Order::PreActivation => {
                let a = self.reads(run, self.links.len() - 1, &h, (norms, written))?;
                self.close(run, (&a, input), (&written[self.links.len() - 1], gate), side.as_ref(), y)?;
                a.release(run.scratch);
            }
        }
        side.into_iter().for_each(|side| side.maps.release(run.scratch));
        h.release(run.scratch);
        Ok(())
    }

    pub(super) fn check_input(&self, input: &Input<'_>, y: usize) -> Result<(), KernelError> {
        self.check_parameters(input.parameters)?;
        self.x.check("the block's input", input.x.len())?;
        self.y.check("the block's output", y)?;
        input.depth.map_or(Ok(()), |depth| check_length("the branches' factors", self.y.batch(), depth.len()))
    }

    /// What the branch begins with: `x`, or in pre-activation `h = R(N(x))`.
    fn enter<'a>(
        &self,
        run: &mut Run<'_>,
        input: &Input<'a>,
        norms: &mut [Norm],
    ) -> Result<Held<'a>, KernelError> {
        if self.order == Order::PostActivation {
            return Ok(Held::Lent(input.x));
        }
        let norm = &mut norms[0];
        run.with(BatchStatistics::workspace(&self.x), |cpu, workspace| {
            statistics(cpu, input.x, self.x, &mut norm.statistics, workspace)
        })?;
        norm.fold(input.parameters.link(0), input.parameters.eps)?;
        self.normalised(run, norm, (input.x, self.x), 0)
    }

    /// What convolution `index` reads, `R(N(x))`.
    pub(super) fn normalised<'a>(
        &self,
        run: &mut Run<'_>,
        norm: &Norm,
        x: Map<'_>,
        index: usize,
    ) -> Result<Held<'a>, KernelError> {
        let to = self.links[index].input;
        let mut a = run.scratch.take(to.len());
        norm.apply(run, x, None, true, (&mut a, to))?;
        Ok(Held::Own(a))
    }

    /// What convolution `index` reads, from what the one before wrote: `h`, then `R(N(z))`.
    pub(super) fn reads<'a>(
        &self,
        run: &mut Run<'_>,
        index: usize,
        h: &'a [f32],
        (norms, written): (&[Norm], &[Buffer]),
    ) -> Result<Held<'a>, KernelError> {
        match (index.checked_sub(1), self.norm_before(index)) {
            (Some(below), Some(norm)) => {
                let z = (&written[below][..], self.links[below].output);
                self.normalised(run, &norms[norm], z, index)
            }
            _ => Ok(Held::Lent(h)),
        }
    }

    /// `z = conv(a)` and the statistics of `z`, one convolution after the other; without the last where that
    /// gives the block's output.
    fn branch(
        &self,
        run: &mut Run<'_>,
        h: &[f32],
        parameters: &BlockParameters<'_>,
        norms: &mut [Norm],
        written: &mut [Buffer],
    ) -> Result<(), KernelError> {
        for (index, step) in self.links.iter().enumerate().filter(|&(index, _)| self.writes(index)) {
            let a = self.reads(run, index, h, (norms, written))?;
            let (weights, z) = (parameters.links[index].weights, &mut written[index]);
            let none = Epilogue::default();
            match self.norm_after(index) {
                Some(after) => {
                    let norm = &mut norms[after];
                    step.ahead.forward(run, (&a, weights), &none, Some(norm.sums()), z)?;
                    norm.set_from_sums()?;
                    norm.fold(&parameters.links[after], parameters.eps)?;
                }
                None => step.ahead.forward(run, (&a, weights), &none, None, z)?,
            }
            a.release(run.scratch);
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
    ) -> Result<(), KernelError> {
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
