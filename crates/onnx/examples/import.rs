//! A graph as weights: `cargo run --example import -- resnet50.onnx resnet50.safetensors`.

use residual_onnx::{ImportOptions, import};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(graph), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("expected the graph and the file to write".into());
    };
    let imported = import(graph, &ImportOptions::default())?;
    imported.notes.iter().for_each(|note| eprintln!("{note}"));
    println!("{}", imported.model.spec().name);
    Ok(imported.model.save(out)?)
}
