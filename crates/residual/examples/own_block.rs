//! A block of one's own in a network of one's own: `y = relu(F(x) + x)` with any `F`, for an epoch of the sample
//! images.
//!
//! ```text
//! cargo run --release --example own_block
//! ```

use std::error::Error;
use std::sync::Arc;

use residual::arch::{Convolution, Preprocess};
use residual::burn::optim::{GradientsParams, SgdConfig};
use residual::burn::tensor::{Device, Tensor, TensorData};
use residual::burn::{self, module::Module};
use residual::data::{Dataset, Loader, LoaderOptions, Split};
use residual::nn::{
    Activation, BatchNorm, BatchNormConfig, Branch, Conv2d, Init, Linear, Mode, Residual, cross_entropy,
};

/// Branch of a 5x5 convolution and BN.
#[derive(Module, Debug)]
struct Wide {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Branch<4> for Wide {
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x, mode), mode)
    }
}

/// Patches of 4x4, four blocks, mean over the map, classes.
#[derive(Module, Debug)]
struct Network {
    patches: Conv2d,
    blocks: Vec<Residual<Wide>>,
    head: Linear,
}

impl Network {
    fn new(channels: usize, classes: usize, init: Init) -> Self {
        let patches = Convolution::new(3, channels, 4).with(|conv| (conv.stride, conv.padding) = (4, 0));
        let block = |init: Init| {
            let conv = Conv2d::new(&Convolution::new(channels, channels, 5), init.at("conv"));
            let norm = BatchNormConfig::new(channels).init(init.at("norm"));
            Residual::new(Wide { conv, norm }).with_activation(Activation::Relu)
        };
        Self {
            patches: Conv2d::new(&patches, init.at("patches")),
            blocks: (0..4).map(|index| block(init.at(format!("block{index}")))).collect(),
            head: Linear::new(channels, classes, init.at("head")),
        }
    }

    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        let x = self.blocks.iter().fold(self.patches.forward(x, mode), |x, block| block.forward(x, mode));
        self.head.forward(x.mean_dims(&[2, 3]).flatten(1, 3), mode)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dataset = Dataset::sample()?;
    let device = Device::flex().autodiff();
    let mut network = Network::new(32, dataset.classes.len(), Init::new(0, &device));
    let mut optimiser = SgdConfig::new().init();
    let options =
        LoaderOptions::evaluation(64, Preprocess::normalise_only()).with(|options| options.shuffle = true);
    for (step, batch) in Loader::new(Arc::new(dataset.split(Split::Train)?), options)?.enumerate() {
        let batch = batch?;
        let x = Tensor::from_data(TensorData::new(batch.images, batch.shape), &device);
        let loss = cross_entropy(network.forward(x, Mode::train(0, step as u64)), &batch.labels, 0.0)?;
        println!("step {step}: {:.3}", loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(0.05, network, gradients);
    }
    Ok(())
}
