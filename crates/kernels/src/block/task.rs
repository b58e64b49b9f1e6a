//! A convolution's gradients, for the groups of a batch.

use super::forward::{Input, Source};
use super::groups::{Shares, part};
use super::plan::Block;
use super::run::{Held, Map, Run};
use super::step::BackWeights;
use super::tape::Tape;
use crate::norm::{Mask, Spread, pass_workspace, sum};
use crate::{Error, Layout};

/// What the backward pass reads.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) tape: &'a Tape,
    /// Whether the statistics and the parameters are constants: the gradient by the input alone is computed.
    pub(super) frozen: bool,
}

/// The gradient behind a convolution's normalisation and ReLU, and what leads from there to the gradient by what
/// the convolution gives; without factors it is that.
pub(super) struct Above<'a> {
    /// Of the whole batch; `None` where it is `g`.
    pub(super) up: Option<&'a [f32]>,
    /// How a group of it lies.
    pub(super) lies: Layout,
    pub(super) mask: Mask<'a>,
    pub(super) factors: Option<&'a [f32]>,
}

/// Where the gradient by what a convolution reads goes.
pub(super) enum Below<'a> {
    /// To the normalisation before, whose sums are taken.
    Norm {
        index: usize,
        da: Shares<'a>,
        sums: Shares<'a>,
    },
    /// It is the gradient by the block's input.
    Input(Shares<'a>),
    /// The same, in place of `g`.
    OverG,
    Nothing,
}

/// The gradient behind the join, `g = dy act'(y)`.
pub(super) enum Joined<'a> {
    Read(&'a [f32]),
    /// Each group's own, to be written over.
    Shares(Shares<'a>),
}

/// What the shortcut's gradient is made of, beside `g`.
pub(super) struct Beside<'a> {
    /// The factors of the projection's normalisation.
    pub(super) factors: Option<&'a [f32]>,
    pub(super) packed: Option<BackWeights<'a>>,
    pub(super) dw: &'a Shares<'a>,
}

/// The ReLU behind normalisation `index`.
pub(super) fn relu(given: Given<'_>, index: usize) -> Mask<'_> {
    let norm = &given.tape.norms[index];
    Mask::Recompute { scale: &norm.scale, shift: &norm.shift }
}

/// A convolution's gradients, for the groups of a batch.
pub(super) struct Task<'a> {
    pub(super) block: &'a Block,
    pub(super) given: Given<'a>,
    pub(super) index: usize,
    pub(super) above: &'a Above<'a>,
    pub(super) g: &'a Joined<'a>,
    pub(super) below: &'a Below<'a>,
    pub(super) packed: Option<BackWeights<'a>>,
    pub(super) dw: &'a Shares<'a>,
    pub(super) beside: Beside<'a>,
}

