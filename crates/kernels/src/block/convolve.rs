//! Convolution over the groups of a batch: its input, made of the tape, and its output with statistics.

use super::conv_layer::{ConvOperands, ForwardConv};
use super::groups::{GroupSlices, part};
use super::norm::Norm;
use super::plan::Block;
use super::resources::{Operand, Resources};
use crate::{Buffer, Epilogue, Error, MapsRef, Sums};

/// Maps that the convolutions of a branch read: the input, and what they gave themselves.
#[derive(Clone, Copy)]
pub(super) struct Activations<'a> {
    pub(super) x: &'a [f32],
    pub(super) norms: &'a [Norm],
    /// Output of each convolution.
    pub(super) written: &'a [Buffer],
}

/// A convolution over all groups of a batch.
pub(super) struct ConvForward<'a> {
    pub(super) conv: &'a ForwardConv,
    pub(super) weights: &'a [f32],
    /// Maps that are added, of all groups, by the layout of one.
    pub(super) residual: Option<MapsRef<'a>>,
}

impl Block {
    /// `a = R(N(z))`, the input of convolution `index` for a group; of the first convolution `x` or `h`.
    pub(super) fn conv_input<'a>(
        &self,
        on: &mut Resources<'_>,
        index: usize,
        group: usize,
        from: Activations<'a>,
    ) -> Result<Operand<'a>, Error> {
        let z = match index.checked_sub(1) {
            Some(below) => part(&from.written[below], self.links[below].layouts.output, group),
            None => part(from.x, self.x_of_group, group),
        };
        match self.norm_before(index) {
            Some(norm) => from.norms[norm].activate(on, z, self.links[index].layouts.input),
            None => Ok(Operand::Borrowed(z.values)),
        }
    }

    /// `z = w * a + residual` group by group, where `read` gives `a`; and the statistics of `z` where a `norm` asks
    /// for them.
    pub(super) fn convolve<'a>(
        &self,
        on: &mut Resources<'_>,
        of: &ConvForward<'_>,
        read: impl Fn(&mut Resources<'_>, usize) -> Result<Operand<'a>, Error> + Sync,
        z: &mut [f32],
        norm: Option<&mut Norm>,
    ) -> Result<(), Error> {
        let conv = of.conv;
        let channels = conv.conv.shape().out_channels;
        let summed = norm.is_some();
        let mut sums = on.scratch.take(if summed { 2 * channels * self.groups.count } else { 0 });
        let z = GroupSlices::new(z, conv.conv.output().len());
        let sums_of = GroupSlices::new(&mut sums, 2 * channels);
        conv.packed(on, of.weights, |on, weights| {
            self.groups.each(on, |on, group| {
                let residual = of.residual.map(|maps| part(maps.values, maps.layout, group));
                let epilogue = Epilogue { residual, ..Epilogue::default() };
                let a = read(on, group)?;
                let mut z = z.take(group);
                let mut sums = summed.then(|| sums_of.take(group));
                let sums = sums.as_mut().map(|sums| {
                    let (sum, squares) = sums.split_at_mut(channels);
                    Sums { sum, squares }
                });
                conv.run(on, ConvOperands { x: &a, weights, epilogue, sums }, &mut z)?;
                a.release(on.scratch);
                Ok(())
            })
        })?;
        norm.map_or(Ok(()), |norm| norm.set_from_sums(&sums))?;
        on.scratch.give(sums);
        Ok(())
    }
}
