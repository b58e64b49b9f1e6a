//! A tiny denoiser of [`UNetBlock`]s, trained on the sample images to find the noise in them, as the
//! networks of diffusion models do (Ho et al. 2020).
//!
//! ```text
//! cargo run --release --example tiny_denoiser
//! ```
#![recursion_limit = "256"]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{
    Device, Tensor, TensorData,
    module::{avg_pool2d, interpolate},
    ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions},
};
use residual_arch::{Convolution, Preprocess};
use residual_data::{Batch, Dataset, ImageSet, Loader, LoaderOptions, Split, steps_per_epoch};
use residual_nn::beyond::{TimeEmbedding, UNetBlock, UNetBlockConfig};
use residual_nn::{Conv2d, Init, Mode, Randomness};

const EPOCHS: u64 = 2;
/// Steps between two lines of progress.
const REPORT: u64 = 25;
const BATCH: usize = 50;
const WIDTH: usize = 16;
const TIME: usize = 32;
/// The noise's standard deviation is drawn between these; pixels lie between 0 and 1.
const SIGMA: [f64; 2] = [0.02, 0.4];
/// The standard deviation at which the network is judged.
const JUDGED: f32 = 0.2;

/// One level down and up again, a skip between: `noise = net(image + sigma noise, sigma)`.
#[derive(Module, Debug)]
struct Denoiser {
    time: TimeEmbedding,
    first: Conv2d,
    down: UNetBlock,
    middle: UNetBlock,
    up: UNetBlock,
    last: Conv2d,
}

impl Denoiser {
    fn new(init: &Init) -> Result<Self, residual_nn::Error> {
        let conv3 = |in_channels, out_channels, name| {
            let conv = Convolution::new(in_channels, out_channels, 3);
            Conv2d::new(&conv, init.at(name))
        };
        let block =
            |from, to, name| UNetBlockConfig::new(from, to, TIME).with_zero_init().init(init.at(name));
        // Blocks begin as their shortcuts, the network as one that sees no noise.
        let mut last = conv3(WIDTH, 3, "last");
        last.weight = Param::from_tensor(last.weight.val().zeros_like());
        Ok(Self {
            time: TimeEmbedding::new(TIME, init.at("time")),
            first: conv3(3, WIDTH, "first"),
            down: block(WIDTH, WIDTH, "down")?,
            middle: block(WIDTH, 2 * WIDTH, "middle")?,
            up: block(3 * WIDTH, WIDTH, "up")?,
            last,
        })
    }

    /// Images `[batch, 3, h, w]` and the deviation of each one's noise to the noise.
    fn forward(&self, x: Tensor<4>, sigma: &[f32], mode: Mode) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let times: Vec<f32> = sigma.iter().map(|sigma| 1000.0 * sigma).collect();
        let time = self.time.forward(&times, mode);
        let fine = self.down.forward(self.first.forward(x, mode), time.clone(), mode);
        let coarse = avg_pool2d(fine.clone(), AvgPoolOptions::new([2, 2]));
        let coarse = self.middle.forward(coarse, time.clone(), mode);
        let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([height, width]);
        let both = Tensor::cat(vec![interpolate(coarse, options), fine], 1);
        self.last.forward(self.up.forward(both, time, mode), mode)
    }
}

/// Pixels between 0 and 1, as they are.
fn preprocess() -> Preprocess {
    Preprocess::normalise_only()
        .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.0; 3], vec![1.0; 3]))
}

/// An image batch, its noise, and both together.
struct Noisy {
    clean: Tensor<4>,
    noise: Tensor<4>,
    noisy: Tensor<4>,
    sigma: Vec<f32>,
}

impl Noisy {
    fn new(batch: &Batch, sigma: Vec<f32>, randomness: Randomness, device: &Device) -> Self {
        let tensor = |values| Tensor::<4>::from_data(TensorData::new(values, batch.shape), device);
        let noise = (0..batch.images.len() as u64).map(|i| randomness.normal("noise", i) as f32).collect();
        let (clean, noise) = (tensor(batch.images.clone()), tensor(noise));
        let scale = TensorData::new(sigma.clone(), [sigma.len(), 1, 1, 1]);
        let noisy = clean.clone() + noise.clone() * Tensor::from_data(scale, device);
        Self { clean, noise, noisy, sigma }
    }
}

/// Mean squared error; by axis, since a sum over everything has no fixed order for large tensors.
fn mse(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let d = a - b;
    (d.clone() * d).mean_dim(3).mean_dim(2).mean_dim(1).mean_dim(0).reshape([1])
}

/// Peak signal-to-noise ratio in dB of the noisy and the denoised test images.
fn psnr(net: &Denoiser, set: &Arc<ImageSet>) -> Result<[f64; 2], Box<dyn Error>> {
    let mut errors = [0.0; 2];
    for (step, batch) in Loader::new(set.clone(), LoaderOptions::evaluation(BATCH, preprocess()))?.enumerate()
    {
        let batch = batch?;
        let randomness = Randomness::new(1, step as u64);
        let x = Noisy::new(&batch, vec![JUDGED; batch.labels.len()], randomness, &Device::flex());
        let found = net.forward(x.noisy.clone(), &x.sigma, Mode::Eval);
        let denoised = (x.noisy.clone() - found * JUDGED).clamp(0.0, 1.0);
        let share = batch.labels.len() as f64 / set.len() as f64;
        for (error, image) in errors.iter_mut().zip([x.noisy.clamp(0.0, 1.0), denoised]) {
            *error += share * f64::from(mse(image, x.clean.clone()).into_scalar::<f32>());
        }
    }
    Ok(errors.map(|error| -10.0 * error.log10()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let dataset = Dataset::sample()?;
    let train = Arc::new(dataset.split(Split::Train)?);
    let test = Arc::new(dataset.split(Split::Test)?);
    let device = Device::flex().autodiff();
    let mut net = Denoiser::new(&Init::new(0, &device))?;
    let mut optimiser = AdamConfig::new().init();
    println!("{} parameters, {} images", net.num_params(), train.len());

    let steps = EPOCHS * steps_per_epoch(train.len(), BATCH, true) as u64;
    let (start, mut step) = (Instant::now(), 0);
    for epoch in 0..EPOCHS {
        let options = LoaderOptions::evaluation(BATCH, preprocess()).with(|options| {
            options.shuffle = true;
            options.drop_last = true;
            options.epoch = epoch;
        });
        let mut sum = 0.0;
        for batch in Loader::new(train.clone(), options)? {
            let randomness = Randomness::new(0, step);
            let draw = |i| (SIGMA[0] + (SIGMA[1] - SIGMA[0]) * randomness.uniform("sigma", i)) as f32;
            let x = Noisy::new(&batch?, (0..BATCH as u64).map(draw).collect(), randomness, &device);
            let loss = mse(net.forward(x.noisy, &x.sigma, Mode::Train(randomness)), x.noise);
            sum += f64::from(loss.clone().into_scalar::<f32>());
            let rate = 4e-3 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(rate, net, gradients);
            step += 1;
            if step.is_multiple_of(REPORT) {
                let seconds = start.elapsed().as_secs_f64();
                println!("step {step}/{steps} loss {:.3} {seconds:.0} s", sum / REPORT as f64);
                sum = 0.0;
            }
        }
        let [noisy, denoised] = psnr(&net, &test)?;
        println!("epoch {}: test PSNR {noisy:.2} dB noisy, {denoised:.2} dB denoised", epoch + 1);
    }
    Ok(())
}
