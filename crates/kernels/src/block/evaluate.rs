//! `y = act(F(x) + S(x))` with running statistics: nothing is kept.

use super::gate::BranchOutput;
use super::join::JoinOperands;
use super::norm::Norm;
use super::pass::Input;
use super::plan::Block;
use super::resources::{Operand, Resources};
use super::shape::{Order, Shortcut};
use super::shortcut::{ShortcutOutput, ZeroPadding};
use super::tape::Gate;
use crate::eltwise::zero_pad;
use crate::layout::check_length;
use crate::{Epilogue, Error, Layout, MapsMut, MapsRef};

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
        norm.statistics.constant = true;
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
        on: &mut Resources<'_>,
        input: &Input<'_>,
        running: &[Running<'_>],
        y: &mut [f32],
    ) -> Result<(), Error> {
        self.check_input(input, y.len())?;
        let norms = self.folded(input, running)?;
        let evaluation = Evaluation { block: self, input, norms: &norms };
        let x = MapsRef::new(input.x, self.x);
        let h = match self.order {
            Order::PostActivation => Operand::Borrowed(input.x),
            Order::PreActivation => norms[0].activate(on, x, self.whole(self.links[0].layouts.input)?)?,
        };
        let shortcut = evaluation.shortcut(on, &h)?;
        let a = evaluation.branch(on, h)?;
        evaluation.join(on, &a, shortcut.as_ref(), y)?;
        shortcut
            .map(|shortcut| shortcut.maps)
            .into_iter()
            .chain([a])
            .for_each(|maps| maps.release(on.scratch));
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
}

/// A forward pass with running statistics; all has been checked.
#[derive(Clone, Copy)]
struct Evaluation<'a> {
    block: &'a Block,
    input: &'a Input<'a>,
    /// Normalisations, the projection's last.
    norms: &'a [Norm],
}

impl<'a> Evaluation<'a> {
    /// `S(x)`, normalised.
    fn shortcut(&self, on: &mut Resources<'_>, h: &[f32]) -> Result<Option<ShortcutOutput<'a>>, Error> {
        let Self { block, input, .. } = *self;
        let read = block.whole(block.links[0].layouts.input)?;
        if let (Some(projection), Some(conv)) = (&block.projection, &block.straight_projection) {
            let index = block.links.len();
            let weights = input.parameters.link(index).weights;
            let read = projection.pooled(on, Operand::Borrowed(h), read)?;
            let mut s = on.scratch.take(conv.conv.output().len());
            conv.pack_and_run(on, &read, weights, self.epilogue(Some(index), false), &mut s)?;
            read.release(on.scratch);
            return Ok(Some(ShortcutOutput::plain(Operand::Owned(s), *conv.conv.output())));
        }
        if let Some(ZeroPadding { stride, before }) = block.zero_padding() {
            let to = block.y.with_border(0)?;
            let mut s = on.scratch.take(to.len());
            zero_pad(on.cpu, MapsRef::new(h, read), stride, before, MapsMut::new(&mut s, to))?;
            return Ok(Some(ShortcutOutput::plain(Operand::Owned(s), to)));
        }
        let identity = ShortcutOutput::plain(Operand::Borrowed(input.x), block.x);
        Ok(Some(identity).filter(|_| block.shortcut == Shortcut::Identity))
    }

    /// `a = R(N(w * a))` up to the input of the last convolution.
    fn branch(&self, on: &mut Resources<'_>, h: Operand<'a>) -> Result<Operand<'a>, Error> {
        let block = self.block;
        let mut a = h;
        for (index, pair) in block.links.windows(2).enumerate() {
            // The input of the next convolution, border and all.
            let to = block.whole(pair[1].layouts.input)?;
            let mut next = on.scratch.take(to.len());
            let epilogue = self.epilogue(block.norm_after(index), true);
            let weights = self.input.parameters.links[index].weights;
            block.straight[index].pack_and_run(on, &a, weights, epilogue, &mut next)?;
            std::mem::replace(&mut a, Operand::Owned(next)).release(on.scratch);
        }
        Ok(a)
    }

    /// `y = act(f N(w * a) + S)`
    fn join(
        &self,
        on: &mut Resources<'_>,
        a: &[f32],
        shortcut: Option<&ShortcutOutput<'_>>,
        y: &mut [f32],
    ) -> Result<(), Error> {
        let (block, input, last) = (self.block, self.input, self.block.links.len() - 1);
        let (conv, weights) = (&block.straight[last], input.parameters.link(last).weights);
        let norm = block.norm_after(last);
        if !block.is_gated(input) {
            let residual = shortcut.map(|shortcut| MapsRef::new(&shortcut.maps, shortcut.layout));
            let relu = block.order == Order::PostActivation;
            let sum = Epilogue { residual, ..self.epilogue(norm, relu) };
            return conv.pack_and_run(on, a, weights, sum, y);
        }
        let mut z = on.scratch.take(block.y.len());
        conv.pack_and_run(on, a, weights, self.epilogue(norm, false), &mut z)?;
        let branch = BranchOutput { z: MapsRef::new(&z, block.y), norm: None };
        let mut gate = block.squeeze.map_or_else(Gate::default, |middle| Gate::zeroed(&block.y, middle));
        block.gate_and_join(on, input, JoinOperands { branch, shortcut }, &mut gate, y)?;
        on.scratch.give(z);
        Ok(())
    }

    /// Normalisation `norm` as a convolution's epilogue; a ReLU alone where there is none.
    fn epilogue(&self, norm: Option<usize>, relu: bool) -> Epilogue<'a> {
        match norm.and_then(|index| self.norms.get(index)) {
            Some(norm) => norm.epilogue(relu),
            None => Epilogue { relu, ..Epilogue::default() },
        }
    }
}
