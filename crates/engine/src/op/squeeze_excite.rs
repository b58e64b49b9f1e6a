//! Squeeze-and-excitation: `expand(relu(reduce(means)))`.

use residual_kernels::{Cpu, Error as KernelError};

use super::{Dense, Gate};

/// Gate of squeeze-and-excitation (Hu et al. 2018).
#[derive(Debug)]
pub(crate) struct SqueezeExcite {
    pub(crate) reduce: Dense,
    pub(crate) expand: Dense,
}

impl Gate for SqueezeExcite {
    fn name(&self) -> &'static str {
        "squeeze and excite"
    }

    fn workspace(&self) -> usize {
        self.reduce.outs
    }

    fn run(
        &self,
        cpu: &Cpu,
        batch: usize,
        means: &[f32],
        gates: &mut [f32],
        middle: &mut [f32],
    ) -> Result<(), KernelError> {
        self.reduce.forward(cpu, batch, means, middle)?;
        // `max` would turn a NaN into 0.
        middle.iter_mut().filter(|value| **value < 0.0).for_each(|value| *value = 0.0);
        self.expand.forward(cpu, batch, middle, gates)
    }
}
