//! Projection of a shortcut: a 1x1 convolution, with or without a pooling before it, and its gradients.

use super::conv_layer::{ConvLayer, DataGradientWeights};
use super::resources::{Operand, Resources};
use crate::pool::{self, Pooling};
use crate::{Error, Layout, MapsMut, MapsRef};

/// The 1x1 convolution of a shortcut.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) layer: ConvLayer,
    /// The pooling before it.
    pub(super) pooling: Option<Pooling>,
}

/// Gradient with respect to the input of the first convolution through the shortcut.
pub(super) struct ShortcutDataGradient<'a> {
    pub(super) values: Operand<'a>,
    pub(super) layout: Layout,
}

impl ShortcutDataGradient<'_> {
    pub(super) fn maps(&self) -> MapsRef<'_> {
        MapsRef::new(&self.values, self.layout)
    }
}

impl Projection {
    /// The convolution's input: `h`, or the mean of its pixels.
    pub(super) fn pooled<'a>(
        &self,
        on: &mut Resources<'_>,
        h: Operand<'a>,
        layout: Layout,
    ) -> Result<Operand<'a>, Error> {
        let Some(pooling) = &self.pooling else { return Ok(h) };
        let to = self.layer.layouts.input.with_batch(layout.batch())?;
        let mut pooled = on.scratch.take(to.len());
        pool::average(on.cpu, pooling, MapsRef::new(&h, layout), MapsMut::new(&mut pooled, to))?;
        h.release(on.scratch);
        Ok(Operand::Owned(pooled))
    }

    /// `dw` of a group.
    pub(super) fn weight_gradient(
        &self,
        on: &mut Resources<'_>,
        h: MapsRef<'_>,
        dz: &[f32],
        dw: &mut [f32],
    ) -> Result<(), Error> {
        let read = self.pooled(on, Operand::Borrowed(h.values), h.layout)?;
        self.layer.weight_gradient(on, &read, dz, dw)?;
        read.release(on.scratch);
        Ok(())
    }

    /// Gradient with respect to `h` of a group, whose layout is `layout`; without a border.
    pub(super) fn data_gradient<'a>(
        &self,
        on: &mut Resources<'_>,
        layout: Layout,
        dz: &[f32],
        weights: DataGradientWeights<'_>,
    ) -> Result<ShortcutDataGradient<'a>, Error> {
        let (layer, layout) = (&self.layer, layout.with_border(0)?);
        let mut back = on.scratch.take(layer.layouts.dx.len());
        layer.data_gradient(on, dz, weights, None, &mut back)?;
        let Some(pooling) = &self.pooling else {
            return Ok(ShortcutDataGradient { values: Operand::Owned(back), layout });
        };
        let mut dh = on.scratch.take(layout.len());
        let dy = MapsRef::new(&back, layer.layouts.dx);
        pool::average_backward(on.cpu, pooling, dy, MapsMut::new(&mut dh, layout))?;
        on.scratch.give(back);
        Ok(ShortcutDataGradient { values: Operand::Owned(dh), layout })
    }
}
