//! `dx = (dF/dx)^T dy + (dS/dx)^T dy`

use super::forward::Input;
use super::parameters::{BlockGradients, LinkGradients};
use super::plan::Block;
use super::run::{Held, Map, MapMut, Run};
use super::shape::{Order, Policy, Shortcut};
use super::tape::Tape;
use crate::eltwise::{Join, gated_sums};
use crate::norm::{Backward, Mask, apply};
use crate::{Buffer, Cpu, Epilogue, KernelError, Layout, Scratch};

/// A block's output, and the gradient by it.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// The output, as [`Block::y`] says; filled again with [`Policy::Recompute`].
    pub y: &'a mut [f32],
    /// The gradient by it, which lies as it does.
    pub dy: &'a [f32],
}

/// What the backward pass reads.
#[derive(Clone, Copy)]
struct Given<'a> {
    input: &'a Input<'a>,
    y: &'a [f32],
    dy: &'a [f32],
    tape: &'a Tape,
}

/// The gradients behind the join: by what the last convolution gives, and `g = dy act'(y)`, by the sum.
struct Joined<'a> {
    dz: Held<'a>,
    g: Option<(Held<'a>, Layout)>,
}

impl Block {
    /// Computes the gradients by the parameters and by `x`, from `dy`, the gradient by `y`. With
    /// [`Policy::Keep`] the tape and `y` are what the forward pass left; with [`Policy::Recompute`] both
    /// are filled again. An empty `dx` is not computed: the first layer's input is data.
    ///
    /// # Errors
    /// As for [`Block::forward`].
    #[expect(clippy::too_many_arguments, reason = "the forward's, and the gradients that go")]
    pub fn backward(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        outputs: Outputs<'_>,
        tape: &mut Tape,
        gradients: &mut BlockGradients<'_>,
        dx: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        if self.policy == Policy::Recompute {
            self.forward(cpu, input, tape, outputs.y, scratch)?;
        }
        self.backward_from_tape(cpu, input, (outputs.y, outputs.dy), tape, gradients, dx, scratch)
    }

    /// The same from a tape and an output that are there, whatever the policy: neither is written.
    ///
    /// # Errors
    /// As for [`Block::forward`].
    #[expect(clippy::too_many_arguments, reason = "as for `backward`")]
    pub fn backward_from_tape(
        &self,
        cpu: &Cpu,
        input: &Input<'_>,
        (y, dy): (&[f32], &[f32]),
        tape: &Tape,
        gradients: &mut BlockGradients<'_>,
        dx: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.check_input(input, y.len())?;
        self.check_gradients(input.parameters, gradients)?;
        self.check_tape(tape)?;
        self.y.check("the gradient by the block's output", dy.len())?;
        if !dx.is_empty() {
            self.x.check("the gradient by the block's input", dx.len())?;
        }
        let given = Given { input, y, dy, tape };
        let run = &mut Run { cpu, scratch };
        let h = self.entered(run, &given)?;
        let Joined { dz, g } = self.join_backward(run, &given, gradients)?;
        let behind = g.as_ref().map(|(g, layout)| (&g[..], *layout));
        let other = self.beside(run, &given, &h, behind, gradients)?;
        let sum = other.as_ref().map(|(maps, layout)| (&maps[..], *layout));
        let da = self.branch_backward(run, &given, &h, (dz, sum), gradients, dx)?;
        h.release(run.scratch);
        if let Some(da) = da {
            self.leave(run, &given, (da, behind), &mut gradients.links[0], dx)?;
        }
        other.into_iter().for_each(|(maps, _)| maps.release(run.scratch));
        g.into_iter().for_each(|(maps, _)| maps.release(run.scratch));
        Ok(())
    }

    /// `h = R(N(x))` again in pre-activation, else `x`.
    fn entered<'a>(&self, run: &mut Run<'_>, given: &Given<'a>) -> Result<Held<'a>, KernelError> {
        match self.order {
            Order::PostActivation => Ok(Held::Lent(given.input.x)),
            Order::PreActivation => self.normalised(run, &given.tape.norms[0], (given.input.x, self.x), 0),
        }
    }

