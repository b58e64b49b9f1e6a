//! `y = act(F(x) + S(x))`

use super::plan::{Block, BlockParameters, LinkParameters, Norm, PackedBlock, Step, Tape};
use super::shape::{Order, Shortcut};
use crate::eltwise::zero_pad;
use crate::gemm::Epilogue;
use crate::layout::check_length;
use crate::norm::{apply, statistics};
use crate::{ConvWeights, Cpu, KernelError, Layout, Sums};

/// What one pass runs on.
pub(super) struct Context<'a> {
    pub(super) cpu: &'a Cpu,
    pub(super) eps: f32,
    pub(super) workspace: &'a mut [f32],
}

impl Norm {
    /// Folds the statistics, which are there, into scale and shift.
    fn fold(&mut self, link: &LinkParameters<'_>, eps: f32) -> Result<(), KernelError> {
        self.statistics.fold([link.gamma, link.beta], eps, [&mut self.scale, &mut self.shift])
    }

    /// `y = act(N(x) + residual)`
    fn apply(
        &self,
        context: &mut Context<'_>,
        x: (&[f32], Layout),
        residual: Option<(&[f32], Layout)>,
        relu: bool,
        y: (&mut [f32], Layout),
    ) -> Result<(), KernelError> {
        let epilogue = Epilogue { scale: Some(&self.scale), shift: Some(&self.shift), residual, relu };
        apply(context.cpu, x, &epilogue, y, context.workspace)
    }
}

impl Context<'_> {
    /// A convolution, and the statistics of what it gives.
    fn conv_norm(
        &mut self,
        step: &Step,
        (x, weights): (&[f32], &ConvWeights),
        link: &LinkParameters<'_>,
        norm: &mut Norm,
        z: &mut [f32],
    ) -> Result<(), KernelError> {
        let sums = Sums { sum: &mut norm.sum, squares: &mut norm.squares };
        step.conv.forward(self.cpu, x, weights, &Epilogue::default(), Some(sums), z, self.workspace)?;
        norm.statistics.set_from_sums(&Sums { sum: &mut norm.sum, squares: &mut norm.squares })?;
        norm.fold(link, self.eps)
    }
}

impl Block {
    /// Computes `y` with the batch's own statistics, and leaves on the tape what the backward pass reads.
    ///
    /// # Errors
    /// [`KernelError::Length`] where a slice is too short or too long (the workspace may be longer than
    /// [`Block::workspace`]), [`KernelError::Shape`] where parameters, tape or packed weights are another
    /// block's.
    #[expect(clippy::too_many_arguments, reason = "two inputs, what they are packed in, two outputs, memory")]
    pub fn forward(
        &self,
        cpu: &Cpu,
        x: &[f32],
        parameters: &BlockParameters<'_>,
        packed: &PackedBlock,
        tape: &mut Tape,
        y: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check_parameters(parameters)?;
        self.check_memory(tape, packed)?;
        self.x.check("the block's input", x.len())?;
        self.y.check("the block's output", y.len())?;
        if workspace.len() < self.workspace(cpu) {
            check_length("the workspace", self.workspace(cpu), workspace.len())?;
        }
        let mut context = Context { cpu, eps: parameters.eps, workspace };
        match self.order {
            Order::PostActivation => self.post(&mut context, x, parameters, packed, tape, y),
            Order::PreActivation => self.pre(&mut context, x, parameters, packed, tape, y),
        }
    }

