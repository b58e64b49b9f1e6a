//! Classification of all images of a folder, in batches and decoded ahead of the network.
//!
//! ```text
//! cargo run --release --example predict_batch -- best.safetensors photos/
//! ```

use std::error::Error;
use std::path::PathBuf;

use residual::predict::Options;
use residual::{Classifier, Model};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, folder] = arguments.as_slice() else {
        return Err("usage: predict_batch WEIGHTS FOLDER".into());
    };

    let options = Options::new().threads(2).batch(16);
    let classifier = Classifier::new(Model::open(weights)?, options)?;

    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();

    let mut failed = 0;
    // Answers come in the order of the files; a file that is no image is an error in its place, and the others go on.
    for answer in classifier.classify_all(files) {
        match answer {
            Ok(answer) => {
                let file = answer.file().map(|file| file.display().to_string()).unwrap_or_default();
                println!("{file}\t{}", answer.best());
            }
            Err(error) => {
                eprintln!("{error}");
                failed += 1;
            }
        }
    }
    if failed > 0 { Err(format!("{failed} files without an answer").into()) } else { Ok(()) }
}
