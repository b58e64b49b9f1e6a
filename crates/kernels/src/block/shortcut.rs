//! Shortcut of a block, `S(x)`, forward and backward: the identity, a projection, or zero padding.

use super::convolve::{Activations, ConvForward};
use super::groups::GroupSlices;
use super::norm::Norm;
use super::parameters::BlockGradients;
use super::pass::{BackwardPass, ForwardPass, StatisticsSource};
use super::plan::Block;
use super::projection::{Projection, ShortcutDataGradient};
use super::resources::{Operand, Resources};
use super::shape::{Order, Shortcut};
use crate::eltwise::{zero_pad, zero_pad_backward};
use crate::norm::Mask;
use crate::{Buffer, Error, Layout, MapsMut, MapsRef};

/// Maps that a shortcut adds to the branch.
pub(super) struct ShortcutOutput<'a> {
    pub(super) maps: Operand<'a>,
    pub(super) layout: Layout,
    /// Normalisation that is still to be applied to them.
    pub(super) norm: Option<&'a Norm>,
}

impl<'a> ShortcutOutput<'a> {
    pub(super) fn plain(maps: Operand<'a>, layout: Layout) -> Self {
        Self { maps, layout, norm: None }
    }
}

/// The part of a tape that is the projection's.
pub(super) struct ProjectionTape<'a> {
    /// Output of the convolution, where it is normalised.
    pub(super) z: &'a mut Buffer,
    pub(super) norm: Option<&'a mut Norm>,
}

/// Channels and pixels of a zero-padded shortcut.
#[derive(Clone, Copy)]
pub(super) struct ZeroPadding {
    pub(super) stride: usize,
    /// Channels of zeros before the input's.
    pub(super) before: usize,
}

impl<'a> ForwardPass<'a> {
    /// `S(x)`, in pre-activation `S(h)` where it is not the identity; none in a plain block. A projection that is
    /// normalised stays on the tape, and its statistics are taken.
    pub(super) fn shortcut<'t>(
        &self,
        on: &mut Resources<'_>,
        from: Activations<'_>,
        tape: ProjectionTape<'t>,
    ) -> Result<Option<ShortcutOutput<'t>>, Error>
    where
        'a: 't,
    {
        let (block, input) = (self.block, self.input);
        if let Some(projection) = &block.projection {
            return self.project(on, projection, from, tape).map(Some);
        }
        if let Some(padding) = block.zero_padding() {
            let padded = block.padded(on, padding, from)?;
            return Ok(Some(ShortcutOutput::plain(Operand::Owned(padded), block.y.with_border(0)?)));
        }
        let identity = ShortcutOutput::plain(Operand::Borrowed(input.x), block.x);
        Ok(Some(identity).filter(|_| block.shortcut == Shortcut::Identity))
    }

    /// `w * h`, of which the normalisation is left to the join.
    fn project<'t>(
        &self,
        on: &mut Resources<'_>,
        projection: &Projection,
        from: Activations<'_>,
        tape: ProjectionTape<'t>,
    ) -> Result<ShortcutOutput<'t>, Error> {
        let (block, parameters) = (self.block, self.input.parameters);
        let (layer, link) = (&projection.layer, parameters.link(block.links.len()));
        let layout = block.whole(layer.layouts.output)?;
        let conv = ConvForward { conv: &layer.forward, weights: link.weights, residual: None };
        let read = |on: &mut Resources<'_>, group: usize| {
            let h = block.conv_input(on, 0, group, from)?;
            projection.pooled(on, h, block.links[0].layouts.input)
        };
        let Some(norm) = tape.norm else {
            let mut s = on.scratch.take(layout.len());
            block.convolve(on, &conv, read, &mut s, None)?;
            return Ok(ShortcutOutput::plain(Operand::Owned(s), layout));
        };
        let asked = (self.statistics == StatisticsSource::Batch).then_some(&mut *norm);
        block.convolve(on, &conv, read, tape.z, asked)?;
        if self.statistics == StatisticsSource::Batch {
            norm.fold(link, parameters.eps)?;
        }
        Ok(ShortcutOutput { maps: Operand::Borrowed(tape.z), layout, norm: Some(norm) })
    }
}

impl Block {
    /// The zero-padded shortcut's maps.
    fn padded(
        &self,
        on: &mut Resources<'_>,
        padding: ZeroPadding,
        from: Activations<'_>,
    ) -> Result<Buffer, Error> {
        let to = self.y_of_group.with_border(0)?;
        let mut s = on.scratch.take(to.len() * self.groups.count);
        let slices = GroupSlices::new(&mut s, to.len());
        self.groups.each(on, |on, group| {
            let h = self.conv_input(on, 0, group, from)?;
            let x = MapsRef::new(&h, self.links[0].layouts.input);
            let y = &mut slices.take(group);
            zero_pad(on.cpu, x, padding.stride, padding.before, MapsMut::new(y, to))?;
            h.release(on.scratch);
            Ok(())
        })?;
        Ok(s)
    }

    /// Channels and pixels of a zero-padded shortcut; none where it is another.
    pub(super) fn zero_padding(&self) -> Option<ZeroPadding> {
        let Shortcut::ZeroPad { stride } = self.shortcut else { return None };
        Some(ZeroPadding { stride, before: (self.y.channels() - self.x.channels()) / 2 })
    }

    /// `(dS/dx)^T g` of a group through a shortcut without parameters, in pre-activation with respect to `h`: what is
    /// added to the branch's gradient where that is stored.
    pub(super) fn shortcut_data_gradient<'a>(
        &self,
        on: &mut Resources<'_>,
        g: MapsRef<'a>,
    ) -> Result<Option<ShortcutDataGradient<'a>>, Error> {
        if let Some(ZeroPadding { stride, before }) = self.zero_padding() {
            let layout = self.links[0].layouts.dx;
            let mut back = on.scratch.take(layout.len());
            zero_pad_backward(on.cpu, g, stride, before, MapsMut::new(&mut back, layout))?;
            return Ok(Some(ShortcutDataGradient { values: Operand::Owned(back), layout }));
        }
        let adds = self.shortcut == Shortcut::Identity && self.order == Order::PostActivation;
        let identity = ShortcutDataGradient { values: Operand::Borrowed(g.values), layout: g.layout };
        Ok(adds.then_some(identity))
    }
}

impl BackwardPass<'_> {
    /// Gradients with respect to the parameters of a projection's normalisation, and the factors of its second pass;
    /// none where it has none.
    pub(super) fn projection_norm(
        &self,
        on: &mut Resources<'_>,
        g: &[f32],
        gradients: &mut BlockGradients<'_>,
    ) -> Result<Option<Buffer>, Error> {
        let index = self.block.links.len();
        let (Some(projection), Some(norm)) = (&self.block.projection, self.tape.norms.get(index)) else {
            return Ok(None);
        };
        let layout = self.block.whole(projection.layer.layouts.output)?;
        let z = MapsRef::new(&self.tape.projected, layout);
        let mut sums = on.scratch.take(2 * norm.scale.len());
        norm.gradient_sums(on, z, MapsRef::new(g, self.block.y), Mask::None, &mut sums)?;
        self.norm_factors(on, index, sums, gradients).map(Some)
    }
}
