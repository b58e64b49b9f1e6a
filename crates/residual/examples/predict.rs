//! Classification of a photograph.
//!
//! ```text
//! cargo run --release --example predict -- best.safetensors photo.jpg
//! ```

use std::error::Error;

use residual::Classifier;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, photo] = arguments.as_slice() else {
        return Err("usage: predict WEIGHTS PHOTO".into());
    };

    // A checkpoint, or the folder of a training; weights of others need `Classifier::open_as(weights, "resnet50")`.
    let classifier = Classifier::open(weights)?;
    let answer = classifier.classify(photo.as_str())?;
    for score in answer.top(3) {
        println!("{score}");
    }
    Ok(())
}
