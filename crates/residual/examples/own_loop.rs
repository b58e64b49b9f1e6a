//! A training loop of one's own: own loss, Burn's AdamW, batches of the library, the network saved as a checkpoint.
//!
//! ```text
//! cargo run --release --example own_loop -- own.safetensors
//! ```

use std::error::Error;
use std::sync::Arc;

use residual::arch::families::family;
use residual::burn::optim::{AdamWConfig, GradientsParams};
use residual::burn::tensor::activation::log_softmax;
use residual::burn::tensor::{Device, Tensor, TensorData};
use residual::data::{Augment, Dataset, Loader, LoaderOptions, Split};
use residual::nn::{Mode, ResNetConfig};
use residual::train::to_model;

/// Focal loss with gamma 2, the mean of `-(1 - p)^2 log p` for the probability p of the label (Lin et al. 2017,
/// equation 4).
fn focal_loss(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let one_hot =
        labels.iter().flat_map(|&label| (0..classes).map(move |class| f32::from(u8::from(class == label))));
    let one_hot = TensorData::new(one_hot.collect::<Vec<_>>(), [batch, classes]);
    let log = log_softmax(logits, 1);
    let log = (log.clone() * Tensor::from_data(one_hot, &log.device())).sum_dim(1);
    ((log.clone().exp() - 1.0).square() * log).mean().neg()
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).ok_or("usage: own_loop OUT")?;
    let dataset = Dataset::sample()?;
    let images = Arc::new(dataset.split(Split::Train)?);
    let spec = family("small")?.with_classes(dataset.classes.len());
    let preprocess = spec.preprocess.clone();
    let device = Device::flex().autodiff();
    let mut network = ResNetConfig::new(spec).init(&device)?;
    let mut optimiser = AdamWConfig::new().with_weight_decay(0.05).init();

    let mut step = 0;
    for epoch in 0..2 {
        let options = LoaderOptions::evaluation(64, preprocess.clone()).with(|options| {
            options.shuffle = true;
            options.drop_last = true;
            options.epoch = epoch;
            options.augment =
                vec![Augment::PadCrop { padding: 4 }, Augment::HorizontalFlip { probability: 0.5 }];
        });
        for batch in Loader::new(images.clone(), options)? {
            let batch = batch?;
            let x = Tensor::from_data(TensorData::new(batch.images, batch.shape), &device);
            // The mode says that this is a training step, and keys its random numbers by seed and step.
            let loss = focal_loss(network.forward(x, Mode::train(0, step)), &batch.labels);
            println!("step {step}: {:.3}", loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimiser.step(1e-3, network, gradients);
            step += 1;
        }
    }

    to_model(&network)?.with_classes(dataset.classes)?.save(out)?;
    Ok(())
}
