//! The same computation with other rounding errors.

use burn::tensor::{Device, Tensor, TensorData};
use residual::kernels::Cpu;
use residual::nn::fused;
use residual_testkit::formula;

use crate::cli::compute::Path;
use crate::cli::failure::Outcome;

/// How a computation is to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounding {
    /// Threads of the kernels.
    threads: usize,
    /// Whether the kernels' forward convolutions are plain.
    plain: bool,
    /// By how many units in the last place of 1 the input is scaled.
    nudge: u32,
}

/// How often a gradient is computed again. With noise of 3e-7 a layer, resnet18 of the golden files had the
/// reference's side of every ReLU in one of three computations, with 1e-7 in three of three.
const NUDGES: u32 = 8;

impl Rounding {
    /// As it trains.
    pub(super) fn usual(threads: usize) -> Self {
        Self { threads, plain: false, nudge: 0 }
    }

    /// Others, with smaller errors where `path` has them.
    pub(super) fn others(self, path: Path) -> impl Iterator<Item = Self> {
        let plain = path == Path::Fused;
        (u32::from(!plain)..=NUDGES).map(move |nudge| Self { plain, nudge, ..self })
    }

    /// Makes the kernels round so.
    pub(super) fn set_up(self) -> Outcome {
        let cpu = Cpu::new(self.threads)?;
        fused::set_cpu(if self.plain { cpu.with_plain_forward() } else { cpu });
        Ok(())
    }

    /// The formula's input, to be differentiated by.
    pub(super) fn input(self, shape: [usize; 4]) -> Tensor<4> {
        let scale = 1.0 + self.nudge as f32 * f32::EPSILON;
        let values: Vec<_> = formula::input(&shape).into_iter().map(|value| value * scale).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
    }
}
