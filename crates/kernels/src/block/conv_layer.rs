//! Convolution of a block: `z = w * a`, and its gradients `da = w^T dz` and `dw = dz a^T`.

use super::resources::Resources;
use super::shape::wrong;
use crate::conv::{Lent, select_forward};
use crate::{
    Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, ConvWeights, Cpu, DataWeights, Epilogue, Error,
    Layout, MapsRef, Pass, Sums, Weights, select_for,
};

/// A convolution of some images of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupConv {
    /// Sizes for the images that are taken at a time.
    pub(super) shape: ConvShape,
    /// Images of the whole batch: algorithms are chosen for it, since weights are packed once for all.
    pub(super) batch: usize,
}

impl GroupConv {
    fn whole(&self) -> ConvShape {
        ConvShape { batch: self.batch, ..self.shape }
    }
}

/// Layouts of the maps of a convolution and of the gradients with respect to them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvLayouts {
    pub(super) input: Layout,
    pub(super) output: Layout,
    /// Gradient with respect to the output.
    pub(super) dy: Layout,
    /// Gradient with respect to the input.
    pub(super) dx: Layout,
}

/// A convolution forward, its weights packed as it runs.
#[derive(Clone, Debug)]
pub(super) struct ForwardConv {
    pub(super) conv: Conv,
    packed: Lent<ConvWeights>,
}

/// Operands of a [`ForwardConv`] whose weights are packed.
pub(super) struct ConvOperands<'a> {
    pub(super) x: &'a [f32],
    pub(super) weights: &'a ConvWeights,
    pub(super) epilogue: Epilogue<'a>,
    /// Sums of the output's channels, where they are asked for.
    pub(super) sums: Option<Sums<'a>>,
}

impl ForwardConv {
    pub(super) fn new(cpu: &Cpu, conv: GroupConv, input: Layout, output: Layout) -> Result<Self, Error> {
        let whole = conv.whole();
        let choice = select_forward(cpu, &whole, &input.with_batch(conv.batch)?, Weights::PackedAnew)?;
        let conv = Conv::with_algorithm(cpu, conv.shape, input, output, choice.algorithm)?;
        let packed = Lent::new(conv.zeroed_weights());
        Ok(Self { conv, packed })
    }

    /// Copy of the convolution for maps of another number of images.
    pub(super) fn for_maps(&self, cpu: &Cpu, input: Layout, output: Layout) -> Result<Self, Error> {
        let batch = input.batch();
        Self::new(cpu, GroupConv { shape: ConvShape { batch, ..*self.conv.shape() }, batch }, input, output)
    }

