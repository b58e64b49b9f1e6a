//! Linear layer: `y = x W^T + b`.

use residual_kernels::linear::Linear;
use residual_kernels::{Cpu, Error as KernelError};

/// A linear layer with its weights `[outs][ins]` and bias `[outs]`.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) ins: usize,
    pub(crate) outs: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Dense {
    /// `y = x W^T + b` for `batch` rows.
    pub(crate) fn forward(
        &self,
        cpu: &Cpu,
        batch: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<(), KernelError> {
        let layer = Linear { batch, ins: self.ins, outs: self.outs };
        layer.forward(cpu, x, &self.weights, &self.bias, y)
    }
}
