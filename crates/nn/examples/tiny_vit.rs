//! A tiny vision transformer (Dosovitskiy et al. 2021) of [`EncoderBlock`]s, trained on the sample images.
//!
//! ```text
//! cargo run --release --example tiny_vit
//! ```
#![recursion_limit = "256"]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::{Convolution, Preprocess};
use residual_data::{Augment, Batch, Dataset, ImageSet, Loader, LoaderOptions, Split, steps_per_epoch};
use residual_nn::beyond::{EncoderBlock, EncoderBlockConfig, LayerNorm};
use residual_nn::{Conv2d, Fill, Init, Linear, Mode, cross_entropy};

const EPOCHS: u64 = 5;
const BATCH: usize = 64;
const FEATURES: usize = 64;
const PATCH: usize = 4;
const TOKENS: usize = (32 / PATCH) * (32 / PATCH);

/// Patches to tokens, blocks, mean over the tokens, classes.
#[derive(Module, Debug)]
struct TinyViT {
    patches: Conv2d,
    positions: Param<Tensor<3>>,
    blocks: Vec<EncoderBlock>,
    norm: LayerNorm,
    head: Linear,
}

impl TinyViT {
    fn new(depth: usize, classes: usize, init: &Init) -> Result<Self, residual_nn::Error> {
        let cut = Convolution::new(3, FEATURES, PATCH).with(|conv| (conv.stride, conv.padding) = (PATCH, 0));
        let block = |i| EncoderBlockConfig::new(FEATURES, 4).init(init.at(format!("block{i}")));
        Ok(Self {
            patches: Conv2d::new(&cut, init.at("patches")),
            positions: init.parameter("positions", [1, TOKENS, FEATURES], Fill::Normal(0.02)),
            blocks: (0..depth).map(block).collect::<Result<_, _>>()?,
            norm: LayerNorm::new(FEATURES, init.at("norm")),
            head: Linear::new(FEATURES, classes, init.at("head")),
        })
    }

    /// `[batch, 3, 32, 32]` to logits `[batch, classes]`.
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        let map = self.patches.forward(x, mode);
        let batch = map.dims()[0];
        let tokens = map.reshape([batch, FEATURES, TOKENS]).swap_dims(1, 2) + mode.value(&self.positions);
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| block.forward(tokens, mode));
        let pooled = self.norm.forward(tokens, mode).mean_dim(1).reshape([batch, FEATURES]);
        self.head.forward(pooled, mode)
    }
}

fn images(batch: &Batch, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(batch.images.clone(), batch.shape), device)
}

/// Share of the images that are put in their class.
fn accuracy(net: &TinyViT, set: &Arc<ImageSet>) -> Result<f64, Box<dyn Error>> {
    let options = LoaderOptions::evaluation(BATCH, Preprocess::normalise_only());
    let mut right = 0;
    for batch in Loader::new(set.clone(), options)? {
        let batch = batch?;
        let logits = net.forward(images(&batch, &Device::flex()), Mode::Eval);
        let best = logits.argmax(1).into_data();
        right += best.iter::<i64>().zip(&batch.labels).filter(|&(best, &label)| best == label as i64).count();
    }
    Ok(right as f64 / set.len() as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dataset = Dataset::sample()?;
    let train = Arc::new(dataset.split(Split::Train)?);
    let test = Arc::new(dataset.split(Split::Test)?);
    let device = Device::flex().autodiff();
    let mut net = TinyViT::new(3, dataset.classes.len(), &Init::new(0, &device))?;
    let mut optimiser = AdamWConfig::new().with_weight_decay(0.05).init();
    println!("{} parameters, {} images", net.num_params(), train.len());

    let steps = EPOCHS * steps_per_epoch(train.len(), BATCH, true) as u64;
    let (start, mut step) = (Instant::now(), 0);
    for epoch in 0..EPOCHS {
        let options = LoaderOptions::evaluation(BATCH, Preprocess::normalise_only()).with(|options| {
            options.shuffle = true;
            options.drop_last = true;
            options.epoch = epoch;
            options.augment =
                vec![Augment::PadCrop { padding: 4 }, Augment::HorizontalFlip { probability: 0.5 }];
        });
        let mut sum = 0.0;
        for batch in Loader::new(train.clone(), options)? {
            let batch = batch?;
            let logits = net.forward(images(&batch, &device), Mode::train(0, step));
            let loss = cross_entropy(logits, &batch.labels, 0.1)?;
            sum += f64::from(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(rate(step, steps), net, gradients);
            step += 1;
        }
        let loss = sum / steps_per_epoch(train.len(), BATCH, true) as f64;
        let top1 = 100.0 * accuracy(&net, &test)?;
        println!("epoch {} loss {loss:.3} test {top1:.1}% {:.0} s", epoch + 1, start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Warm-up over a twentieth of the steps, then a cosine to zero.
fn rate(step: u64, steps: u64) -> f64 {
    let (done, warm) = (step as f64 / steps as f64, 0.05);
    let share = if done < warm { done / warm } else { 1.0 };
    1.5e-3 * share * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}
