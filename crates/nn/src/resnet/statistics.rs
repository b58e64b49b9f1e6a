//! Running statistics of a network's batch norms.

use crate::{BatchNorm, ResNet};

impl ResNet {
    /// Freezes the running statistics of every batch norm, or thaws them: in training the norms then normalise as in
    /// evaluation, and their statistics stay as they are, while scale, shift and all other parameters are trained. For
    /// fine-tuning on few images or small batches, whose own statistics say little.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let mut small = SmallResNetConfig::new(10).init(&Device::flex().autodiff())?;
    /// small.net.freeze_statistics(true);
    /// let before = small.net.state();
    /// // A batch of a single image would have no statistics of its own.
    /// small.net.try_forward(Tensor::ones([1, 3, 4, 4], &Device::flex().autodiff()), Mode::train(0, 0))?;
    /// assert_eq!(small.net.state(), before);
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    pub fn freeze_statistics(&mut self, frozen: bool) {
        self.norms_mut().for_each(|norm| norm.frozen_statistics = frozen);
    }

    /// True where the running statistics of a batch norm are frozen.
    pub fn statistics_are_frozen(&self) -> bool {
        self.norms().any(|norm| norm.frozen_statistics)
    }

    /// Sets the share of a batch in the new running statistics ([`BatchNorm::momentum`]) of every
    /// batch norm. With `1 / i` at the `i`-th batch they become the mean over the batches, whatever they were.
    pub fn set_norm_momentum(&mut self, momentum: f64) {
        self.norms_mut().for_each(|norm| norm.momentum = momentum);
    }

    /// Replaces the momentum of every batch norm, from the stem to the head; `None` holds the running statistics
    /// still. Gives the momenta as they were, to be put back.
    pub fn replace_norm_momenta(&mut self, momenta: Option<Vec<f64>>) -> Vec<f64> {
        let mut momenta = momenta.into_iter().flatten();
        let mut next = || momenta.next().unwrap_or(0.0);
        self.norms_mut().map(|norm| std::mem::replace(&mut norm.momentum, next())).collect()
    }

    /// Batch norms, from the stem to the head.
    fn norms(&self) -> impl Iterator<Item = &BatchNorm> {
        let blocks = self.stages.iter().flat_map(|stage| &stage.blocks).flat_map(|block| {
            let residual = &block.residual;
            residual.branch.norms().chain(residual.shortcut.layers.norms())
        });
        self.stem.layers.norms().chain(blocks).chain(self.head.layers.norms())
    }

    fn norms_mut(&mut self) -> impl Iterator<Item = &mut BatchNorm> {
        let blocks = self.stages.iter_mut().flat_map(|stage| &mut stage.blocks).flat_map(|block| {
            let residual = &mut block.residual;
            residual.branch.norms_mut().chain(residual.shortcut.layers.norms_mut())
        });
        self.stem.layers.norms_mut().chain(blocks).chain(self.head.layers.norms_mut())
    }
}
