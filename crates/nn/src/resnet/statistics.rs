//! Running statistics of a network's batch norms.

use burn::tensor::{Tensor, TensorData};

use crate::{BatchNorm, NamedTensor, ResNet};

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

    /// Running means and variances of the batch norms that move in training, one after the other, from the stem to the
    /// head: those of thawed layers whose statistics are not [frozen](Self::freeze_statistics).
    pub fn moving_statistics(&self) -> Vec<f32> {
        let vectors = self.moving_norms().flat_map(|norm| [&norm.running_mean, &norm.running_var]);
        vectors.flat_map(|running| NamedTensor::read("", running.value()).values).collect()
    }

    /// Replaces the running statistics that move in training by those that
    /// [`moving_statistics`](Self::moving_statistics) gave.
    ///
    /// # Panics
    /// Where there are fewer values than statistics.
    pub fn set_moving_statistics(&self, values: &[f32]) {
        self.move_statistics(values, |_, _, given| given);
    }

    /// Moves the running statistics from `before` by those of a batch, each norm by its own momentum:
    /// `(1 - momentum) before + momentum batch`. Both are as [`moving_statistics`](Self::moving_statistics) gives them.
    ///
    /// # Panics
    /// Where there are fewer values than statistics.
    pub fn blend_moving_statistics(&self, before: &[f32], batch: &[f32]) {
        let mut before = before.iter().copied();
        self.move_statistics(batch, |momentum, _, batch| {
            let before = before.next().unwrap_or_else(|| panic!("one value a statistic"));
            ((1.0 - momentum) * f64::from(before) + momentum * f64::from(batch)) as f32
        });
    }

    /// Replaces each moving statistic by a function of its norm's momentum, its value and the one given for it.
    fn move_statistics(&self, given: &[f32], mut change: impl FnMut(f64, f32, f32) -> f32) {
        let mut given = given.iter().copied();
        for norm in self.moving_norms() {
            for running in [&norm.running_mean, &norm.running_var] {
                running.update(|value| {
                    let device = value.device();
                    let mut values = NamedTensor::read("", value).values;
                    for value in &mut values {
                        let given = given.next().unwrap_or_else(|| panic!("one value a statistic"));
                        *value = change(norm.momentum, *value, given);
                    }
                    let shape = [values.len()];
                    Tensor::from_data(TensorData::new(values, shape), &device)
                });
            }
        }
    }

    /// Batch norms whose running statistics move in training.
    fn moving_norms(&self) -> impl Iterator<Item = &BatchNorm> {
        let blocks =
            self.stages.iter().flat_map(|stage| &stage.blocks).filter(|block| block.training.is_enabled());
        let blocks = blocks.flat_map(|block| {
            let residual = &block.residual;
            residual.branch.norms().chain(residual.shortcut.layers.norms())
        });
        let stem = self.stem.training.is_enabled().then(|| self.stem.layers.norms());
        let head = self.head.training.is_enabled().then(|| self.head.layers.norms());
        let norms = stem.into_iter().flatten().chain(blocks).chain(head.into_iter().flatten());
        norms.filter(|norm| !norm.frozen_statistics && !norm.bypassed)
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
