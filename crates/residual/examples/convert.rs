//! Conversion: the weights of a PyTorch checkpoint as a trained network in one file, and under timm's names.
//!
//! ```text
//! cargo run --release --example convert -- resnet18.pth resnet18 resnet18.safetensors resnet18-timm.safetensors
//! ```

use std::error::Error;

use residual::arch::Naming;
use residual::weights::{Model, safetensors};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, family, to, timm] = arguments.as_slice() else {
        return Err("usage: convert FROM FAMILY TO TIMM".into());
    };

    // Every tensor is there and has the network's shape, or this says all that differs.
    let model = Model::open_as(from, family.as_str())?;
    println!("{}: {} tensors, named as {:?}", model.spec().name, model.tensors().count(), model.naming());
    model.save(to)?;
    safetensors::write(timm, &model.to_state_dict(Naming::Timm)?)?;

    assert_eq!(Model::open(to)?, model);
    Ok(())
}