impl Task<'_> {
    pub(super) fn run(&self, run: &mut Run<'_>, group: usize) -> Result<(), Error> {
        let (block, tape) = (self.block, self.given.tape);
        let (step, lies) = (&block.links[self.index], block.y_of_group);
        let mut over = match self.g {
            Joined::Shares(shares) => Some(shares.take(group)),
            Joined::Read(_) => None,
        };
        let g = match (self.g, &over) {
            (Joined::Read(g), _) => part(g, lies, group),
            (_, Some(over)) => (&over[..], lies),
            (_, None) => (&[][..], lies),
        };
        let dz = self.dz(run, group, g)?;
        let from = Source { x: self.given.input.x, norms: &tape.norms, written: &tape.written };
        let a = block.reads(run, self.index, group, from)?;
        if !self.given.frozen {
            step.by_weights(run, &a, &dz, &mut self.dw.take(group))?;
        }
        let other = if self.index == 0 { self.other(run, group, &a, g)? } else { None };
        a.release(run.scratch);
        let Some(packed) = self.packed else {
            dz.release(run.scratch);
            return Ok(());
        };
        let residual = other.as_ref().map(|(maps, layout)| (&maps[..], *layout));
        let back = ((&dz[..], packed), residual);
        let mut fresh = None;
        match self.below {
            Below::Nothing => {}
            Below::Input(dx) => step.by_input(run, back.0, back.1, &mut dx.take(group))?,
            Below::OverG => {
                let dx = fresh.insert(run.scratch.take(step.dx.len()));
                step.by_input(run, back.0, back.1, dx)?;
            }
            Below::Norm { index, da, sums } => {
                let mut da = da.take(group);
                step.by_input(run, back.0, back.1, &mut da)?;
                if !self.given.frozen {
                    self.sums(run, group, (*index, &da), &mut sums.take(group))?;
                }
            }
        }
        dz.release(run.scratch);
        other.into_iter().for_each(|(maps, _)| maps.release(run.scratch));
        if let (Some(over), Some(dx)) = (&mut over, fresh) {
            over.copy_from_slice(&dx);
            run.scratch.give(dx);
        }
        Ok(())
    }

    /// The gradient by what the convolution gives.
    fn dz<'g>(&self, run: &mut Run<'_>, group: usize, g: Map<'g>) -> Result<Held<'g>, Error>
    where
        Self: 'g,
    {
        let (above, step) = (self.above, &self.block.links[self.index]);
        let up = above.up.map_or(g, |up| part(up, above.lies, group));
        let Some(factors) = above.factors else { return Ok(Held::Lent(up.0)) };
        let z = part(&self.given.tape.written[self.index], step.output, group);
        let pass = Spread { x: z, dy: up, mask: above.mask, factors, residual: None };
        let mut dz = run.scratch.take(step.dy.len());
        run.with(pass_workspace(&step.dy), |cpu, workspace| pass.run(cpu, (&mut dz, step.dy), workspace))?;
        Ok(Held::Own(dz))
    }

    /// `(dS/dx)^T g`, where it is added to the branch's gradient as that is stored.
    fn other<'g>(
        &self,
        run: &mut Run<'_>,
        group: usize,
        h: &[f32],
        g: Map<'g>,
    ) -> Result<Option<(Held<'g>, Layout)>, Error> {
        let Some(projection) = &self.block.projection else {
            let wanted = self.packed.is_some();
            return if wanted { self.block.shortcut_backward(run, g) } else { Ok(None) };
        };
        let step = &projection.step;
        let dz = match self.beside.factors {
            Some(factors) => {
                let z = part(&self.given.tape.projected, step.output, group);
                let pass = Spread { x: z, dy: g, mask: Mask::None, factors, residual: None };
                let mut dz = run.scratch.take(step.dy.len());
                run.with(pass_workspace(&step.dy), |cpu, workspace| {
                    pass.run(cpu, (&mut dz, step.dy), workspace)
                })?;
                Held::Own(dz)
            }
            None => Held::Lent(g.0),
        };
        let h = (h, self.block.links[0].input);
        if !self.given.frozen {
            projection.by_weights(run, h, &dz, &mut self.beside.dw.take(group))?;
        }
        let packed = self.beside.packed;
        let back = packed.map(|packed| projection.by_input(run, h.1, (&dz, packed))).transpose()?;
        dz.release(run.scratch);
        Ok(back.map(|(maps, layout)| (Held::Own(maps), layout)))
    }

    /// The sums for the gradient of the normalisation before, while what they are of is at hand.
    fn sums(
        &self,
        run: &mut Run<'_>,
        group: usize,
        (norm, da): (usize, &[f32]),
        sums: &mut [f32],
    ) -> Result<(), Error> {
        let (block, tape) = (self.block, self.given.tape);
        let x = match self.index.checked_sub(1) {
            Some(below) => part(&tape.written[below], block.links[below].output, group),
            None => part(self.given.input.x, block.x_of_group, group),
        };
        let lies = block.links[self.index].dx;
        let mean = &tape.norms[norm].statistics.mean;
        let pass = sum(x, (da, lies), relu(self.given, norm), mean, sums);
        run.with(pass_workspace(&lies), |cpu, workspace| pass.run(cpu, workspace))
    }
}