    /// From the output to what the last convolution gives: through the ReLU, the gate and, in
    /// post-activation, the normalisation.
    fn join_backward<'a>(
        &self,
        run: &mut Run<'_>,
        given: &Given<'a>,
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Joined<'a>, KernelError> {
        let (last, to, dy) = (self.links.len() - 1, self.last().dy, (given.dy, self.y));
        let z = (&given.tape.written[last][..], self.last().output);
        let gated = self.is_gated(given.input);
        if self.order == Order::PreActivation {
            let dz = match gated {
                true => Held::Own(self.gate_backward(run, given, None, gradients)?),
                false => Held::Lent(dy.0),
            };
            return Ok(Joined { dz, g: Some((Held::Lent(dy.0), dy.1)) });
        }
        let mut dz = run.scratch.take(to.len());
        let mut g = (gated || self.shortcut != Shortcut::None).then(|| run.scratch.take(to.len()));
        if gated {
            let df = self.gate_backward(run, given, g.as_deref_mut(), gradients)?;
            let norm = self.norm(given, last, z, (&df, to), Mask::None);
            norm_backward(run, &norm, &mut gradients.links[last], (&mut dz, to), None)?;
            run.scratch.give(df);
        } else {
            let norm = self.norm(given, last, z, dy, Mask::Output(given.y, self.y));
            norm_backward(run, &norm, &mut gradients.links[last], (&mut dz, to), g.as_deref_mut())?;
        }
        Ok(Joined { dz: Held::Own(dz), g: g.map(|g| (Held::Own(g), to)) })
    }

    /// Through the gate, `df = f g + e`, where `e` is what the branch receives through its mean. `g` is
    /// written where there is a ReLU, else it is `dy`. All lie as the gradient by the last convolution.
    fn gate_backward(
        &self,
        run: &mut Run<'_>,
        given: &Given<'_>,
        mut g: Option<&mut [f32]>,
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Buffer, KernelError> {
        let (to, dy) = (self.last().dy, (given.dy, self.y));
        let [mut e, mut total] = [0, 1].map(|_| run.scratch.take(self.y.batch() * self.y.channels()));
        if g.is_some() || self.squeeze.is_some() {
            let z = (&given.tape.written[self.links.len() - 1][..], self.last().output);
            let y = g.as_ref().map(|_| (given.y, self.y));
            let behind = g.as_deref_mut().map(|g| (g, to));
            gated_sums(run.cpu, z, dy, y, behind, [&mut e, &mut total])?;
        }
        let norm = self.norm_after(self.links.len() - 1).map(|index| &given.tape.norms[index]);
        let (gate, by) = (&given.tape.gate, gradients.squeeze.as_mut());
        self.squeeze_backward(run, given.input, (gate, norm), [&mut e, &mut total], by)?;
        let factors = self.gated(run, given.input, gate);
        let mut df = run.scratch.take(to.len());
        let g = g.map_or(dy, |g| (&*g, to));
        Join { scale: &factors, shift: &e, residual: None, relu: false }.run(run.cpu, g, (&mut df, to))?;
        [e, total, factors].into_iter().for_each(|vector| run.scratch.give(vector));
        Ok(df)
    }

    /// `(dS/dx)^T g`, through the projection's normalisation where it has one.
    fn beside<'a>(
        &self,
        run: &mut Run<'_>,
        given: &Given<'_>,
        h: &[f32],
        g: Option<Map<'a>>,
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Option<(Held<'a>, Layout)>, KernelError> {
        let Some(g) = g else { return Ok(None) };
        let index = self.links.len();
        let (Some(projection), Some(by)) = (&self.projection, gradients.links.get_mut(index)) else {
            return self.shortcut_backward(run, (h, &[]), (&[], g), None);
        };
        let weights = given.input.parameters.link(index).weights;
        if self.order == Order::PreActivation {
            return self.shortcut_backward(run, (h, weights), (g.0, g), Some(by));
        }
        let to = projection.step.dy;
        let mut dz = run.scratch.take(to.len());
        let norm = self.norm(given, index, (&given.tape.projected, projection.step.output), g, Mask::None);
        norm_backward(run, &norm, by, (&mut dz, to), None)?;
        let other = self.shortcut_backward(run, (h, weights), (&dz, g), Some(by));
        run.scratch.give(dz);
        other
    }

    /// From what the last convolution gives back to what the first reads: to `dx`, or in pre-activation to
    /// the gradient by `h`, which is returned. `other` is added there.
    fn branch_backward(
        &self,
        run: &mut Run<'_>,
        given: &Given<'_>,
        h: &[f32],
        (mut dz, other): (Held<'_>, Option<Map<'_>>),
        gradients: &mut BlockGradients<'_>,
        dx: &mut [f32],
    ) -> Result<Option<Buffer>, KernelError> {
        let tape = given.tape;
        for (index, step) in self.links.iter().enumerate().rev() {
            let weights = given.input.parameters.links[index].weights;
            let a = self.reads(run, index, h, (&tape.norms, &tape.written))?;
            step.by_weights(run, &a, &dz, gradients.links[index].weights)?;
            a.release(run.scratch);
            let Some(below) = index.checked_sub(1) else {
                if self.order == Order::PreActivation {
                    let mut dh = run.scratch.take(step.dx.len());
                    step.by_input(run, (&dz, weights), other, &mut dh)?;
                    dz.release(run.scratch);
                    return Ok(Some(dh));
                }
                if !dx.is_empty() {
                    step.by_input(run, (&dz, weights), other, dx)?;
                }
                break;
            };
            let mut da = run.scratch.take(step.dx.len());
            step.by_input(run, (&dz, weights), None, &mut da)?;
            std::mem::replace(&mut dz, Held::Lent(&[])).release(run.scratch);
            let (before, to) = (self.norm_before(index).unwrap_or(below), self.links[below].dy);
            let z = (&tape.written[below][..], self.links[below].output);
            let mut next = run.scratch.take(to.len());
            let norm = self.norm(given, before, z, (&da, step.dx), self.relu(given, before));
            norm_backward(run, &norm, &mut gradients.links[before], (&mut next, to), None)?;
            run.scratch.give(da);
            dz = Held::Own(next);
        }
        dz.release(run.scratch);
        Ok(None)
    }

    /// From `h` of a pre-activation block back to `x`, where the identity's gradient is added.
    fn leave(
        &self,
        run: &mut Run<'_>,
        given: &Given<'_>,
        (dh, g): (Buffer, Option<Map<'_>>),
        by: &mut LinkGradients<'_>,
        dx: &mut [f32],
    ) -> Result<(), KernelError> {
        let (x, mask) = ((given.input.x, self.x), self.relu(given, 0));
        let norm = self.norm(given, 0, x, (&dh, self.links[0].dx), mask);
        if !dx.is_empty() && self.shortcut != Shortcut::Identity {
            norm_backward(run, &norm, by, (dx, self.x), None)?;
        } else {
            let mut branch = run.scratch.take(self.x.len());
            norm_backward(run, &norm, by, (&mut branch, self.x), None)?;
            if !dx.is_empty() {
                let sum = Epilogue { residual: g, ..Epilogue::default() };
                run.with(self.x.vectors(), |cpu, workspace| {
                    apply(cpu, (&branch, self.x), &sum, (dx, self.x), workspace)
                })?;
            }
            run.scratch.give(branch);
        }
        run.scratch.give(dh);
        Ok(())
    }

    /// The ReLU behind normalisation `index`.
    fn relu<'a>(&self, given: &Given<'a>, index: usize) -> Mask<'a> {
        let norm = &given.tape.norms[index];
        Mask::Recompute { scale: &norm.scale, shift: &norm.shift }
    }

    /// Normalisation `index` of `x`, whose output and ReLU have the gradient `dy`.
    fn norm<'a>(
        &self,
        given: &Given<'a>,
        index: usize,
        x: Map<'a>,
        dy: Map<'a>,
        mask: Mask<'a>,
    ) -> Backward<'a> {
        let parameters = given.input.parameters;
        let statistics = &given.tape.norms[index].statistics;
        Backward { x, dy, mask, statistics, gamma: parameters.link(index).gamma, eps: parameters.eps }
    }
}

/// The gradients by a normalisation's parameters and its input, and `g` behind its ReLU.
fn norm_backward(
    run: &mut Run<'_>,
    norm: &Backward<'_>,
    by: &mut LinkGradients<'_>,
    dx: MapMut<'_>,
    g: Option<&mut [f32]>,
) -> Result<(), KernelError> {
    run.with(Backward::workspace(&dx.1), |cpu, workspace| {
        norm.run(cpu, [by.gamma, by.beta], dx, g, workspace)
    })
}
