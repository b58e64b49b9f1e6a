//! `dx = (dF/dx)^T dy + (dS/dx)^T dy`

use super::forward::Context;
use super::plan::{Block, BlockParameters, PackedBlock, Tape};
use super::shape::{Order, Policy, Shortcut};
use crate::eltwise::zero_pad_backward;
use crate::gemm::Epilogue;
use crate::layout::check_length;
use crate::norm::{Backward, Mask, apply};
use crate::{Cpu, KernelError, Layout};

/// The gradients by the parameters of a convolution and its normalisation, as long as
/// [`LinkParameters`](super::LinkParameters).
#[derive(Debug)]
pub struct LinkGradients<'a> {
    /// By the weights.
    pub weights: &'a mut [f32],
    /// By the factor of each normalised channel.
    pub gamma: &'a mut [f32],
    /// By the summand of each normalised channel.
    pub beta: &'a mut [f32],
}

/// The gradients by the parameters of a block.
#[derive(Debug)]
pub struct BlockGradients<'a, 'b> {
    /// Those of the branch, from the input on.
    pub links: &'b mut [LinkGradients<'a>],
    /// Those of the projection.
    pub projection: Option<&'b mut LinkGradients<'a>>,
}

/// The gradients under way, see `Block::gradients`.
struct Buffers<'a> {
    dz: &'a mut [f32],
    da: &'a mut [f32],
    behind: &'a mut [f32],
    dp: &'a mut [f32],
    dxp: &'a mut [f32],
}

/// What the backward pass is given.
struct Given<'a> {
    x: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    parameters: &'a BlockParameters<'a>,
    packed: &'a PackedBlock,
    tape: &'a Tape,
}

impl Block {
    /// Computes the gradients by the parameters and by `x`, from `dy`, the gradient by `y`. With
    /// [`Policy::Keep`] the tape and `y` are what the forward pass left; with [`Policy::Recompute`] both
    /// are filled again. An empty `dx` is not computed: the first layer's input is data.
    ///
    /// # Errors
    /// As for [`Block::forward`].
    #[expect(clippy::too_many_arguments, reason = "the forward's, the gradient that comes and those that go")]
    pub fn backward(
        &self,
        cpu: &Cpu,
        (x, y, dy): (&[f32], &mut [f32], &[f32]),
        parameters: &BlockParameters<'_>,
        packed: &PackedBlock,
        tape: &mut Tape,
        gradients: BlockGradients<'_, '_>,
        dx: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        if self.policy == Policy::Recompute {
            self.forward(cpu, x, parameters, packed, tape, y, workspace)?;
        }
        self.backward_from_tape(cpu, (x, y, dy), parameters, packed, tape, gradients, dx, workspace)
    }

    /// The same from a tape and an output that are there, whatever the policy: neither is written.
    ///
    /// # Errors
    /// As for [`Block::forward`].
    #[expect(clippy::too_many_arguments, reason = "as for `backward`")]
    pub fn backward_from_tape(
        &self,
        cpu: &Cpu,
        (x, y, dy): (&[f32], &[f32], &[f32]),
        parameters: &BlockParameters<'_>,
        packed: &PackedBlock,
        tape: &Tape,
        mut gradients: BlockGradients<'_, '_>,
        dx: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check_gradients(parameters, &gradients)?;
        self.check_memory(tape, packed)?;
        self.x.check("the block's input", x.len())?;
        self.y.check("the block's output", y.len())?;
        self.y.check("the gradient by the block's output", dy.len())?;
        if !dx.is_empty() {
            self.x.check("the gradient by the block's input", dx.len())?;
        }
        if workspace.len() < self.workspace(cpu) {
            check_length("the workspace", self.workspace(cpu), workspace.len())?;
        }
        let [dz, da, behind, dp, dxp] = self.gradients();
        let (dz, rest) = workspace.split_at_mut(dz);
        let (da, rest) = rest.split_at_mut(da);
        let (behind, rest) = rest.split_at_mut(behind);
        let (dp, rest) = rest.split_at_mut(dp);
        let (dxp, workspace) = rest.split_at_mut(dxp);
        let buffers = Buffers { dz, da, behind, dp, dxp };
        let mut context = Context { cpu, eps: parameters.eps, workspace };
        let given = Given { x, y, dy, parameters, packed, tape };
        match self.order {
            Order::PostActivation => self.post_backward(&mut context, &given, buffers, &mut gradients, dx),
            Order::PreActivation => self.pre_backward(&mut context, &given, buffers, &mut gradients, dx),
        }
    }

