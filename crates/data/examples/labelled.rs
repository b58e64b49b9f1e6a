//! Images of a data set with their labels, a line of JSON each, for `bench/peers/layouts.py` to compare with what
//! others read: split, class, `[height, width, channels]` and the SHA-256 of the pixels.
//!
//! ```sh
//! cargo run --release -p residual-data --example labelled -- DATA [path=NAME,label=NAME]
//! ```

use std::io::Write;

use residual_data::{DataSource, Dataset, OpenOptions};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().ok_or("usage: labelled DATA [COLUMNS]")?;
    let mut options = OpenOptions::default().with(|options| options.holdout = 0.0);
    if let Some(columns) = arguments.next() {
        options.columns = columns.parse()?;
    }
    let data = Dataset::open(&DataSource::from(source), &options)?;
    let mut out = std::io::stdout().lock();
    for split in data.splits() {
        let set = data.split(split)?;
        for index in 0..set.len() {
            let image = set.read(index)?;
            let digest = Sha256::digest(image.pixels());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let line = serde_json::json!({
                "split": split.to_string(),
                "class": data.classes[set.label(index)],
                "size": [image.height(), image.width(), image.channels()],
                "sha256": digest,
            });
            writeln!(out, "{line}")?;
        }
    }
    data.notes().iter().for_each(|note| eprintln!("{note}"));
    Ok(())
}
