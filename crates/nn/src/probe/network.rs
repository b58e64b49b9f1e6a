//! A whole network, block by block.

use burn::tensor::Tensor;
use residual_arch::BlockPath;

use super::{Shares, split_block};
use crate::fused::Path;
use crate::{Compute, Error, Mode, ResNet, cross_entropy};

/// Shares of the gradient at every block in one backward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkProbe {
    /// Mean cross-entropy of the batch.
    pub loss: f64,
    /// Blocks, first to last.
    pub blocks: Vec<(BlockPath, Shares)>,
}

impl ResNet {
    /// The gradient at every block, from one backward pass of the mean cross-entropy.
    ///
    /// The pass goes block by block from the loss to the stem, and each block's `dL/dx` is the next one's
    /// `dL/dy`; only the blocks' inputs are kept, so that any depth fits. It runs the layers' stock
    /// operations whatever [`compute`](Self::compute) says, and leaves the running statistics alone. The
    /// network must be on an autodiff device.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let device = Device::flex().autodiff();
    /// let small = SmallResNetConfig::new(10).init(&device)?;
    /// let probe = small.net.probe(Tensor::ones([2, 3, 8, 8], &device), &[3, 7], Mode::train(0, 0))?;
    /// assert_eq!(probe.blocks.len(), 6);
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the labels do not fit the batch or the classes, or the images do not fit the network.
    pub fn probe(&self, x: Tensor<4>, labels: &[usize], mode: Mode) -> Result<NetworkProbe, Error> {
        self.check_input(x.dims(), mode)?;
        // The forward pass moves running statistics: those of a copy.
        let mut network = self.clone();
        network.set_compute(Compute { path: Path::Stock, ..Compute::default() });
        let blocks: Vec<_> = network.stages.iter().flat_map(|stage| &stage.blocks).collect();
        let mut h = network.stem.forward(x, mode).inner();
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in &blocks {
            inputs.push(h.clone());
            h = block.forward(h.autodiff(), mode).inner();
        }
        let features = h.autodiff().require_grad();
        let loss = cross_entropy(network.head.forward(features.clone(), mode), labels, 0.0)?;
        let gradients = loss.clone().backward();
        let mut dy = features.grad(&gradients).unwrap_or_else(|| features.zeros_like().inner());
        let mut shares = Vec::with_capacity(blocks.len());
        let paths: Vec<_> = network.spec().blocks().map(|(path, _)| path).collect();
        for ((block, x), path) in blocks.iter().zip(inputs).zip(paths).rev() {
            let split = split_block(block, x, dy, mode);
            shares.push((path, split.shares()));
            dy = split.input;
        }
        shares.reverse();
        Ok(NetworkProbe { loss: f64::from(loss.into_scalar::<f32>()), blocks: shares })
    }
}