    /// From the ReLU behind the addition back to `x`.
    fn post_backward(
        &self,
        context: &mut Context<'_>,
        given: &Given<'_>,
        buffers: Buffers<'_>,
        gradients: &mut BlockGradients<'_, '_>,
        dx: &mut [f32],
    ) -> Result<(), KernelError> {
        let Buffers { dz, da, behind, dp, dxp } = buffers;
        let last = self.links.len() - 1;
        let join = self.links[last].dy;
        // g = dy R'(y), the gradient by the sum; and through the last normalisation.
        let mask = Mask::Output(given.y, self.y);
        let z = (&given.tape.written[last][..], self.links[last].output);
        let (to, g) = ((&mut dz[..join.len()], join), Some(&mut behind[..join.len()]));
        self.norm_backward(
            context,
            given,
            last,
            z,
            (given.dy, self.y),
            mask,
            to,
            g,
            &mut gradients.links[last],
        )?;
        let mut other: Option<(&[f32], Layout)> = None;
        if let (Some(step), Some(by)) = (&self.projection, gradients.projection.as_deref_mut()) {
            let (z, to) = ((&given.tape.projected[..], step.output), (&mut *dp, step.dy));
            self.norm_backward(context, given, last + 1, z, (behind, join), Mask::None, to, None, by)?;
            step.weights.run(context.cpu, given.x, dp, by.weights, context.workspace)?;
            let (weights, none) = (&given.packed.0[last + 1].1, Epilogue::default());
            step.data.run(context.cpu, dp, weights, &none, dxp, context.workspace)?;
            other = Some((dxp, step.dx));
        } else if let Some((stride, before)) = self.zero_pad() {
            let to = self.links[0].dx;
            zero_pad_backward(context.cpu, (behind, join), stride, before, (&mut *dxp, to))?;
            other = Some((dxp, to));
        } else if self.shortcut == Shortcut::Identity {
            other = Some((behind, join));
        }
        for i in (0..=last).rev() {
            let (step, weights) = (&self.links[i], &given.packed.0[i].1);
            let gradient = &dz[..step.dy.len()];
            let a = if i == 0 { given.x } else { &given.tape.read[i][..] };
            step.weights.run(context.cpu, a, gradient, gradients.links[i].weights, context.workspace)?;
            if i == 0 && dx.is_empty() {
                return Ok(());
            }
            if i == 0 {
                // The shortcut's gradient is added as the branch's is stored.
                let sum = Epilogue { residual: other, ..Epilogue::default() };
                return step.data.run(context.cpu, gradient, weights, &sum, dx, context.workspace);
            }
            let back = &mut da[..step.dx.len()];
            step.data.run(context.cpu, gradient, weights, &Epilogue::default(), back, context.workspace)?;
            let below = &self.links[i - 1];
            let z = (&given.tape.written[i - 1][..], below.output);
            let norm = &given.tape.norms[i - 1];
            let mask = Mask::Recompute { scale: &norm.scale, shift: &norm.shift };
            let to = (&mut dz[..below.dy.len()], below.dy);
            self.norm_backward(
                context,
                given,
                i - 1,
                z,
                (back, step.dx),
                mask,
                to,
                None,
                &mut gradients.links[i - 1],
            )?;
        }
        Ok(())
    }

