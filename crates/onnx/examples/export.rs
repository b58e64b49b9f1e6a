//! Weights as an ONNX graph: `cargo run --example export -- resnet18.pth resnet18.onnx [MODEL]`.

use residual_onnx::{ExportOptions, export};
use residual_weights::{Architecture, Model, OpenOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(weights), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("expected the weights and the file to write".into());
    };
    let network = arguments.next().map(Architecture::from);
    let model = Model::open_with(weights, &OpenOptions::default().with(|options| options.network = network))?;
    Ok(export(&model, out, &ExportOptions::default())?)
}
