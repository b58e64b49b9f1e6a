//! Efficient channel attention: a convolution along the means of the channels.

use residual_kernels::{Cpu, Error as KernelError};

use super::Gate;

/// Gate of efficient channel attention (Wang et al. 2020).
#[derive(Debug)]
pub(crate) struct EfficientAttention {
    /// `[kernel]`, of odd size.
    pub(crate) weights: Vec<f32>,
    /// Channels of the map.
    pub(crate) channels: usize,
}

impl Gate for EfficientAttention {
    fn name(&self) -> &'static str {
        "efficient attention"
    }

    fn workspace(&self) -> usize {
        0
    }

    fn run(
        &self,
        _: &Cpu,
        _: usize,
        means: &[f32],
        gates: &mut [f32],
        _: &mut [f32],
    ) -> Result<(), KernelError> {
        let half = self.weights.len() / 2;
        let images = means.chunks_exact(self.channels).zip(gates.chunks_exact_mut(self.channels));
        for (means, gates) in images {
            for (channel, gate) in gates.iter_mut().enumerate() {
                let taps = self.weights.iter().enumerate();
                let term = |(tap, weight): (usize, &f32)| {
                    let mean = (channel + tap).checked_sub(half).and_then(|channel| means.get(channel));
                    mean.map_or(0.0, |mean| weight * mean)
                };
                *gate = taps.map(term).sum();
            }
        }
        Ok(())
    }
}
