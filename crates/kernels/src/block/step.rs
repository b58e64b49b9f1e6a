//! A convolution of the block in all three passes.

use super::run::{Map, Run};
use super::shape::wrong;
use crate::conv::{Lent, select_forward};
use crate::{
    Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, ConvWeights, Cpu, DataWeights, Epilogue, Error,
    Layout, Pass, Sums, Weights, select_for,
};

/// A convolution forward, its weights packed as it runs.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    pub(super) conv: Conv,
    packed: Lent<ConvWeights>,
}

impl Ahead {
    /// By the algorithm for a batch of `batch` images, of which `shape` are those that are taken at a time: the
    /// weights are packed once for all.
    pub(super) fn new(
        cpu: &Cpu,
        (shape, batch): (ConvShape, usize),
        input: Layout,
        output: Layout,
    ) -> Result<Self, Error> {
        let whole = ConvShape { batch, ..shape };
        let choice = select_forward(cpu, &whole, &input.with_batch(batch)?, Weights::PackedAnew)?;
        let conv = Conv::with_algorithm(cpu, shape, input, output, choice.algorithm)?;
        let packed = Lent::new(conv.zeroed_weights());
        Ok(Self { conv, packed })
    }

    /// The same convolution between maps of another number of images.
    pub(super) fn for_maps(&self, cpu: &Cpu, input: Layout, output: Layout) -> Result<Self, Error> {
        let batch = input.batch();
        Self::new(cpu, (ConvShape { batch, ..*self.conv.shape() }, batch), input, output)
    }

    /// Calls `body` with the packed weights.
    pub(super) fn packed<T>(
        &self,
        run: &mut Run<'_>,
        weights: &[f32],
        body: impl FnOnce(&mut Run<'_>, &ConvWeights) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let cpu = run.cpu;
        self.packed.with(run.scratch, |packed, scratch| {
            self.conv.pack_into(cpu, weights, packed)?;
            body(&mut Run { cpu, scratch }, packed)
        })
    }

    /// `z = w x`, then `epilogue`.
    pub(super) fn run(
        &self,
        run: &mut Run<'_>,
        (x, weights): (&[f32], &ConvWeights),
        epilogue: &Epilogue<'_>,
        sums: Option<Sums<'_>>,
        z: &mut [f32],
    ) -> Result<(), Error> {
        run.with(self.conv.workspace(run.cpu), |cpu, workspace| {
            self.conv.forward(cpu, x, weights, epilogue, sums, z, workspace)
        })
    }

    /// The same with weights as they are.
    pub(super) fn forward(
        &self,
        run: &mut Run<'_>,
        (x, weights): (&[f32], &[f32]),
        epilogue: &Epilogue<'_>,
        z: &mut [f32],
    ) -> Result<(), Error> {
        self.packed(run, weights, |run, packed| self.run(run, (x, packed), epilogue, None, z))
    }
}

/// A convolution's weights for the gradient by its input.
#[derive(Clone, Copy)]
pub(super) enum BackWeights<'a> {
    /// Packed once for all groups.
    Packed(&'a DataWeights),
    /// As they are: packed when they are needed, so that they take no memory beside the gradient by the weights.
    Plain(&'a [f32]),
}

/// A convolution of the block in all three passes, and how its maps lie.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) ahead: Ahead,
    /// `None` where the input is planar: it has no gradient.
    data: Option<(ConvBackwardData, Lent<DataWeights>)>,
    weights: ConvBackwardWeights,
    /// What it reads.
    pub(super) input: Layout,
    /// What it writes: on the tape, or the block's output.
    pub(super) output: Layout,
    /// The gradient by what it writes.
    pub(super) dy: Layout,
    /// The gradient by what it reads.
    pub(super) dx: Layout,
}

impl Step {
    /// `maps` are input, output, and the gradients by output and input, of some images of a batch of `batch`.
    pub(super) fn new(
        cpu: &Cpu,
        (shape, batch): (ConvShape, usize),
        maps: [Layout; 4],
    ) -> Result<Self, Error> {
        let [input, output, dy, dx] = maps;
        let ahead = Ahead::new(cpu, (shape, batch), input, output)?;
        let data = || -> Result<_, Error> {
            let whole = ConvShape { batch, ..shape };
            let choice = select_for(Pass::BackwardData, &whole, &dy.with_batch(batch)?, Weights::PackedAnew)?;
            let data = ConvBackwardData::with_algorithm(cpu, shape, dy, dx, choice.algorithm)?;
            let packed = Lent::new(data.zeroed_weights());
            Ok((data, packed))
        };
        let data = (dx.block() > 1).then(data).transpose()?;
        let weights = ConvBackwardWeights::new(cpu, shape, input, dy)?;
        Ok(Self { ahead, data, weights, input, output, dy, dx })
    }

    /// Calls `body` with the weights for the gradient by the input of so many groups; with none where it is not
    /// wanted.
    pub(super) fn with_back_weights<T>(
        &self,
        run: &mut Run<'_>,
        weights: &[f32],
        (wanted, groups): (bool, usize),
        body: impl FnOnce(&mut Run<'_>, Option<BackWeights<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.data {
            Some((data, packed)) if wanted && groups > 1 => {
                let cpu = run.cpu;
                packed.with(run.scratch, |packed, scratch| {
                    data.pack_into(cpu, weights, packed)?;
                    body(&mut Run { cpu, scratch }, Some(BackWeights::Packed(packed)))
                })
            }
            Some(_) if wanted => body(run, Some(BackWeights::Plain(weights))),
            _ => body(run, None),
        }
    }

    /// `dx = w^T dz`, plus another gradient of the same maps.
    pub(super) fn by_input(
        &self,
        run: &mut Run<'_>,
        (dz, weights): (&[f32], BackWeights<'_>),
        other: Option<Map<'_>>,
        dx: &mut [f32],
    ) -> Result<(), Error> {
        let Some((data, lent)) = &self.data else {
            return Err(wrong("planar maps have no gradient".into()));
        };
        let sum = Epilogue { residual: other, ..Epilogue::default() };
        let mut by_input = |run: &mut Run<'_>, packed: &DataWeights| {
            run.with(data.workspace(run.cpu), |cpu, workspace| data.run(cpu, dz, packed, &sum, dx, workspace))
        };
        match weights {
            BackWeights::Packed(packed) => by_input(run, packed),
            BackWeights::Plain(weights) => {
                let cpu = run.cpu;
                lent.with(run.scratch, |packed, scratch| {
                    data.pack_into(cpu, weights, packed)?;
                    by_input(&mut Run { cpu, scratch }, packed)
                })
            }
        }
    }

    /// `dw = dz x^T`
    pub(super) fn by_weights(
        &self,
        run: &mut Run<'_>,
        x: &[f32],
        dz: &[f32],
        dw: &mut [f32],
    ) -> Result<(), Error> {
        run.with(self.weights.workspace(run.cpu), |cpu, workspace| {
            self.weights.run(cpu, x, dz, dw, workspace)
        })
    }
}
