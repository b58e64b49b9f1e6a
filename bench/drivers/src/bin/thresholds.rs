//! What new networks show of the quantities that the doctor has thresholds for.
//!
//!     cargo run --release --bin thresholds -- small cifar_resnet110 cifar_plain56
//!
//! For each network, on 16 images of the embedded sample: the loss over ln K, the gradient's norm at the stem
//! over that at the last block, and the greatest fraction of dead channels after a block.

use std::sync::Arc;

use burn::tensor::Device;
use residual_arch::families::family;
use residual_data::{Dataset, Loader, LoaderOptions, Split};
use residual_doctor::{BlockSignal, signals};
use residual_nn::{Init, Mode, ResNetConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let train = Arc::new(Dataset::sample()?.split(Split::Train)?);
    for name in std::env::args().skip(1) {
        let spec = family(&name)?.with_classes(10);
        let preprocess = residual_arch::Preprocess::normalise_only();
        let options = LoaderOptions::evaluation(16, preprocess).with(|options| options.shuffle = true);
        let batch = Loader::new(train.clone(), options)?.next().ok_or("no images")??;
        for seed in 0..3 {
            let network =
                ResNetConfig::new(spec.clone()).init(Init::new(seed, &Device::flex().autodiff()))?;
            let signals = signals(&network, &batch, Mode::train(0, 0))?;
            let dead = |block: &BlockSignal| block.dead.unwrap_or(0) as f64 / block.channels as f64;
            let dead = signals.blocks.iter().map(dead).fold(0.0, f64::max);
            let [first, last] =
                [signals.blocks.first(), signals.blocks.last()].map(|b| b.map_or(0.0, |b| b.gradient));
            let loss = signals.loss / 10f64.ln();
            println!(
                "{name} seed {seed}: loss {loss:.2} ln K, gradient ratio {:.3e}, dead {dead:.2}",
                first / last
            );
        }
    }
    Ok(())
}
