//! Nearest neighbours: the images that a trained network finds most like one, by their pooled features.
//!
//! ```text
//! cargo run --release --example features -- best.safetensors query.jpg photos/
//! ```

use std::error::Error;
use std::path::PathBuf;

use residual::Classifier;

/// Cosine of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, query, folder] = arguments.as_slice() else {
        return Err("usage: features WEIGHTS QUERY FOLDER".into());
    };

    let classifier = Classifier::open(weights)?;
    let query = classifier.embed(query.as_str())?;
    println!("{} features", classifier.embedding_length());

    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let features = classifier.embed_all(files.clone()).collect::<Result<Vec<_>, _>>()?;
    let mut neighbours: Vec<_> =
        files.iter().zip(features.iter().map(|other| cosine(&query, other))).collect();
    neighbours.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (file, similarity) in neighbours.iter().take(5) {
        println!("{similarity:.3}\t{}", file.display());
    }
    Ok(())
}