    /// `a = R(N(conv(a)))` for all but the last convolution, `y = R(N(conv(a)) + S(x))`.
    fn post(
        &self,
        context: &mut Context<'_>,
        x: &[f32],
        parameters: &BlockParameters<'_>,
        packed: &PackedBlock,
        tape: &mut Tape,
        y: &mut [f32],
    ) -> Result<(), KernelError> {
        let last = self.links.len() - 1;
        for (i, (step, link)) in self.links.iter().zip(parameters.links).enumerate() {
            let (read, rest) = tape.read.split_at_mut(i + 1);
            let a = if i == 0 { x } else { &read[i][..] };
            context.conv_norm(step, (a, &packed.0[i].0), link, &mut tape.norms[i], &mut tape.written[i])?;
            if i < last {
                let z = (&tape.written[i][..], step.output);
                tape.norms[i].apply(context, z, None, true, (&mut rest[0], self.links[i + 1].input))?;
            }
        }
        if let (Some(step), Some(link)) = (&self.projection, &parameters.projection) {
            let norm = &mut tape.norms[last + 1];
            context.conv_norm(step, (x, &packed.0[last + 1].0), link, norm, &mut tape.projected)?;
            let (s, workspace) = context.workspace.split_at_mut(step.output.len());
            let mut inner = Context { cpu: context.cpu, eps: context.eps, workspace };
            norm.apply(&mut inner, (&tape.projected, step.output), None, false, (&mut *s, step.output))?;
            let z = (&tape.written[last][..], self.links[last].output);
            return tape.norms[last].apply(&mut inner, z, Some((s, step.output)), true, (y, self.y));
        }
        let z = (&tape.written[last][..], self.links[last].output);
        let norm = &tape.norms[last];
        if let Some((stride, before)) = self.zero_pad() {
            let to = z.1;
            let (s, workspace) = context.workspace.split_at_mut(to.len());
            zero_pad(context.cpu, (x, self.x), stride, before, (&mut *s, to))?;
            let mut inner = Context { cpu: context.cpu, eps: context.eps, workspace };
            return norm.apply(&mut inner, z, Some((s, to)), true, (y, self.y));
        }
        let residual = (self.shortcut == Shortcut::Identity).then_some((x, self.x));
        norm.apply(context, z, residual, true, (y, self.y))
    }

    /// `h = R(N(x))`, `a = R(N(conv(a)))` from there on, `y = conv(a) + S`.
    fn pre(
        &self,
        context: &mut Context<'_>,
        x: &[f32],
        parameters: &BlockParameters<'_>,
        packed: &PackedBlock,
        tape: &mut Tape,
        y: &mut [f32],
    ) -> Result<(), KernelError> {
        let last = self.links.len() - 1;
        statistics(context.cpu, x, self.x, &mut tape.norms[0].statistics, context.workspace)?;
        tape.norms[0].fold(&parameters.links[0], context.eps)?;
        tape.norms[0].apply(context, (x, self.x), None, true, (&mut tape.read[0], self.links[0].input))?;
        for (i, step) in self.links[..last].iter().enumerate() {
            let (read, rest) = tape.read.split_at_mut(i + 1);
            let (link, norm) = (&parameters.links[i + 1], &mut tape.norms[i + 1]);
            context.conv_norm(step, (&read[i], &packed.0[i].0), link, norm, &mut tape.written[i])?;
            let z = (&tape.written[i][..], step.output);
            norm.apply(context, z, None, true, (&mut rest[0], self.links[i + 1].input))?;
        }
        if let Some((stride, before)) = self.zero_pad() {
            let (from, to) = (self.links[0].input, self.y.with_border(0)?);
            let (s, workspace) = context.workspace.split_at_mut(to.len());
            zero_pad(context.cpu, (&tape.read[0], from), stride, before, (&mut *s, to))?;
            let sum = Epilogue { residual: Some((s, to)), ..Epilogue::default() };
            let (a, weights) = (&tape.read[last], &packed.0[last].0);
            return self.links[last].conv.forward(context.cpu, a, weights, &sum, None, y, workspace);
        }
        let residual = match &self.projection {
            Some(step) => {
                let weights = &packed.0[last + 1].0;
                let none = Epilogue::default();
                let (h, s) = (&tape.read[0], &mut tape.projected);
                step.conv.forward(context.cpu, h, weights, &none, None, s, context.workspace)?;
                Some((&tape.projected[..], step.output))
            }
            None => (self.shortcut == Shortcut::Identity).then_some((x, self.x)),
        };
        let sum = Epilogue { residual, ..Epilogue::default() };
        let (a, weights) = (&tape.read[last], &packed.0[last].0);
        self.links[last].conv.forward(context.cpu, a, weights, &sum, None, y, context.workspace)
    }
}
