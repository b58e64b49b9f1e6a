//! `dx = (dF/dx)^T dy + (dS/dx)^T dy`

use super::forward::Input;
use super::groups::{Shares, part, summed};
use super::parameters::BlockGradients;
use super::plan::Block;
use super::run::Run;
use super::shape::{Order, Policy, Shortcut, wrong};
use super::step::BackWeights;
use super::tape::Tape;
use super::task::{Above, Below, Beside, Given, Joined, Task, relu};
use crate::eltwise::{Join, gated_sums};
use crate::norm::{Mask, Parameters, Spread, apply, apply_workspace, gate, pass_workspace, sum};
use crate::{Buffer, Cpu, Epilogue, Error, Scratch};

/// A block's output, and the gradient by it.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// The output, as [`Block::y`] says; filled again with [`Policy::Recompute`].
    pub y: &'a mut [f32],
    /// The gradient by it, which lies as it does. It is used up: any values are left in it, or what
    /// [`InputGradient::OverDy`] says.
    pub dy: &'a mut [f32],
}

/// Where the gradient by a block's input goes.
#[derive(Debug)]
pub enum InputGradient<'a> {
    /// It is not computed: the first layer's input is data.
    Unwanted,
    /// To memory of its own, as [`Block::x`] says.
    To(&'a mut [f32]),
    /// To the memory of the gradient by the output, for a block whose input and output lie alike.
    OverDy,
}

impl Block {
    /// Computes the gradients by the parameters and by `x`, from `dy`, the gradient by `y`. With
    /// [`Policy::Keep`] the tape and `y` are what the forward pass left; with [`Policy::Recompute`] both
    /// are filled again.
    ///
    /// # Errors
    /// As for [`Block::forward`]; [`Error::Shape`] where `dx` is to lie over a `dy` that lies otherwise.
    #[expect(clippy::too_many_arguments, reason = "the forward's, and the gradients that go")]
    pub fn backward(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        outputs: Outputs<'_>,
        tape: &mut Tape,
        gradients: &mut BlockGradients<'_>,
        dx: InputGradient<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        if self.policy == Policy::Recompute {
            self.forward(cpu, input, tape, outputs.y, scratch)?;
        }
        self.backward_from_tape(cpu, input, (outputs.y, outputs.dy), tape, gradients, dx, scratch)
    }

    /// The same from a tape and an output that are there, whatever the policy: neither is written, and the output
    /// may be empty where it is not [read](Block::reads_output).
    ///
    /// # Errors
    /// As for [`Block::backward`].
    #[expect(clippy::too_many_arguments, reason = "as for `backward`")]
    pub fn backward_from_tape(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        (y, dy): (&[f32], &mut [f32]),
        tape: &Tape,
        gradients: &mut BlockGradients<'_>,
        dx: InputGradient<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let unread = y.is_empty() && !self.reads_output(input);
        self.check_input(input, if unread { self.y.len() } else { y.len() })?;
        self.check_gradients(input.parameters, gradients)?;
        self.check_tape(tape)?;
        self.y.check("the gradient by the block's output", dy.len())?;
        self.check_input_gradient(&dx)?;
        let given = Given { input, tape, frozen: false };
        self.backward_with(&mut Run { cpu, scratch }, given, (y, dy), gradients, dx)
    }

    /// The backward pass; all has been checked.
    pub(super) fn backward_with(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (y, dy): (&[f32], &mut [f32]),
        gradients: &mut BlockGradients<'_>,
        dx: InputGradient<'_>,
    ) -> Result<(), Error> {
        let (mut up, mut factors) = self.join_backward(run, given, (y, dy), gradients)?;
        let beside = self.projected_backward(run, given, dy, gradients)?;
        // A post-activation block's first convolution reads `x` itself.
        let normalised = usize::from(self.order == Order::PostActivation)..self.links.len();
        for index in normalised.rev() {
            let above = self.above(given, index, (up.as_deref(), factors.as_deref()));
            let (da, next) = self.inner(run, given, (index, &above), (dy, beside.as_deref()), gradients)?;
            let spent = [up.replace(da), factors.replace(next)];
            spent.into_iter().flatten().for_each(|buffer| run.scratch.give(buffer));
        }
        match (self.order, &up, &factors) {
            (Order::PreActivation, Some(dh), Some(factors)) => {
                self.leave(run, given, (dh, factors), (dy, dx))?;
            }
            _ => {
                let above = self.above(given, 0, (up.as_deref(), factors.as_deref()));
                self.first(run, given, &above, (dy, beside.as_deref()), (gradients, dx))?;
            }
        }
        [up, factors, beside].into_iter().flatten().for_each(|buffer| run.scratch.give(buffer));
        Ok(())
    }

