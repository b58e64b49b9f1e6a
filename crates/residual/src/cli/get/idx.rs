//! MNIST's files as an archive of images, which every other command reads.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use residual::weights::write_atomically;
use residual_files::escaped;

use crate::cli::failure::{Failure, Outcome};

/// The most images of a file.
const MOST: usize = 1_000_000;

/// The longest side of an image.
const LONGEST: usize = 1024;

/// Files of a split: its name, images and labels.
const SPLITS: [(&str, &str, &str); 2] = [
    ("train", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ("test", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
];

/// Classes of MNIST and of Fashion-MNIST (its README, "Labels"), in the order of the labels.
fn classes(dataset: &str) -> [&'static str; 10] {
    match dataset {
        "fashion-mnist" => [
            "T-shirt",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        _ => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    }
}

/// The path of the archive, `FOLDER/NAME.tar`: `train/CLASS/00000.png`, `test/CLASS/00000.png`. It is made of the
/// folder's files where it is not there.
pub(super) fn archive(folder: &Path, dataset: &str) -> Outcome<PathBuf> {
    let path = folder.join(format!("{dataset}.tar"));
    if path.is_file() {
        return Ok(path);
    }
    let mut splits = Vec::new();
    for (split, images, labels) in SPLITS {
        splits.push((split, images_of(&folder.join(images))?, labels_of(&folder.join(labels))?));
    }
    for (split, images, labels) in &splits {
        if images.pixels.len() != images.size() * labels.len() {
            let counts = format!("{} labels for {} bytes of images", labels.len(), images.pixels.len());
            return Err(Failure::new(format_args!("{}: {split}: {counts}", escaped(folder))));
        }
    }
    let names = classes(dataset);
    write_atomically(&path, |file| {
        let mut tar = tar::Builder::new(file);
        for (split, images, labels) in &splits {
            let each = images.pixels.chunks_exact(images.size()).zip(labels).enumerate();
            for (number, (pixels, &label)) in each {
                let class =
                    names.get(usize::from(label)).ok_or_else(|| io::Error::other("a label beyond 9"))?;
                let png = images.png(pixels)?;
                let mut header = tar::Header::new_gnu();
                header.set_size(png.len() as u64);
                header.set_mode(0o644);
                tar.append_data(&mut header, format!("{split}/{class}/{number:05}.png"), png.as_slice())?;
            }
        }
        tar.into_inner()?.flush()
    })?;
    Ok(path)
}

/// Grey images of one size, one after the other.
struct Images {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Images {
    fn size(&self) -> usize {
        self.height * self.width
    }

    fn png(&self, pixels: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header()?.write_image_data(pixels)?;
        Ok(bytes)
    }
}

fn images_of(path: &Path) -> Outcome<Images> {
    let (sizes, pixels) = idx(path)?;
    match sizes[..] {
        [_, height @ 1..=LONGEST, width @ 1..=LONGEST] => Ok(Images { height, width, pixels }),
        _ => Err(Failure::new(format_args!("{}: sizes {sizes:?}, expected those of images", escaped(path)))),
    }
}

fn labels_of(path: &Path) -> Outcome<Vec<u8>> {
    let (sizes, labels) = idx(path)?;
    match sizes[..] {
        [_] => Ok(labels),
        _ => Err(Failure::new(format_args!("{}: sizes {sizes:?}, expected one of labels", escaped(path)))),
    }
}

/// Sizes and bytes of a gzipped IDX file: two zeros, 8 for bytes, the number of sizes, the sizes (big-endian), the
/// values.
fn idx(path: &Path) -> Outcome<(Vec<usize>, Vec<u8>)> {
    let within = |reason: &str| Failure::new(reason).within(escaped(path));
    let read = |error: io::Error| Failure::from(error).within(escaped(path));
    let mut file = GzDecoder::new(File::open(path).map_err(read)?);
    let mut head = [0; 4];
    file.read_exact(&mut head).map_err(read)?;
    let [0, 0, 8, dimensions @ 1..=3] = head else { return Err(within("no IDX file of bytes")) };
    let mut sizes = Vec::new();
    for _ in 0..dimensions {
        let mut size = [0; 4];
        file.read_exact(&mut size).map_err(read)?;
        sizes.push(u32::from_be_bytes(size) as usize);
    }
    if sizes[0] > MOST || sizes[1..].iter().any(|&side| side > LONGEST) {
        return Err(within("an IDX file of unreasonable sizes"));
    }
    let count = sizes.iter().product::<usize>() as u64;
    let mut values = Vec::new();
    file.take(count).read_to_end(&mut values).map_err(read)?;
    match values.len() as u64 == count {
        true => Ok((sizes, values)),
        false => Err(within("it ends too early")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use residual::data::{Dataset, OpenOptions, Split};

    use super::*;

    fn write(path: &Path, sizes: &[u32], values: &[u8]) {
        let mut file = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
        file.write_all(&[0, 0, 8, sizes.len() as u8]).unwrap();
        sizes.iter().for_each(|size| file.write_all(&size.to_be_bytes()).unwrap());
        file.write_all(values).unwrap();
        file.finish().unwrap();
    }

    fn folder(labels: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (_, images, of_images) in SPLITS {
            let pixels: Vec<u8> = (0..labels.len() * 20).map(|i| i as u8).collect();
            write(&folder.path().join(images), &[labels.len() as u32, 5, 4], &pixels);
            write(&folder.path().join(of_images), &[labels.len() as u32], labels);
        }
        folder
    }

    #[test]
    fn the_archive_is_a_dataset() {
        let folder = folder(&[9, 0, 9, 3]);
        let path = archive(folder.path(), "fashion-mnist").unwrap();
        let data = Dataset::open(&path.clone().into(), &OpenOptions::default()).unwrap();
        assert_eq!(data.classes, ["Ankle boot", "Dress", "T-shirt"]);
        assert_eq!((data.split(Split::Train).unwrap().len(), data.split(Split::Test).unwrap().len()), (4, 4));
        // Made once.
        let made = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(archive(folder.path(), "fashion-mnist").unwrap(), path);
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), made);
    }

    #[test]
    fn files_that_are_something_else_are_refused() {
        for (sizes, values) in [(&[4u32, 5, 4][..], &[1u8; 7][..]), (&[4], &[1; 4]), (&[u32::MAX, 5, 4], &[])]
        {
            let folder = folder(&[1, 2, 3, 4]);
            write(&folder.path().join(SPLITS[0].1), sizes, values);
            assert!(archive(folder.path(), "mnist").is_err(), "{sizes:?}");
            assert!(!folder.path().join("mnist.tar").exists());
        }
        let folder = folder(&[10, 2]);
        let error = archive(folder.path(), "mnist").unwrap_err();
        assert!(error.report(false).unwrap().contains("beyond 9"), "{error:?}");
    }
}