    /// From the addition back through the branch to `x`, where the identity's gradient is added.
    fn pre_backward(
        &self,
        context: &mut Context<'_>,
        given: &Given<'_>,
        buffers: Buffers<'_>,
        gradients: &mut BlockGradients<'_, '_>,
        dx: &mut [f32],
    ) -> Result<(), KernelError> {
        let Buffers { dz, da, behind, dxp, .. } = buffers;
        let last = self.links.len() - 1;
        let mut other: Option<(&[f32], Layout)> = None;
        if let (Some(step), Some(by)) = (&self.projection, gradients.projection.as_deref_mut()) {
            step.weights.run(context.cpu, &given.tape.read[0], given.dy, by.weights, context.workspace)?;
            let (weights, none) = (&given.packed.0[last + 1].1, Epilogue::default());
            step.data.run(context.cpu, given.dy, weights, &none, dxp, context.workspace)?;
            other = Some((dxp, step.dx));
        } else if let Some((stride, before)) = self.zero_pad() {
            let to = self.links[0].dx;
            zero_pad_backward(context.cpu, (given.dy, self.y), stride, before, (&mut *dxp, to))?;
            other = Some((dxp, to));
        }
        for i in (0..=last).rev() {
            let (step, weights) = (&self.links[i], &given.packed.0[i].1);
            let gradient = if i == last { given.dy } else { &dz[..step.dy.len()] };
            let by = &mut *gradients.links[i].weights;
            step.weights.run(context.cpu, &given.tape.read[i], gradient, by, context.workspace)?;
            let back = &mut da[..step.dx.len()];
            let sum = Epilogue { residual: other.filter(|_| i == 0), ..Epilogue::default() };
            step.data.run(context.cpu, gradient, weights, &sum, back, context.workspace)?;
            let norm = &given.tape.norms[i];
            let mask = Mask::Recompute { scale: &norm.scale, shift: &norm.shift };
            let dy = (&*back, step.dx);
            let by = &mut gradients.links[i];
            if i > 0 {
                let below = &self.links[i - 1];
                let z = (&given.tape.written[i - 1][..], below.output);
                let to = (&mut dz[..below.dy.len()], below.dy);
                self.norm_backward(context, given, i, z, dy, mask, to, None, by)?;
                continue;
            }
            let x = (given.x, self.x);
            if dx.is_empty() {
                return self.norm_backward(context, given, 0, x, dy, mask, (&mut *behind, self.x), None, by);
            }
            if self.shortcut != Shortcut::Identity {
                return self.norm_backward(context, given, 0, x, dy, mask, (dx, self.x), None, by);
            }
            self.norm_backward(context, given, 0, x, dy, mask, (&mut *behind, self.x), None, by)?;
            let sum = Epilogue { residual: Some((given.dy, self.y)), ..Epilogue::default() };
            return apply(context.cpu, (behind, self.x), &sum, (dx, self.x), context.workspace);
        }
        Ok(())
    }

    /// Through normalisation `index`.
    #[expect(clippy::too_many_arguments, reason = "what a normalisation's gradients are made of")]
    fn norm_backward(
        &self,
        context: &mut Context<'_>,
        given: &Given<'_>,
        index: usize,
        x: (&[f32], Layout),
        dy: (&[f32], Layout),
        mask: Mask<'_>,
        dx: (&mut [f32], Layout),
        g: Option<&mut [f32]>,
        by: &mut LinkGradients<'_>,
    ) -> Result<(), KernelError> {
        let link = given.parameters.links.get(index).or(given.parameters.projection.as_ref());
        let gamma = link.map_or(&[][..], |link| link.gamma);
        let statistics = &given.tape.norms[index].statistics;
        let backward = Backward { x, dy, mask, statistics, gamma, eps: context.eps };
        backward.run(context.cpu, [by.gamma, by.beta], dx, g, context.workspace)
    }

    fn check_gradients(
        &self,
        parameters: &BlockParameters<'_>,
        gradients: &BlockGradients<'_, '_>,
    ) -> Result<(), KernelError> {
        self.check_parameters(parameters)?;
        check_length("the gradients' convolutions", self.links.len(), gradients.links.len())?;
        let projection = usize::from(gradients.projection.is_some());
        check_length("the gradients' projections", usize::from(self.projection.is_some()), projection)?;
        let found = gradients.links.iter().chain(gradients.projection.as_deref());
        let wanted = parameters.links.iter().chain(&parameters.projection);
        for (found, wanted) in found.zip(wanted) {
            check_length("the gradient by the weights", wanted.weights.len(), found.weights.len())?;
            check_length("the gradient by a scale", wanted.gamma.len(), found.gamma.len())?;
            check_length("the gradient by a shift", wanted.beta.len(), found.beta.len())?;
        }
        Ok(())
    }
}
