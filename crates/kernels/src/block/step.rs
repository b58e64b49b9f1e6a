//! A convolution of the block in all three passes.

use super::run::Run;
use super::shape::wrong;
use crate::conv::Lent;
use crate::{
    Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, ConvWeights, Cpu, DataWeights, Epilogue,
    KernelError, Layout, Sums,
};

/// A convolution forward, its weights packed as it runs.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    pub(super) conv: Conv,
    packed: Lent<ConvWeights>,
}

impl Ahead {
    pub(super) fn new(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
    ) -> Result<Self, KernelError> {
        let conv = Conv::packed_anew(cpu, shape, input, output)?;
        let packed = Lent::new(conv.zeroed_weights());
        Ok(Self { conv, packed })
    }

    /// `z = w x`, then `epilogue`.
    pub(super) fn forward(
        &self,
        run: &mut Run<'_>,
        (x, weights): (&[f32], &[f32]),
        epilogue: &Epilogue<'_>,
        sums: Option<Sums<'_>>,
        z: &mut [f32],
    ) -> Result<(), KernelError> {
        let (conv, cpu) = (&self.conv, run.cpu);
        self.packed.with(run.scratch, |packed, scratch| {
            conv.pack_into(cpu, weights, packed)?;
            let mut run = Run { cpu, scratch };
            run.with(conv.workspace(cpu), |cpu, workspace| {
                conv.forward(cpu, x, packed, epilogue, sums, z, workspace)
            })
        })
    }
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
    /// `maps` are input, output, and the gradients by output and input.
    pub(super) fn new(cpu: &Cpu, shape: ConvShape, maps: [Layout; 4]) -> Result<Self, KernelError> {
        let [input, output, dy, dx] = maps;
        let ahead = Ahead::new(cpu, shape, input, output)?;
        let data = || -> Result<_, KernelError> {
            let data = ConvBackwardData::packed_anew(cpu, shape, dy, dx)?;
            let packed = Lent::new(data.zeroed_weights());
            Ok((data, packed))
        };
        let data = (dx.block() > 1).then(data).transpose()?;
        let weights = ConvBackwardWeights::new(cpu, shape, input, dy)?;
        Ok(Self { ahead, data, weights, input, output, dy, dx })
    }

    /// `dx = w^T dz`, plus another gradient of the same maps.
    pub(super) fn by_input(
        &self,
        run: &mut Run<'_>,
        (dz, weights): (&[f32], &[f32]),
        other: Option<(&[f32], Layout)>,
        dx: &mut [f32],
    ) -> Result<(), KernelError> {
        let Some((data, packed)) = &self.data else {
            return Err(wrong("planar maps have no gradient".into()));
        };
        let (cpu, sum) = (run.cpu, Epilogue { residual: other, ..Epilogue::default() });
        packed.with(run.scratch, |packed, scratch| {
            data.pack_into(cpu, weights, packed)?;
            let mut run = Run { cpu, scratch };
            run.with(data.workspace(cpu), |cpu, workspace| data.run(cpu, dz, packed, &sum, dx, workspace))
        })
    }

    /// `dw = dz x^T`
    pub(super) fn by_weights(
        &self,
        run: &mut Run<'_>,
        x: &[f32],
        dz: &[f32],
        dw: &mut [f32],
    ) -> Result<(), KernelError> {
        run.with(self.weights.workspace(run.cpu), |cpu, workspace| {
            self.weights.run(cpu, x, dz, dw, workspace)
        })
    }
}
