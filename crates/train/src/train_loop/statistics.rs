//! Running statistics, taken anew before an evaluation.

use burn::tensor::Device;
use residual_data::Loader;
use residual_nn::{Mode, ResNet};

use crate::evaluation::evaluate::{check_batch, to_tensor};
use crate::train_loop::transfer::{from_model, to_model};
use crate::{Error, Trainer};

/// Number of updates below which the running statistics lag behind the weights, which still move fast: they are
/// averages over the last ten updates, and in the beginning of what the network began with.
pub(crate) const FEW_UPDATES: u64 = 200;

/// Number of images that are enough (Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3).
const IMAGES: usize = 1024;

impl Trainer<'_> {
    /// Replaces the running statistics of every batch norm that trains by the means of the batches' own over images
    /// that were trained on (PreciseBN: Wu and Johnson 2021, section 3), while updates are few and the statistics are not
    /// frozen; false where it was stopped. No parameter moves.
    ///
    /// A function of the weights, the recipe and the step alone, whatever the statistics were: done again after an
    /// interruption, it gives the same bits.
    pub(crate) fn take_statistics(&mut self) -> Result<bool, Error> {
        if self.recipe.freeze_statistics || self.progress.step >= FEW_UPDATES {
            return Ok(true);
        }
        let Some(network) = self.with_statistics(&self.network.clone())? else { return Ok(false) };
        self.network = network;
        if let Some(average) = &self.average {
            let averaged = average.network(&self.network)?;
            let Some(network) = self.with_statistics(&averaged)? else { return Ok(false) };
            self.average = self.average.take().map(|average| average.with_tensors(&network));
        }
        Ok(true)
    }

    /// A network with statistics that are taken anew; `None` where it was stopped.
    fn with_statistics(&mut self, before: &ResNet) -> Result<Option<ResNet>, Error> {
        let batch_size = self.recipe.images_per_step();
        // Of images as large as those of the evaluation.
        let options = self.loader_options().with(|options| (options.first_batch, options.resize) = (0, None));
        let loader = Loader::new(self.images.train.clone(), options)?;
        // On a device without a graph, which would keep what every forward pass leaves for a backward pass.
        let mut network = self.copy_on(before, &Device::flex())?;
        let mut done = 0u64;
        for batch in loader.take(IMAGES.div_ceil(batch_size)) {
            if self.session.stops() {
                return Ok(None);
            }
            let batch = batch?;
            // A last batch of fewer images would count as much as the others.
            let full = batch.labels.len() == batch_size.min(self.images.train.len());
            if batch.labels.is_empty() || (done > 0 && !full) {
                continue;
            }
            for batch in batch.split(self.recipe.images_at_a_time()) {
                let mode = Mode::train(self.recipe.seed, self.progress.step + done);
                check_batch(&network, &batch, mode)?;
                done += 1;
                // The mean so far of `done` batches.
                network.set_norm_momentum(1.0 / done as f64);
                let (input, _) = to_tensor(batch, &network.device());
                drop(network.forward(input, mode));
            }
        }
        self.copy_on(&network, &before.device()).map(Some)
    }

    /// Copy of a network on another device, to the bit, with the same threads and plans.
    fn copy_on(&self, network: &ResNet, device: &Device) -> Result<ResNet, Error> {
        let mut copy = from_model(to_model(network)?, device)?;
        self.recipe.freeze_for_epoch(&mut copy, self.progress.epoch)?;
        copy.set_compute(network.compute());
        copy.set_context(network.context());
        Ok(copy)
    }
}
