//! Pixels of image files, written beside each other for `bench/peers/photographs.py` to compare with Pillow's: of each
//! file in a folder its RGB bytes (`.rgb`), its values where it has more than 8 bits (`.f32`), and its size.
//!
//! ```sh
//! cargo run --release -p residual-data --example pixels -- FILES RESULTS
//! ```

use std::fs;
use std::path::Path;

use residual_data::{Image, decode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(files), Some(results)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pixels FILES RESULTS".into());
    };
    fs::create_dir_all(&results)?;
    let mut paths: Vec<_> =
        fs::read_dir(files)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match decode(&fs::read(&path)?, &name).and_then(|image| image.with_channels(3, &name)) {
            Ok(image) => written(&name, Path::new(&results), image)?,
            Err(error) => println!("{name}\terror\t{error}"),
        }
    }
    Ok(())
}

fn written(name: &str, results: &Path, image: Image) -> std::io::Result<()> {
    println!("{name}\t{} {}\t{}", image.width(), image.height(), image.is_first_of_several());
    fs::write(results.join(format!("{name}.rgb")), image.pixels())?;
    if let Some(values) = image.values() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(results.join(format!("{name}.f32")), bytes)?;
    }
    fs::write(results.join(format!("{name}.upright")), image.clone().upright().pixels())?;
    fs::write(results.join(format!("{name}.white")), image.over([255; 3]).pixels())
}