    /// Whether the backward pass reads the block's output: as the mask of the ReLU behind an addition. Without a
    /// shortcut, what the last convolution gives says the same.
    pub fn reads_output(&self, input: &Input<'_>) -> bool {
        let joined = self.shortcut != Shortcut::None || self.is_gated(input);
        joined && self.order == Order::PostActivation
    }

    pub(super) fn check_input_gradient(&self, dx: &InputGradient<'_>) -> Result<(), Error> {
        match dx {
            InputGradient::Unwanted => Ok(()),
            _ if self.x.block() == 1 => Err(wrong("planar maps have no gradient".into())),
            InputGradient::To(dx) => self.x.check("the gradient by the block's input", dx.len()),
            InputGradient::OverDy if self.x == self.y => Ok(()),
            InputGradient::OverDy => {
                let reason = format!("its input lies as {:?} and its output as {:?}", self.x, self.y);
                Err(wrong(format!("{reason}: the gradients cannot share memory")))
            }
        }
    }

    /// From the output to behind the join: `dy` becomes `g`, through the gate it becomes `df`, which is
    /// returned; and the factors of the last normalisation's gradient in post-activation.
    fn join_backward(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (y, dy): (&[f32], &mut [f32]),
        gradients: &mut BlockGradients<'_>,
    ) -> Result<(Option<Buffer>, Option<Buffer>), Error> {
        let last = self.links.len() - 1;
        let gated = self.is_gated(given.input);
        let df = gated.then(|| self.gate_backward(run, given, (y, &mut *dy), gradients)).transpose()?;
        if self.order == Order::PreActivation {
            return Ok((df, None));
        }
        let z = (&given.tape.written[last][..], self.whole(self.last().output)?);
        let mean = &given.tape.norms[last].statistics.mean;
        let mut sums = run.scratch.take(2 * mean.len());
        let pass = match &df {
            Some(df) => sum(z, (df, self.y), Mask::None, mean, &mut sums),
            None if !self.reads_output(given.input) => {
                sum(z, (dy, self.y), relu(given, last), mean, &mut sums)
            }
            None => gate(z, (dy, self.y), (y, self.y), mean, &mut sums),
        };
        run.with(pass_workspace(&z.1), |cpu, workspace| pass.run(cpu, workspace))?;
        let factors = self.norm_factors(run, given, (last, sums), gradients)?;
        Ok((df, Some(factors)))
    }