    /// Calls `body` with the packed weights.
    pub(super) fn packed<T>(
        &self,
        on: &mut Resources<'_>,
        weights: &[f32],
        body: impl FnOnce(&mut Resources<'_>, &ConvWeights) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let cpu = on.cpu;
        self.packed.with(on.scratch, |packed, scratch| {
            self.conv.pack_into(cpu, weights, packed)?;
            body(&mut Resources { cpu, scratch }, packed)
        })
    }

    /// `z = w * x`, then the epilogue.
    pub(super) fn run(
        &self,
        on: &mut Resources<'_>,
        of: ConvOperands<'_>,
        z: &mut [f32],
    ) -> Result<(), Error> {
        on.with(self.conv.workspace(on.cpu), |cpu, workspace| {
            self.conv.forward(cpu, of.x, of.weights, &of.epilogue, of.sums, z, workspace)
        })
    }

    /// `z = w * x`, then the epilogue, of weights that are packed for this call.
    pub(super) fn pack_and_run(
        &self,
        on: &mut Resources<'_>,
        x: &[f32],
        weights: &[f32],
        epilogue: Epilogue<'_>,
        z: &mut [f32],
    ) -> Result<(), Error> {
        self.packed(on, weights, |on, weights| {
            self.run(on, ConvOperands { x, weights, epilogue, sums: None }, z)
        })
    }
}

/// Weights for the gradient with respect to a convolution's input.
#[derive(Clone, Copy)]
pub(super) enum DataGradientWeights<'a> {
    /// Packed once for all groups.
    Packed(&'a DataWeights),
    /// Unpacked, for a single group: packed when they are needed, so that they take no memory beside the gradient
    /// with respect to the weights.
    Plain(&'a [f32]),
}

/// A convolution of the block in all three passes, on the maps of a group of images.
#[derive(Clone, Debug)]
pub(super) struct ConvLayer {
    pub(super) forward: ForwardConv,
    /// None where the input is planar.
    data: Option<(ConvBackwardData, Lent<DataWeights>)>,
    weights: ConvBackwardWeights,
    pub(super) layouts: ConvLayouts,
}

impl ConvLayer {
    pub(super) fn new(cpu: &Cpu, conv: GroupConv, layouts: ConvLayouts) -> Result<Self, Error> {
        let ConvLayouts { input, output, dy, dx } = layouts;
        let forward = ForwardConv::new(cpu, conv, input, output)?;
        let data = || -> Result<_, Error> {
            let dy_whole = dy.with_batch(conv.batch)?;
            let choice = select_for(Pass::BackwardData, &conv.whole(), &dy_whole, Weights::PackedAnew)?;
            let data = ConvBackwardData::with_algorithm(cpu, conv.shape, dy, dx, choice.algorithm)?;
            let packed = Lent::new(data.zeroed_weights());
            Ok((data, packed))
        };
        let data = (dx.block() > 1).then(data).transpose()?;
        let weights = ConvBackwardWeights::new(cpu, conv.shape, input, dy)?;
        Ok(Self { forward, data, weights, layouts })
    }

    /// Calls `body` with the weights for the data gradient of `groups` groups.
    pub(super) fn with_data_weights<T>(
        &self,
        on: &mut Resources<'_>,
        weights: &[f32],
        groups: usize,
        body: impl FnOnce(&mut Resources<'_>, Option<DataGradientWeights<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.data {
            Some((data, packed)) if groups > 1 => {
                let cpu = on.cpu;
                packed.with(on.scratch, |packed, scratch| {
                    data.pack_into(cpu, weights, packed)?;
                    body(&mut Resources { cpu, scratch }, Some(DataGradientWeights::Packed(packed)))
                })
            }
            Some(_) => body(on, Some(DataGradientWeights::Plain(weights))),
            None => body(on, None),
        }
    }

    /// `dx = w^T dz + residual`
    pub(super) fn data_gradient(
        &self,
        on: &mut Resources<'_>,
        dz: &[f32],
        weights: DataGradientWeights<'_>,
        residual: Option<MapsRef<'_>>,
        dx: &mut [f32],
    ) -> Result<(), Error> {
        let Some((data, lent)) = &self.data else {
            return Err(wrong("planar maps have no gradient".into()));
        };
        let sum = Epilogue { residual, ..Epilogue::default() };
        let mut run = |on: &mut Resources<'_>, packed: &DataWeights| {
            on.with(data.workspace(on.cpu), |cpu, workspace| data.run(cpu, dz, packed, &sum, dx, workspace))
        };
        match weights {
            DataGradientWeights::Packed(packed) => run(on, packed),
            DataGradientWeights::Plain(weights) => {
                let cpu = on.cpu;
                lent.with(on.scratch, |packed, scratch| {
                    data.pack_into(cpu, weights, packed)?;
                    run(&mut Resources { cpu, scratch }, packed)
                })
            }
        }
    }

    /// `dw = dz x^T`
    pub(super) fn weight_gradient(
        &self,
        on: &mut Resources<'_>,
        x: &[f32],
        dz: &[f32],
        dw: &mut [f32],
    ) -> Result<(), Error> {
        on.with(self.weights.workspace(on.cpu), |cpu, workspace| self.weights.run(cpu, x, dz, dw, workspace))
    }
}