    /// Through the gate, `df = f g + e`, where `e` is what the branch receives through its mean. `dy` becomes
    /// `g` where there is a ReLU.
    fn gate_backward(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (y, dy): (&[f32], &mut [f32]),
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Buffer, Error> {
        let (lies, last) = (self.y, self.links.len() - 1);
        let rectified = self.order == Order::PostActivation;
        let [mut e, mut total] = [0, 1].map(|_| run.scratch.take(lies.batch() * lies.channels()));
        if rectified || self.squeeze.is_some() {
            let z = (&given.tape.written[last][..], self.whole(self.last().output)?);
            let mut g = run.scratch.take(if rectified { lies.len() } else { 0 });
            let behind = rectified.then_some((&mut g[..], lies));
            let y = rectified.then_some((y, lies));
            gated_sums(run.cpu, z, (dy, lies), y, behind, [&mut e, &mut total])?;
            if rectified {
                run.with(apply_workspace(&lies), |cpu, workspace| {
                    apply(cpu, (&g, lies), &Epilogue::default(), (&mut *dy, lies), workspace)
                })?;
            }
            run.scratch.give(g);
        }
        let norm = self.norm_after(last).map(|index| &given.tape.norms[index]);
        let (gate, by) = (&given.tape.gate, gradients.squeeze.as_mut());
        self.squeeze_backward(run, given.input, (gate, norm), [&mut e, &mut total], by)?;
        let factors = self.gated(run, given.input, gate);
        let mut df = run.scratch.take(lies.len());
        let join = Join { scale: &factors, shift: &e, residual: None, relu: false };
        join.run(run.cpu, (dy, lies), (&mut df, lies))?;
        [e, total, factors].into_iter().for_each(|vector| run.scratch.give(vector));
        Ok(df)
    }

    /// The factors of a projection's normalisation, where it has one.
    fn projected_backward(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        g: &[f32],
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Option<Buffer>, Error> {
        let index = self.links.len();
        let (Some(projection), Some(norm)) = (&self.projection, given.tape.norms.get(index)) else {
            return Ok(None);
        };
        let z = (&given.tape.projected[..], self.whole(projection.step.output)?);
        let mean = &norm.statistics.mean;
        let mut sums = run.scratch.take(2 * mean.len());
        let pass = sum(z, (g, self.y), Mask::None, mean, &mut sums);
        run.with(pass_workspace(&z.1), |cpu, workspace| pass.run(cpu, workspace))?;
        self.norm_factors(run, given, (index, sums), gradients).map(Some)
    }

    /// The gradients by the parameters of normalisation `index`, and the factors of that by its input.
    fn norm_factors(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (index, sums): (usize, Buffer),
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Buffer, Error> {
        let (norm, parameters) = (&given.tape.norms[index], given.input.parameters);
        let mut factors = run.scratch.take(3 * norm.scale.len());
        if given.frozen {
            // A constant factor.
            factors.fill(0.0);
            factors[..norm.scale.len()].copy_from_slice(&norm.scale);
            run.scratch.give(sums);
            return Ok(factors);
        }
        let of = Parameters {
            statistics: &norm.statistics,
            gamma: parameters.link(index).gamma,
            eps: parameters.eps,
        };
        let by = &mut gradients.links[index];
        of.factors(&sums, [by.gamma, by.beta], &mut factors)?;
        run.scratch.give(sums);
        Ok(factors)
    }

    /// What the gradient by what convolution `index` gives is made of.
    fn above<'a>(
        &self,
        given: Given<'a>,
        index: usize,
        (up, factors): (Option<&'a [f32]>, Option<&'a [f32]>),
    ) -> Above<'a> {
        let lies = self.links.get(index + 1).map_or(self.y_of_group, |next| next.dx);
        let mask = match self.norm_after(index) {
            // Behind the join, the ReLU has been seen to where the output was read.
            Some(last) if index + 1 == self.links.len() && !self.reads_output(given.input) => {
                relu(given, last)
            }
            Some(norm) if index + 1 < self.links.len() => relu(given, norm),
            _ => Mask::None,
        };
        Above { up, lies, mask, factors }
    }

    /// Through convolution `index` to the normalisation before it: the gradient by that one's output, and the
    /// factors of the next.
    fn inner(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (index, above): (usize, &Above<'_>),
        (g, beside): (&[f32], Option<&[f32]>),
        gradients: &mut BlockGradients<'_>,
    ) -> Result<(Buffer, Buffer), Error> {
        let (norm, step) = (self.norm_before(index).unwrap_or(0), &self.links[index]);
        let (of_group, sums_of_group) = (step.dx.len(), 2 * step.dx.channels());
        let mut da = run.scratch.take(self.groups.count * of_group);
        let mut sums = run.scratch.take(self.groups.count * sums_of_group);
        let below = Below::Norm {
            index: norm,
            da: Shares::of(&mut da, of_group),
            sums: Shares::of(&mut sums, sums_of_group),
        };
        self.through(run, given, (index, above), (&Joined::Read(g), beside), &below, gradients)?;
        let factors = self.norm_factors(run, given, (norm, sums), gradients)?;
        Ok((da, factors))
    }

    /// Through a post-activation block's first convolution to `dx`.
    fn first(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        above: &Above<'_>,
        (dy, beside): (&mut [f32], Option<&[f32]>),
        (gradients, dx): (&mut BlockGradients<'_>, InputGradient<'_>),
    ) -> Result<(), Error> {
        let (g, below) = match dx {
            InputGradient::Unwanted => (Joined::Read(dy), Below::Nothing),
            InputGradient::To(dx) => (Joined::Read(dy), Below::Input(Shares::of(dx, self.x_of_group.len()))),
            InputGradient::OverDy => (Joined::Shares(Shares::of(dy, self.y_of_group.len())), Below::OverG),
        };
        self.through(run, given, (0, above), (&g, beside), &below, gradients)
    }

    /// Through convolution `index`, group by group; and through the shortcut with the first.
    fn through(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (index, above): (usize, &Above<'_>),
        (g, beside): (&Joined<'_>, Option<&[f32]>),
        below: &Below<'_>,
        gradients: &mut BlockGradients<'_>,
    ) -> Result<(), Error> {
        let (step, wanted) = (&self.links[index], !matches!(below, Below::Nothing));
        let (weights, count) = (given.input.parameters.links[index].weights, self.groups.count);
        let (by_links, by_projection) = gradients.links.split_at_mut(self.links.len());
        let by_projection = by_projection.first_mut().filter(|_| index == 0);
        let by_projection = by_projection.map_or(&mut [][..], |by| &mut *by.weights);
        summed(run, &self.groups, by_links[index].weights, |run, dw| {
            summed(run, &self.groups, by_projection, |run, dw_projection| {
                step.with_back_weights(run, weights, (wanted, count), |run, packed| {
                    self.packed_beside(run, given, wanted && index == 0, |run, packed_projection| {
                        let beside = Beside { factors: beside, packed: packed_projection, dw: dw_projection };
                        let task = Task { block: self, given, index, above, g, below, packed, dw, beside };
                        self.groups.each(run, |run, group| task.run(run, group))
                    })
                })
            })
        })
    }

    /// Calls `body` with the projection's packed weights, where they are wanted.
    fn packed_beside<T>(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        wanted: bool,
        body: impl FnOnce(&mut Run<'_>, Option<BackWeights<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(projection) = self.projection.as_ref().filter(|_| wanted) else { return body(run, None) };
        let weights = given.input.parameters.link(self.links.len()).weights;
        projection.step.with_back_weights(run, weights, (true, self.groups.count), body)
    }

    /// From `h` of a pre-activation block back to `x`, where the identity's gradient is added.
    fn leave(
        &self,
        run: &mut Run<'_>,
        given: Given<'_>,
        (dh, factors): (&[f32], &[f32]),
        (dy, dx): (&mut [f32], InputGradient<'_>),
    ) -> Result<(), Error> {
        let (lies, from) = (self.x_of_group, self.links[0].dx);
        let leave = |run: &mut Run<'_>, group: usize, g: &[f32], dx: &mut [f32]| {
            let residual = (self.shortcut == Shortcut::Identity).then_some((g, self.y_of_group));
            let (x, dy) = (part(given.input.x, lies, group), part(dh, from, group));
            let pass = Spread { x, dy, mask: relu(given, 0), factors, residual };
            run.with(pass_workspace(&lies), |cpu, workspace| pass.run(cpu, (dx, lies), workspace))
        };
        match dx {
            InputGradient::Unwanted => Ok(()),
            InputGradient::To(dx) => {
                let shares = Shares::of(dx, lies.len());
                self.groups.each(run, |run, group| {
                    leave(run, group, part(dy, self.y_of_group, group).0, &mut shares.take(group))
                })
            }
            InputGradient::OverDy => {
                let shares = Shares::of(dy, lies.len());
                self.groups.each(run, |run, group| {
                    let (mut dx, mut over) = (run.scratch.take(lies.len()), shares.take(group));
                    leave(run, group, &over, &mut dx)?;
                    over.copy_from_slice(&dx);
                    run.scratch.give(dx);
                    Ok(())
                })
            }
        }
    }
}
